"""One training step here and in the peers, side by side: `python benches/fit.py --peers PYTHON [--shape small|base]`.

Each side runs in a process of its own and gets its turns in rotation, so that whatever else the machine does falls on
all of them. Printed: the median of each side's steps, and the median over the rounds of each peer's time over ours.
PYTHON has the `peers` extra installed; without --peers only this project is measured.
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
    "small": (dict(zip(SIZES, (71, 2, 4, 128, 512), strict=True)), 256, 20, 22),
    "base": (dict(zip(SIZES, (50265, 6, 12, 768, 3072), strict=True)), 8, 64, 64),
}
SIDES = ("refimpl", "keras_hub-tensorflow", "keras_hub-jax", "transformers")
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
    for _ in range(3):
        step()
    print(json.dumps("ready"), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6]), flush=True)


def started(side: str, shape: str, python: str) -> Any:
    command = [python, __file__, "--work", side, "--shape", shape]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=environment, text=True, bufsize=1, **pipes)


def answer(process: Any) -> Any:
    """The next line that is an answer; frameworks print others."""
    for line in process.stdout:
        if line.startswith(("[", '"')):
            return json.loads(line)
    raise SystemExit("a side ended early")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python with the peers extra")
    parser.add_argument("--sides", default=",".join(SIDES), help=f"default: {','.join(SIDES)}")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.shape)
        return
    sides = arguments.sides.split(",") if arguments.peers else ["refimpl"]
    running = {}
    for side in sides:  # one after the other, so that compiling does not disturb
        running[side] = started(side, arguments.shape, sys.executable if side == "refimpl" else arguments.peers)
        answer(running[side])
    times: dict[str, list[float]] = {side: [] for side in sides}
    memory = {}
    for _ in range(arguments.rounds):
        for side, process in running.items():
            process.stdin.write("\n")
            seconds, memory[side] = answer(process)
            times[side].append(seconds)
    for process in running.values():
        process.stdin.close()
        process.wait()
    print(f"{'side':<22}{'median':>10}{'their time':>13}{'peak memory':>13}")
    for side in sides:
        ratio = median(t / r for t, r in zip(times[side], times["refimpl"], strict=True))
        print(f"{side:<22}{median(times[side]):>9.3f}s{ratio:>12.2f}x{memory[side]:>11.2f}GB")
    print("(the third column: how many times as long as ours a side takes)")


if __name__ == "__main__":
    main()
