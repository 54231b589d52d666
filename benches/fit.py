"""One training step here and in the peers, side by side: `python benches/fit.py --peers PYTHON`.

Each side runs in a process of its own and gets its turns in rotation, so that whatever else the machine does falls on
all of them. All get the same arrays, in which no position is padding. Measured: the first step, which compiles; the
median of each side's later steps; the median over the rounds of each peer's time over ours; the peak of the memory.
Written to `results/fit.json`, `fit.md` and, with matplotlib, `fit.png`. PYTHON has the `peers` extra installed;
without --peers only this project is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

SIZES = ("vocabulary_size", "num_layers", "num_heads", "hidden_dim", "intermediate_dim")
SHAPES = {  # sizes; rows, source and target length
    "words": (dict(zip(SIZES, (322, 2, 4, 128, 512), strict=True)), 256, 9, 9),
    "small": (dict(zip(SIZES, (71, 2, 4, 128, 512), strict=True)), 256, 20, 22),
    "base": (dict(zip(SIZES, (50265, 6, 12, 768, 3072), strict=True)), 8, 64, 64),
}
ROUNDS = {"words": 15, "small": 15, "base": 6}
SIDES = ("refimpl", "keras_hub-tensorflow", "keras_hub-jax", "keras_hub-torch", "transformers")
Step = Callable[[], Any]


def data(shape: str) -> tuple[dict[str, Any], dict[str, np.ndarray], np.ndarray, np.ndarray]:
    config, rows, source, target = SHAPES[shape]
    rng = np.random.default_rng(0)
    size = config["vocabulary_size"]
    x = {
        "encoder_token_ids": rng.integers(0, size, (rows, source)).astype("int32"),
        "encoder_padding_mask": np.ones((rows, source), "int32"),
        "decoder_token_ids": rng.integers(0, size, (rows, target)).astype("int32"),
        "decoder_padding_mask": np.ones((rows, target), "int32"),
    }
    labels = rng.integers(0, size, (rows, target)).astype("int32")
    return config | {"dropout": 0.1, "max_sequence_length": 64}, x, labels, np.ones((rows, target), "float32")


def ours(shape: str) -> Step:
    from refimpl import optimizers
    from refimpl.models import BartBackbone, BartSeq2SeqLM

    config, *batch = data(shape)
    lm = BartSeq2SeqLM(BartBackbone(**config), None)
    lm.compile(optimizers.Adam(1e-4))
    return lambda: lm.train_on_batch(*batch)


def keras_hubs(shape: str, backend: str) -> Step:
    os.environ["KERAS_BACKEND"] = backend
    import keras
    import keras_hub

    config, *batch = data(shape)
    lm = keras_hub.models.BartSeq2SeqLM(keras_hub.models.BartBackbone(**config), None)
    lm.compile(optimizer=keras.optimizers.Adam(1e-4))
    return lambda: lm.train_on_batch(*batch)


def transformers_(shape: str) -> Step:
    import torch
    import transformers

    config, x, labels, _ = data(shape)
    names = {"vocab_size": "vocabulary_size", "d_model": "hidden_dim", "max_position_embeddings": "max_sequence_length"}
    for side in ("encoder", "decoder"):
        names |= {f"{side}_layers": "num_layers", f"{side}_attention_heads": "num_heads"}
        names |= {f"{side}_ffn_dim": "intermediate_dim"}
    sizes = {theirs: config[ours] for theirs, ours in names.items()}
    model = transformers.BartForConditionalGeneration(
        transformers.BartConfig(**sizes, dropout=0.1, attention_dropout=0.1)
    ).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    t = {key: torch.from_numpy(value).long() for key, value in (x | {"labels": labels}).items()}

    def step() -> float:
        optimizer.zero_grad()
        loss = model(
            input_ids=t["encoder_token_ids"],
            attention_mask=t["encoder_padding_mask"],
            decoder_input_ids=t["decoder_token_ids"],
            decoder_attention_mask=t["decoder_padding_mask"],
            labels=t["labels"],
        ).loss
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def work(side: str, shape: str) -> None:
    """A side: for each line on stdin one step, answered by its seconds."""
    kind, _, backend = side.partition("-")
    step = ours(shape) if kind == "refimpl" else keras_hubs(shape, backend) if backend else transformers_(shape)
    start = time.perf_counter()
    step()
    print(json.dumps([time.perf_counter() - start, 0]), flush=True)
    for _ in range(2):
        step()
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]), flush=True)


def started(side: str, shape: str, python: str) -> Any:
    command = [python, __file__, "--work", side, shape]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=environment, text=True, bufsize=1, **pipes)


def answer(process: Any) -> Any:
    """The next line that is an answer; frameworks print others."""
    for line in process.stdout:
        if line.startswith(("[", '"')):
            return json.loads(line)
    raise SystemExit("a side ended early")


def measured(shape: str, sides: list[str], python: str, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of the first and the median step, ratio to ours, peak memory in GB."""
    running, first, memory = {}, {}, {}
    for side in sides:  # one after the other, so that compiling does not disturb
        running[side] = started(side, shape, sys.executable if side == "refimpl" else python)
        first[side] = answer(running[side])[0]
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, process in running.items():
            process.stdin.write("\n")
            seconds, memory[side] = answer(process)
            times[side].append(seconds)
    for process in running.values():
        process.stdin.close()
        process.wait()
    return {
        side: {
            "seconds": median(times[side]),
            "ratio": median(t / r for t, r in zip(times[side], times["refimpl"], strict=True)),
            "first": first[side],
            "memory": memory[side],
        }
        for side in sides
    }


