"""Checkpoints: a preset folder that also holds what training needs to go on as if it had never stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from refimpl.errors import CheckpointError
from refimpl.presets import open_preset
from refimpl.presets.saving import replaced_folder
from refimpl.training.optimizers import Optimizer

STATE_FILE = "training_state.safetensors"


def write_state(folder: Path, optimizer: Optimizer, seed: int, extra: Mapping[str, Any]) -> None:
    """Write the optimizer's arrays and counters. `extra` is what the caller wants back, as JSON.

    Spec: training.checkpoint.exact
    """
    slots = optimizer.state.items()  # safetensors writes memory as it lies, whatever the strides say
    arrays = {f"{slot}:{name}": np.ascontiguousarray(array) for slot, held in slots for name, array in held.items()}
    about = {
        "optimizer": type(optimizer).__name__,
        "iterations": optimizer.iterations,
        "seed": seed,
        "slots": list(optimizer.state),
        "extra": dict(extra),
    }
    save_file(arrays or {"none": np.zeros(0, np.float32)}, folder / STATE_FILE, {"state": json.dumps(about)})


def read_state(path: Path, optimizer: Optimizer, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, dict[str, Any]]:
    """Fill the optimizer; returns the seed and what the writer kept beside it.

    Raises: CheckpointError if there is no state, or one that is damaged, or that of another optimizer or model; then
    nothing was changed.
    Spec: training.checkpoint.exact, training.checkpoint.fits, training.checkpoint.damaged
    """
    try:
        with safe_open(path, "numpy") as file:
            about = json.loads((file.metadata() or {})["state"])
            arrays = {key: file.get_tensor(key) for key in file.keys() if key != "none"}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise _damaged(path, f"can't be read: {error}") from error
    wanted = {"optimizer": str, "iterations": int, "seed": int, "slots": list, "extra": dict}
    for key, kind in wanted.items():
        value = about.get(key) if isinstance(about, dict) else None
        if type(value) is not kind or (isinstance(value, int) and not 0 <= value < 2**63):
            raise _damaged(path, f"has {value!r:.40} for {key!r}")
    epoch = about["extra"].get("epoch")
    if epoch is not None and (type(epoch) is not int or epoch < 0):
        raise _damaged(path, f"has {epoch!r:.40} for 'epoch'")
    state: dict[str, dict[str, np.ndarray]] = {slot: {} for slot in optimizer.state}
    for key, array in arrays.items():
        slot, _, name = key.partition(":")
        if slot not in state or shapes.get(name) != array.shape:
            raise _other(path, about, optimizer)
        if not np.isfinite(array).all():
            raise _damaged(path, f"holds numbers that are not finite in {key!r:.80}")
        state[slot][name] = array
    if about["optimizer"] != type(optimizer).__name__ or about["slots"] != list(optimizer.state):
        raise _other(path, about, optimizer)
    optimizer.state, optimizer.iterations = state, about["iterations"]
    return about["seed"], about["extra"]


def _damaged(path: Path, problem: str) -> CheckpointError:
    return CheckpointError(
        f"{path} {problem}.",
        "A checkpoint folder must hold the training state that ModelCheckpoint or save_checkpoint wrote.",
        "Load the folder with from_preset to start anew from its weights.",
        "training.checkpoint.damaged",
    )


def _other(path: Path, about: Mapping[str, Any], optimizer: Optimizer) -> CheckpointError:
    return CheckpointError(
        f"{path} holds the state of {about['optimizer']} with {about['slots']}.",
        f"It must be that of the compiled optimizer, {type(optimizer).__name__} with {list(optimizer.state)}, "
        "for weights of the same shapes.",
        "Compile with the optimizer that the checkpoint was made with.",
        "training.checkpoint.fits",
    )


class Checkpointing:
    """Saving and loading of a task with its training state. It needs what a `Task` and a `BatchTrainer` have."""

    backbone: Any
    optimizer: Optimizer
    seed: int

    def save_checkpoint(self, folder: Any, epoch: int | None = None, extra: Mapping[str, Any] | None = None) -> None:
        """Save the task as a preset folder that also holds the optimizer's state, in one step.

        `epoch` is the number of finished epochs: the `initial_epoch` with which to go on.

        Spec: training.checkpoint.atomic, training.checkpoint.exact
        """
        with replaced_folder(folder) as fresh:
            self.write_preset_files(fresh)  # type: ignore[attr-defined]
            write_state(fresh, self.optimizer, self.seed, {"epoch": epoch, **(extra or {})})

    def load_checkpoint(self, folder: Any) -> dict[str, Any]:
        """Take weights and optimizer state from a checkpoint; returns `epoch` and whatever else was kept.

        Compile with the same optimizer before.

        Raises: CheckpointError, PresetError and their kin.
        Spec: training.checkpoint.exact, training.checkpoint.fits
        """
        preset = open_preset(folder)
        weights = self.backbone.weights_of(preset)
        shapes = {name: array.shape for name, array in weights.items()}
        self.seed, extra = read_state(preset.find(STATE_FILE) or preset.path / STATE_FILE, self.optimizer, shapes)
        self.backbone.params = weights
        return extra
