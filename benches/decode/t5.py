"""T5-small's sizes with random weights: greedy decoding beside CTranslate2, transformers and KerasHub.

    python benches/decode/t5.py --peers PYTHON          (it has keras_hub, transformers, ctranslate2)

Engines run in turn, each in its own process, and must give the same tokens. Written to benches/results/decode_t5.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__)
ROOT = HERE.parents[2]
SIZES = {
    "vocabulary_size": 32128,
    "num_layers": 6,
    "num_heads": 8,
    "hidden_dim": 512,
    "intermediate_dim": 2048,
    "key_value_dim": 64,
}
ENGINES = ("refimpl", "ctranslate2", "transformers", "keras_hub")
SOURCE, NEW, END = 32, 64, 1
Rows = list[list[int]]


def make(folder: Path) -> None:
    """Write the preset, and a checkpoint for transformers."""
    import numpy as np

    import refimpl
    from refimpl.presets.sentence_piece_file import CONTROL, NORMAL, UNKNOWN, model_file

    kinds = [("<pad>", CONTROL), ("</s>", CONTROL), ("<unk>", UNKNOWN)]
    kinds += [(f"w{n}", NORMAL) for n in range(3, SIZES["vocabulary_size"])]
    proto = model_file([(piece, -1.0, kind) for piece, kind in kinds], frame={"unk": 2, "eos": 1, "pad": 0})
    models = refimpl.models
    refimpl.random.set_random_seed(0)
    backbone = models.T5Backbone(**SIZES, use_gated_activation=False)
    for name, weight in backbone.weights.items():
        # The feed-forward layers outweigh their input: else the model would say one token again and again.
        gain = 8.0 if name.endswith("output_projector/kernel") and "attention" not in name else 1.0
        np.multiply(weight, np.float32(gain), out=weight)
    task = models.T5Seq2SeqLM(backbone, models.T5Seq2SeqLMPreprocessor(models.T5Tokenizer(proto)))
    task.save_to_preset(folder / "preset")
    task.export_to_transformers(folder / "transformers")


def convert(folder: Path) -> None:
    """CTranslate2's model of the checkpoint."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(folder / "transformers")).convert(str(folder / "ct2"), force=True)


def sources(count: int) -> Rows:
    """Token ids without special tokens."""
    return [[(7919 * (i + 1) * (row + 2)) % 32000 + 3 for i in range(SOURCE)] for row in range(count)]


def batch(rows: Rows) -> dict[str, Any]:
    """A batch as refimpl and KerasHub take it: the decoder starts from the padding token."""
    import numpy as np

    spoken = np.zeros((len(rows), NEW + 1), "int32")
    given = {"encoder_token_ids": np.array(rows, "int32"), "decoder_token_ids": spoken}
    masks = {"encoder_padding_mask": np.ones((len(rows), SOURCE), bool), "decoder_padding_mask": spoken > 0}
    masks["decoder_padding_mask"][:, 0] = True
    return given | masks


def keras_like(library: Any, folder: Path) -> Callable[[Rows], Any]:
    task = library.models.T5Seq2SeqLM.from_preset(str(folder / "preset"), preprocessor=None)
    task.compile(sampler="greedy")
    return lambda rows: task.generate(batch(rows), stop_token_ids=None)["decoder_token_ids"][:, 1:].tolist()


def transformers(folder: Path) -> Callable[[Rows], Any]:
    import torch
    from transformers import T5ForConditionalGeneration

    model = T5ForConditionalGeneration.from_pretrained(folder / "transformers", dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None

    def run(rows: Rows) -> Any:
        with torch.inference_mode():
            ids = torch.tensor(rows)
            out = model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, max_length=None, do_sample=False
            )
        return out[:, 1:].tolist()

    return run


def ctranslate2(folder: Path) -> Callable[[Rows], Any]:
    import ctranslate2

    threads = int(os.environ["OMP_NUM_THREADS"])
    model = ctranslate2.Translator(str(folder / "ct2"), compute_type="float32", intra_threads=threads)
    names = json.loads((folder / "ct2" / "shared_vocabulary.json").read_text())
    numbers = {name: n for n, name in enumerate(names)}

    def run(rows: Rows) -> Any:
        limits = {"min_decoding_length": NEW, "max_decoding_length": NEW, "max_input_length": 0}
        found = model.translate_batch([[names[i] for i in row] for row in rows], beam_size=1, **limits)
        return [[numbers[name] for name in row.hypotheses[0]] for row in found]

    return run


def serve(name: str, folder: Path) -> None:
    """An engine as a process: a number of rows a line in, seconds and tokens out."""
    if name in ("refimpl", "keras_hub"):
        run = keras_like(__import__(name), folder)
    else:
        run = {"transformers": transformers, "ctranslate2": ctranslate2}[name](folder)
    for line in sys.stdin:
        rows = sources(int(line))
        start = time.perf_counter()
        tokens = run(rows)
        print(json.dumps({"seconds": time.perf_counter() - start, "tokens": tokens}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step", choices=("make", "convert", *ENGINES), help="used by this script itself")
    arguments = parser.parse_args()
    if arguments.step:
        steps = {"make": make, "convert": convert}
        steps.get(arguments.step, lambda folder: serve(arguments.step, folder))(arguments.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        measure(arguments.folder or Path(temporary), arguments.peers, arguments.rounds)


def measure(folder: Path, peers: str, rounds: int) -> None:
    """Make what is missing, run all engines in turn, write the table."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    threads = str(len(os.sched_getaffinity(0)))
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS"), threads)

    def command(step: str) -> list[str]:
        python = sys.executable if step in ("make", "refimpl") else peers
        return [python, str(HERE), "--folder", str(folder), "--step", step]

    for step, made in (("make", "preset"), ("convert", "ct2")):
        if not (folder / made).exists():
            subprocess.run(command(step), env=environment, check=True)
    table = ["# T5-small's sizes, greedy", "", f"{SOURCE} source tokens, {NEW} new ones, float32, {threads} threads;"]
    table += [f"medians of {rounds} runs in turn, tokens per second.", "", "| rows | " + " | ".join(ENGINES) + " |"]
    table += ["|---" * (len(ENGINES) + 1) + "|"]
    notes = [""]
    for rows in (1, 8):
        processes = {}
        for name in ENGINES:
            processes[name] = subprocess.Popen(
                command(name), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip

        def ask(name: str, processes: Any = processes, rows: int = rows) -> dict[str, Any]:
            processes[name].stdin.write(f"{rows}\n")
            processes[name].stdin.flush()
            return json.loads(processes[name].stdout.readline())

        first = {name: ask(name)["tokens"] for name in ENGINES}
        different = [name for name in ENGINES if first[name] != first["refimpl"]]
        times: dict[str, list[float]] = {name: [] for name in ENGINES}
        for _ in range(rounds):
            for name in ENGINES:
                times[name].append(ask(name)["seconds"])
        for process in processes.values():
            process.stdin.close()
            process.wait()
        speeds = {name: rows * NEW / statistics.median(times[name]) for name in ENGINES}
        table.append(f"| {rows} | " + " | ".join(f"{speeds[name]:.1f}" for name in ENGINES) + " |")
        spread = len({token for row in first["refimpl"] for token in row})
        notes.append(
            f"* {rows} rows: tokens unlike refimpl's: {', '.join(different) or 'none'}; {spread} different tokens."
        )
        print(table[-1], notes[-1], sep="\n", flush=True)
    (ROOT / "benches" / "results" / "decode_t5.md").write_text("\n".join(table + notes) + "\n")


if __name__ == "__main__":
    main()