def table(found: dict[str, Any]) -> str:
    """Markdown: one row a side and shape."""
    lines = [
        "# A step of training, side by side",
        "",
        "Adam, dropout 0.1, no padding; made by `benches/fit.py`: "
        f"{found['cpus']} CPUs, medians of steps taken in turn.",
        "",
        "| shape | side | a step | times ours | first step | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for shape, rows in found["shapes"].items():
        config, count, source, target = SHAPES[shape]
        sizes = "/".join(str(config[key]) for key in SIZES)
        title = f"{shape}: {sizes}, batch {count}, lengths {source}/{target}"
        for side, row in rows.items():
            numbers = f"{row['seconds']:.3f} s | {row['ratio']:.2f} | {row['first']:.1f} s | {row['memory']:.2f} GB"
            lines.append(f"| {title} | {side} | {numbers} |")
    return "\n".join([*lines, "", f"A shape: {', '.join(SIZES)}. {found['note']}".rstrip(), ""])


def picture(found: dict[str, Any], path: Path) -> None:
    """Bars: seconds a step, one panel a shape."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(found["shapes"]), figsize=(4.5 * len(found["shapes"]), 2.8), squeeze=False)
    for panel, (shape, rows) in zip(panels[0], found["shapes"].items(), strict=True):
        names = list(rows)[::-1]
        colours = ["#3465a4" if name == "refimpl" else "#aaaaaa" for name in names]
        bars = panel.barh(names, [rows[name]["seconds"] for name in names], color=colours)
        panel.bar_label(bars, fmt="%.3f", padding=2)
        panel.set_title(f"{shape}: seconds a step")
        panel.margins(x=0.25)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def write(found: dict[str, Any], folder: Path) -> None:
    """Write and print the results."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "fit.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "fit.md").write_text(table(found))
    print(table(found))
    try:
        picture(found, folder / "fit.png")
    except ModuleNotFoundError:
        print("no picture: matplotlib is missing")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", default=",".join(SHAPES), help=f"default: {','.join(SHAPES)}")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python with the peers extra")
    parser.add_argument("--sides", default=",".join(SIDES), help=f"default: {','.join(SIDES)}")
    parser.add_argument("--rounds", type=int, help="steps of each side")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--note", default="", help="a sentence on the circumstances")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work)
        return
    sides = arguments.sides.split(",") if arguments.peers else ["refimpl"]
    found: dict[str, Any] = {"cpus": os.cpu_count(), "note": arguments.note, "shapes": {}}
    earlier = arguments.out / "fit.json"
    if earlier.exists():  # shapes that are not measured now stay
        found["shapes"] = json.loads(earlier.read_text())["shapes"]
    for shape in arguments.shapes.split(","):
        rounds = arguments.rounds or ROUNDS[shape]
        found["shapes"][shape] = measured(shape, sides, arguments.peers, rounds)
        write(found, arguments.out)


if __name__ == "__main__":
    main()
