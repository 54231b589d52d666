"""From process start to text, side by side: a new process each time, runs taken in turn, medians.

    python -m benches.start.compare --peers PYTHON       (it has keras_hub, transformers and ctranslate2)

Each process loads the shipped preset and generates from one word; `refimpl` is the README's first command,
`compiled` the same with kernels. `fresh` is their first run on a machine: an empty folder for compiled code. The peers'
processes are started the same way both times; what they cache by themselves stays.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benches.halves import RESULTS, ROOT, Found, footnotes, heading, machine, now

TEXT = "EH L AH F AH N T"
COMPILED = """
import refimpl
from refimpl.presets.shipped import shipped_preset
lm = refimpl.models.Seq2SeqLM.from_preset(shipped_preset())
lm.compile(sampler="greedy")
print(lm.generate("elephant"))
"""
KERAS_HUB = """
import keras_hub
lm = keras_hub.models.Seq2SeqLM.from_preset({preset!r})
lm.preprocessor.encoder_sequence_length = 32
lm.compile(sampler="greedy")
print(lm.generate("elephant", max_length=32))
"""
TRANSFORMERS = """
import json
import torch
from pathlib import Path
from transformers import BartForConditionalGeneration
folder = Path({folder!r}) / "transformers"
bart = BartForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
ids = torch.tensor([{ids}])
out = bart.generate(ids, decoder_input_ids=torch.tensor([[2, 0]]), max_length=32, num_beams=1, do_sample=False)
names = {{n: word for word, n in json.loads((folder / "vocab.json").read_text()).items()}}
print("".join(names[n] for n in out[0].tolist() if n > 2).replace("\\u0120", " ").strip())
"""
CTRANSLATE2 = """
import json
import ctranslate2
from pathlib import Path
folder = Path({folder!r}) / "ct2-float32"
translator = ctranslate2.Translator(str(folder), compute_type="float32")
names = json.loads((folder / "shared_vocabulary.json").read_text())
source = [names[n] for n in {ids}]
out = translator.translate_batch([source], target_prefix=[["<s>"]], beam_size=1, max_decoding_length=32)
said = [word for word in out[0].hypotheses[0] if word not in names[:3]]
print("".join(said).replace("\\u0120", " ").strip())
"""
ABOUT = """# From process start to text

The shipped phoneme preset, one word; made by `python -m benches.start.compare`: a new process each time, engines in
turn, medians. CTranslate2 and transformers have no tokenizer of it: they get token ids. `refimpl` is the README's first
command, which answers a few words by the definition; `refimpl-compiled` is the same in Python, with kernels from the
disk; `refimpl-fresh` finds no compiled code."""
KERAS = ("keras_hub-jax", "keras_hub-tensorflow", "keras_hub-torch")
ENGINES = ("refimpl", "refimpl-compiled", "refimpl-fresh", "ctranslate2", "transformers", *KERAS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, help="Python that has the other engines")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=ENGINES, metavar="ENGINE")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--note", default="", help="what to say of the machine's state")
    arguments = parser.parse_args()
    found = now() | {"rounds": arguments.rounds, "note": arguments.note}
    with tempfile.TemporaryDirectory() as folder:
        programs = write_programs(Path(folder), arguments.peers)
        times: dict[str, list[float]] = {name: [] for name in arguments.engines}
        for n in range(arguments.rounds + 1):
            for name in arguments.engines:
                seconds = started(name, programs, arguments.peers, Path(folder), n)
                if n:  # the first round warms caches, those of the disk as well
                    times[name].append(seconds)
    versions = {name: version(name.partition("-")[0], arguments.peers) for name in times}
    found["engines"] = {name: spread(runs) | {"versions": versions[name]} for name, runs in times.items()}
    write({"machine": machine(), "held": {}, "cases": {"one word": found}}, arguments.results)


def spread(runs: list[float]) -> Found:
    """The median and how far runs lie from it."""
    return {"seconds": statistics.median(runs), "fastest": min(runs), "slowest": max(runs)}


def version(library: str, peers: str) -> Found:
    """Of a library where it runs."""
    python, name = (sys.executable, "seq2seq-refimpl") if library == "refimpl" else (peers, library)
    code = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    return {
        library: subprocess.run([python, "-c", code, name], capture_output=True, text=True, check=True).stdout.strip()
    }


def write_programs(folder: Path, peers: str) -> dict[str, list[str]]:
    """Arguments of Python for each library, after the models that they read were made."""
    import refimpl
    from refimpl.presets.shipped import shipped_preset

    for python, flags in ((sys.executable, ()), (peers, ("--convert",))):
        command = [python, "-m", "benches.decode.model", str(folder), "phonemes", *flags]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    preprocessor = refimpl.models.Seq2SeqLM.from_preset(shipped_preset()).preprocessor
    batch = preprocessor.generate_preprocess(["elephant"])
    told = {"ids": batch["encoder_token_ids"][0][batch["encoder_padding_mask"][0]].tolist()}
    told |= {"folder": str(folder / "phonemes"), "preset": str(shipped_preset())}
    return {
        "refimpl": ["-m", "refimpl.cli", "generate", "elephant"],
        "refimpl-compiled": ["-c", COMPILED],
        "refimpl-fresh": ["-c", COMPILED],
        "keras_hub": ["-c", KERAS_HUB.format(**told)],
        "transformers": ["-c", TRANSFORMERS.format(**told)],
        "ctranslate2": ["-c", CTRANSLATE2.format(**told)],
    }


def started(name: str, programs: dict[str, list[str]], peers: str, folder: Path, n: int) -> float:
    """Seconds of a process that prints the text."""
    library, _, kind = name.partition("-")
    cache = folder / (f"numba-{n}" if kind == "fresh" else "numba")
    settings = {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if library == "keras_hub":
        settings["KERAS_BACKEND"] = kind
    command = [sys.executable if library == "refimpl" else peers, *programs.get(name, programs[library])]
    start = time.perf_counter()
    done = subprocess.run(command, env=os.environ | settings, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if TEXT not in done.stdout:
        raise SystemExit(f"{name} printed {done.stdout!r}: {done.stderr[-2000:]}")
    print(f"{name:24s} {seconds:6.2f} s", flush=True)
    return seconds


def write(found: Found, folder: Path) -> None:
    """`start.json` and `start.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "start.json").write_text(json.dumps(found, indent=1) + "\n")
    lines = [ABOUT, "", *heading(found), "", "| engine | seconds | fastest | slowest |", "|---|---|---|---|"]
    for name, row in found["cases"]["one word"]["engines"].items():
        lines.append(f"| {name} | {row['seconds']:.2f} | {row['fastest']:.2f} | {row['slowest']:.2f} |")
    text = "\n".join([*lines, "", *footnotes(found)]) + "\n"
    (folder / "start.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
