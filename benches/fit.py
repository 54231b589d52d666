"""One training step here and in the peers, side by side: `python -m benches.fit --peers PYTHON`.

Each side runs in a process of its own and gets its turns in rotation, so that whatever else the machine does falls on
all of them. All get the same arrays, in which no position is padding. Measured: the first step, which compiles; the
median of each side's later steps; the median over the rounds of each peer's time over ours; the peak of the memory
that a process can't give back (held) and with the files that it maps (resident), ours with its code compiled before.
PYTHON has the `peers` extra installed; without --peers only this project is measured. `--render` writes `fit.md` from
what was measured.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benches.halves import RESULTS, Found, halves, keep, now, page, read
from benches.side import Side, answers, say, versions

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


def keras_hubs(shape: str) -> Step:
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
    """A side: the first step, two more, and then for each line on stdin one, answered by its seconds."""
    stream = answers()
    kind, _, backend = side.partition("-")
    step = ours(shape) if kind == "refimpl" else keras_hubs(shape) if backend else transformers_(shape)
    first = seconds(step)
    step()
    step()
    say({"first": first, "versions": versions()}, stream)
    for _ in sys.stdin:
        say(seconds(step), stream)


def seconds(step: Step) -> float:
    """Time of a step."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def measured(shape: str, sides: list[str], peers: str, rounds: int, held: dict[str, str]) -> dict[str, Found]:
    """Seconds of the first and the median step, ratio to ours, peak memory in MB, versions."""
    with tempfile.TemporaryDirectory() as cache:
        settings = held | {"NUMBA_CACHE_DIR": cache}
        commands = {
            side: [sys.executable if side == "refimpl" else peers, "benches.fit", "--work", side, shape]
            for side in sides
        }
        fresh = Side(commands["refimpl"], settings)
        fresh.close()
        # One after the other, so that compiling does not disturb.
        running = {side: Side(commands[side], settings | {"KERAS_BACKEND": side.partition("-")[2]}) for side in sides}
        times: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(rounds):
            for side, process in running.items():
                times[side].append(process.ask(""))
        for process in running.values():
            process.close()
    found = {
        side: {
            "seconds": median(times[side]),
            "ratio": median(t / r for t, r in zip(times[side], times["refimpl"], strict=True)),
            **process.memory,
            **process.hello,
        }
        for side, process in running.items()
    }
    found["refimpl"]["first"] = fresh.hello["first"]
    return found


def section(half: Found) -> list[str]:
    """Markdown: one row a side and shape."""
    lines = ["| shape | side | a step | times ours | first step | held | resident |", "|---|---|---|---|---|---|---|"]
    for shape, case in half["cases"].items():
        config, count, source, target = SHAPES[shape]
        sizes = "/".join(str(config[key]) for key in SIZES)
        title = f"{shape}: {sizes}, batch {count}, lengths {source}/{target}"
        for side, row in case["engines"].items():
            times = f"{row['seconds']:.3f} s | {row['ratio']:.2f} | {row['first']:.1f} s"
            numbers = f"{times} | {row['held_mb']:.0f} MB | {row['resident_mb']:.0f} MB"
            lines.append(f"| {title} | {side} | {numbers} |")
    return lines


def write(folder: Path) -> None:
    """Write and print `fit.md`."""
    about = "Adam, dropout 0.1, no padding; made by `python -m benches.fit`: medians of steps taken in turn. "
    about += f"A shape: {', '.join(SIZES)}."
    text = page(["# A step of training, side by side", "", about], read(folder, "fit"), section)
    (folder / "fit.md").write_text(text)
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="*", default=list(SHAPES), choices=list(SHAPES), metavar="SHAPE")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python with the peers extra")
    parser.add_argument("--sides", nargs="*", default=list(SIDES), help=f"default: {', '.join(SIDES)}")
    parser.add_argument("--rounds", type=int, help="steps of each side")
    parser.add_argument("--halves", nargs="*", default=list(halves()), choices=list(halves()), metavar="HALF")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--note", default="", help="a sentence on the circumstances")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(*arguments.work)
        return
    sides = list(dict.fromkeys(["refimpl", *(arguments.sides if arguments.peers else [])]))
    for half in () if arguments.render else arguments.halves:
        for shape in arguments.shapes:
            rounds = arguments.rounds or ROUNDS[shape]
            found = now() | {"rounds": rounds, "note": arguments.note}
            found["engines"] = measured(shape, sides, arguments.peers, rounds, halves()[half])
            keep(arguments.results, "fit", half, shape, found)
    write(arguments.results)


if __name__ == "__main__":
    main()
