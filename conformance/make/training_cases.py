# ruff: noqa: E501  (tables read better unbroken)
"""Write golden/training/steps.json: runs of training, with PyTorch in float64 as truth and KerasHub as noise.

Needs the `peers` extra: KERAS_BACKEND=jax python -m conformance.make.training_cases
The updates are written out here from the papers' and Keras's formulas, in float64.
"""

import os
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np
import torch
from safetensors.numpy import save_file

from conformance.adapters.keras_hub import KerasHub
from conformance.adapters.transformers import Transformers
from conformance.make.goldens import render
from conformance.make.questions import moonshine
from conformance.make.questions.covering import training_questions
from conformance.suite.cases import FORMAT, GOLDEN
from conformance.suite.runner import filled_in
from conformance.suite.signals import spelled_out

PRESET, SPOKEN = "bart_dropout0", "training.batch.train#moonshine"  # the one question about sound
FLAGS = {
    "Loss": "the loss is another one, or divided by something else",
    "Padding": "padding counts in the loss or in the scores",
    "Gradient": "a gradient is wrong or lacks a use of a shared weight",
    "Optimizer": "the update is another formula",
    "Dropout": "dropout is on where it should be off",
}
SIZE = 287


def batch(seed: int, weighted: bool = True, more: int = 0, empty: bool = False) -> dict[str, Any]:
    """Three ragged rows; one id stands in the sources, in the targets and among the labels."""
    rng = np.random.default_rng(seed)
    inputs: dict[str, Any] = {}
    for side, width, lengths in (("encoder", 7, [7, 3, 5]), ("decoder", 6, [6, 2, 4])):
        used = np.arange(width) < np.array([*lengths[:2], 0] if empty else lengths)[:, None]
        ids = np.where(used, rng.integers(3, SIZE, (3, width)), 1)
        ids[:2, 1] = 11
        extra = ((0, 0), (0, more))
        inputs[f"{side}_token_ids"] = np.pad(ids, extra, constant_values=1).tolist()
        inputs[f"{side}_padding_mask"] = np.pad(used, extra).tolist()
    mask = np.array(inputs["decoder_padding_mask"])
    labels = np.roll(np.array(inputs["decoder_token_ids"]), -1, axis=1).tolist()
    weights = (mask * np.array([[1.0], [0.5], [2.0]])).tolist() if weighted else None
    return {"inputs": inputs, "labels": labels, "weights": weights}


def spoken() -> dict[str, Any]:
    """Two recordings of two and of one frame, with four and three tokens."""
    inputs = moonshine.batch([1400, 895], [4, 3])
    labels = [[*row[1:], 1] for row in inputs["decoder_token_ids"]]
    return {"inputs": inputs, "labels": labels, "weights": [[1.0, 1.0, 1.0, 0.5], [2.0, 1.0, 1.0, 0.0]]}


TWO = [batch(1), batch(2)]
SGD = {"optimizer": "SGD", "options": {"learning_rate": 0.05}, "steps": 4}
QUESTIONS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("training.batch.train#tied-ids", "Gradient", "Ids that stand in source, target and labels.", {"batches": TWO, **SGD}),
    ("training.loss.cross-entropy#unweighted", "Loss", "No weights.", {"batches": [batch(3, False)], **SGD}),
    ("training.loss.divisor#ragged", "Loss", "Weights other than 0 and 1.", {"batches": [batch(4)], **SGD}),
    ("training.loss.padding-inert#columns", "Padding", "Five columns of padding.", {"batches": [batch(4, more=5)], **SGD}),
    ("training.loss.padding-inert#row", "Padding", "A row of padding.", {"batches": [batch(5, empty=True)], **SGD}),
    ("training.metric.accuracy#after-fitting", "Loss", "Steps until most labels are guessed.",
     {"batches": [batch(6)], "optimizer": "Adam", "options": {"learning_rate": 0.05}, "steps": 9}),
    ("training.optimizer.sgd#nesterov", "Optimizer", "Momentum with look-ahead.",
     {"batches": TWO, "optimizer": "SGD", "options": {"learning_rate": 0.02, "momentum": 0.8, "nesterov": True}, "steps": 5}),
    ("training.optimizer.adam#large-epsilon", "Optimizer", "An epsilon that shows where it is added.",
     {"batches": TWO, "optimizer": "Adam",
      "options": {"learning_rate": 0.02, "epsilon": 0.01, "beta_1": 0.7, "beta_2": 0.8}, "steps": 5}),
    ("training.optimizer.adamw#decay", "Optimizer", "Decay of its own.",
     {"batches": TWO, "optimizer": "AdamW", "options": {"learning_rate": 0.02, "weight_decay": 2.0, "epsilon": 0.01}, "steps": 5}),
    *((f"training.optimizer.clipping#{name}", "Optimizer", "A limit that bites.",
       {"batches": TWO, "optimizer": "SGD", "options": {"learning_rate": 0.2, name: limit}, "steps": 5})
      for name, limit in (("clipnorm", 0.05), ("global_clipnorm", 0.3), ("clipvalue", 0.01))),
    (SPOKEN, "Gradient", "Moonshine: gradients through attention, norms and three convolutions; frequencies stay.",
     {"batches": [spoken()], "optimizer": "SGD", "options": {"learning_rate": 0.001}, "steps": 3}),
]  # fmt: skip


