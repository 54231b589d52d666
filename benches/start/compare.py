"""From process start to text, side by side: a new process each time, runs taken in turn, medians.

    python benches/start/compare.py --peers PYTHON       (it has keras_hub and transformers)

Each process loads the shipped preset and generates from one word. `fresh` is the first run on a machine: an empty
folder for Numba's compiled code. The peers' processes are started the same way both times; what they cache by
themselves stays.
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
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benches" / "results"
TEXT = "EH L AH F AH N T"
REFIMPL = """
import refimpl
from refimpl.presets.shipped import shipped_preset
lm = refimpl.models.Seq2SeqLM.from_preset(shipped_preset())
lm.compile(sampler="greedy", jit_compile={compiled})
print(lm.generate("elephant"))
"""
KERAS_HUB = """
import keras_hub
lm = keras_hub.models.Seq2SeqLM.from_preset({preset!r})
lm.compile(sampler="greedy")
print(lm.generate("elephant"))
"""
TRANSFORMERS = """
import json
import torch
from pathlib import Path
from transformers import BartForConditionalGeneration
folder = Path({checkpoint!r})
bart = BartForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
ids = torch.tensor([{ids}])
out = bart.generate(ids, decoder_input_ids=torch.tensor([[2, 0]]), max_length=32, num_beams=1, do_sample=False)
names = {{n: word for word, n in json.loads((folder / "vocab.json").read_text()).items()}}
print("".join(names[n] for n in out[0].tolist() if n > 2).replace("\\u0120", " ").strip())
"""
KERAS = ("keras_hub-jax", "keras_hub-tensorflow", "keras_hub-torch")
ENGINES = ("refimpl", "refimpl-fresh", "refimpl-definition", "transformers", *KERAS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, help="Python that has the other engines")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", nargs="*", default=list(ENGINES), choices=ENGINES, metavar="ENGINE")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--note", default="", help="what to say of the machine's state")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        programs = write_programs(Path(folder))
        times: dict[str, list[float]] = {name: [] for name in arguments.engines}
        for n in range(arguments.rounds + 1):
            for name in arguments.engines:
                seconds = started(name, programs[name.partition("-")[0]], arguments.peers, Path(folder), n)
                if n:  # the first round warms caches, those of the disk as well
                    times[name].append(seconds)
    found = {
        "rounds": arguments.rounds,
        "load_before": load,
        "note": arguments.note,
        "engines": {
            name: {"seconds": statistics.median(runs), "fastest": min(runs), "slowest": max(runs)}
            for name, runs in times.items()
        },
    }
    write(found, arguments.results)


def write_programs(folder: Path) -> dict[str, str]:
    """A program an engine, and what transformers needs to read."""
    sys.path.insert(0, str(ROOT))
    import refimpl
    from refimpl.presets.shipped import shipped_preset

    lm = refimpl.models.Seq2SeqLM.from_preset(shipped_preset())
    lm.export_to_transformers(folder / "checkpoint")
    batch = lm.preprocessor.generate_preprocess(["elephant"])
    ids = batch["encoder_token_ids"][0][batch["encoder_padding_mask"][0]].tolist()
    return {
        "refimpl": REFIMPL,
        "keras_hub": KERAS_HUB.format(preset=str(shipped_preset())),
        "transformers": TRANSFORMERS.format(checkpoint=str(folder / "checkpoint"), ids=ids),
    }


def started(name: str, program: str, peers: str, folder: Path, n: int) -> float:
    """Seconds of a process that prints the text."""
    library, _, kind = name.partition("-")
    cache = folder / (f"numba-{n}" if kind == "fresh" else "numba")
    settings = {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(cache), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if library == "keras_hub":
        settings["KERAS_BACKEND"] = kind
    python = sys.executable if library == "refimpl" else peers
    code = program.replace("{compiled}", str(kind != "definition"))
    start = time.perf_counter()
    done = subprocess.run(
        [python, "-c", code], env=os.environ | settings, cwd=folder, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - start
    if TEXT not in done.stdout:
        raise SystemExit(f"{name} printed {done.stdout!r}: {done.stderr[-2000:]}")
    print(f"{name:24s} {seconds:6.2f} s", flush=True)
    return seconds


def write(found: dict[str, Any], folder: Path) -> None:
    """`start.json` and `start.md`, engines that were not asked this time kept."""
    path = folder / "start.json"
    if path.exists():
        found["engines"] = json.loads(path.read_text())["engines"] | found["engines"]
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    lines = [
        "# From process start to text",
        "",
        "The shipped phoneme preset, one word; made by `benches/start/compare.py`: a new process each time, engines in",
        f"turn, medians of {found['rounds']} rounds, load {found['load_before']:.1f} before. `refimpl-fresh` compiles, "
        f"its cache being empty.{' ' + found['note'] if found['note'] else ''}",
        "",
        "| engine | seconds | fastest | slowest |",
        "|---|---|---|---|",
    ]
    for name in [name for name in ENGINES if name in found["engines"]]:
        row = found["engines"][name]
        lines.append(f"| {name} | {row['seconds']:.2f} | {row['fastest']:.2f} | {row['slowest']:.2f} |")
    text = "\n".join(lines) + "\n"
    (folder / "start.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