def update(name: str, options: dict[str, Any], step: int, w: Any, g: Any, state: dict[str, Any]) -> Any:
    """The new weight, by Keras's formulas."""
    rate = options["learning_rate"]
    w = w - w * rate * options.get("weight_decay", 0.0)
    if name == "SGD":
        share = options.get("momentum", 0.0)
        state["m"] = state.get("m", 0.0) * share - rate * g
        return w + (share * state["m"] - rate * g if options.get("nesterov") else state["m"])
    b1, b2 = options.get("beta_1", 0.9), options.get("beta_2", 0.999)
    state["m"] = b1 * state.get("m", torch.zeros_like(g)) + (1 - b1) * g
    state["v"] = b2 * state.get("v", torch.zeros_like(g)) + (1 - b2) * g * g
    size = rate * (1 - b2**step) ** 0.5 / (1 - b1**step)
    return w - size * state["m"] / (state["v"].sqrt() + options.get("epsilon", 1e-7))


def clipped(gradients: list[Any], options: dict[str, Any]) -> list[Any]:
    if limit := options.get("clipvalue"):
        return [g.clamp(-limit, limit) for g in gradients]
    if limit := options.get("clipnorm"):
        return [g * limit / max(float(g.norm()), limit) for g in gradients]
    if limit := options.get("global_clipnorm"):
        total = float(torch.stack([g.norm() for g in gradients]).norm())
        return [g * limit / max(total, limit) for g in gradients]
    return gradients


def truth(load: dict[str, Any], args: dict[str, Any], dtype: str) -> dict[str, np.ndarray]:
    """The run by transformers. Clipping by tensor takes the tensors as KerasHub has them: one for each name here too."""
    adapter = Transformers(dtype)
    adapter.load(load)
    model, states, losses, hits = adapter.model, {}, [], []
    for step in range(args["steps"]):
        part = args["batches"][step % len(args["batches"])]
        y = torch.tensor(part["labels"])
        w = torch.ones(y.shape) if part["weights"] is None else torch.tensor(part["weights"])
        w = w.to(next(model.parameters()).dtype)
        logits = model(**adapter.batch(spelled_out(part["inputs"]))).logits
        each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none")
        loss = (each * w.flatten()).sum() / y.numel()
        losses.append(loss.item())
        hits.append(float(((logits.argmax(-1) == y) * w).sum() / w.sum()))
        parameters = dict(model.named_parameters())
        found = torch.autograd.grad(loss, list(parameters.values()))
        rows = [g[2:] if "embed_positions" in n else g for n, g in zip(parameters, found, strict=True)]
        factors = clipped(rows, args["options"])
        with torch.no_grad():
            for (name, weight), g in zip(parameters.items(), factors, strict=True):
                place = weight[2:] if "embed_positions" in name else weight
                place.copy_(update(args["optimizer"], args["options"], step + 1, place, g, states.setdefault(name, {})))
    return {"losses": np.array(losses), "accuracies": np.array(hits)}


def main() -> None:
    keras = KerasHub()
    cases, arrays = [], {}
    about = {
        "producer": "transformers",
        "version": Transformers("float64").start()["version"],
        "backend": "torch float64",
    }
    asked = [(*question, "moonshine_tiny" if question[0] == SPOKEN else PRESET, None) for question in QUESTIONS]
    for id, flag, told, args, preset, damage in [*asked, *training_questions()]:
        load: dict[str, Any] = {"op": "load", "args": {"preset": preset, "preprocessor": None, "keep": False}}
        load |= {"damage": damage} if damage else {}
        errors: dict[str, Any] = {}
        wanted: dict[str, Any] = {}
        with tempfile.TemporaryDirectory() as scratch:
            sent = filled_in(load, Path(scratch), 0)
            right = truth(sent, args, "float64")
            keras.load(sent)
            runs = {
                "keras_hub jax": keras.call("train", spelled_out(args)),
                "transformers32": truth(sent, args, "float32"),
            }
        for name, found in runs.items():
            errors[name] = {key: float(np.abs(found[key] - value).max()) for key, value in right.items()}
        for key, value in right.items():
            floor = max(1e-6, *(float(f"{error[key]:.3g}") for error in errors.values()))
            arrays[f"{id}/{key}"], wanted[key] = value, {"truth": f"{id}/{key}", "floor": floor}
        print(id, errors)
        steps = [load, {"op": "train", "args": args, "expect": {"numeric": wanted}}]
        provenance = about | {"date": date.today().isoformat(), "float32_errors": errors}
        capability = {"moonshine_tiny": "moonshine", "t5gemma_tiny": "t5gemma"}.get(preset, "probe")
        case = {"id": id, "about": told, "flags": [flag], "capability": capability}
        cases.append(case | {"steps": steps, "provenance": provenance})
    flags = {flag: FLAGS[flag] for flag in FLAGS if any(flag in case["flags"] for case in cases)}
    path = (Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN / "training") / "steps.json"
    path.write_text(render({"format": FORMAT, "flags": flags, "cases": cases}) + "\n", encoding="utf-8")
    save_file(arrays, path.with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
