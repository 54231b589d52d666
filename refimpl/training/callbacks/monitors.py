"""Callbacks that look at one score."""

from __future__ import annotations

import sys
import warnings
from os import PathLike
from typing import Any

import numpy as np

from refimpl.errors import ConfigError
from refimpl.terminal import say
from refimpl.training.callbacks.callback import Callback, Logs


class Monitor(Callback):
    """What both share: the score, and whether it got better."""

    def __init__(self, monitor: str, mode: str, min_delta: float, best: float | None) -> None:
        self.monitor, self.mode, self.min_delta, self.best = monitor, mode, abs(min_delta), best
        if mode not in ("auto", "min", "max"):
            raise ConfigError(
                f"mode={mode!r} was passed.",
                "It must be 'auto', 'min' or 'max'.",
                "Leave it out: the direction of the known scores is known.",
                "training.callbacks.mode",
            )

    def improved(self, value: float, than: float | None) -> bool:
        """Whether `value` is better by more than `min_delta`; anything is better than nothing, or no number."""
        if than is None or np.isnan(than):
            return True
        return value - self.min_delta > than if self._up() else value + self.min_delta < than

    def _up(self) -> bool:
        """Whether more is better. Raises: ConfigError if nobody knows."""
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            return False
        for metric in self.model.metrics:
            direction = getattr(metric, "direction", "") or getattr(metric, "_direction", "")
            if metric.name == name and direction:
                return bool(direction == "up")
        raise ConfigError(
            f"{type(self).__name__} monitors {self.monitor!r} with mode='auto'.",
            "It must be known whether more or less of a score is better.",
            "Pass mode='max' or mode='min'.",
            "training.callbacks.mode",
        )

    def value_of(self, logs: Logs | None) -> float | None:
        """The score, or None with a warning."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"{type(self).__name__} monitors {self.monitor!r}, which is not there. "
                f"Scores: {', '.join(logs or {})}. Pass validation_data for val_ scores.",
                stacklevel=2,
            )
        return value


class EarlyStopping(Monitor):
    """Ends training when the score did not get better for `patience` epochs.

    Spec: training.callbacks.early-stopping
    Source: keras 3.15.1 callbacks/early_stopping.py
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, None)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.earlier: list[float] = []  # the score in the epochs before `initial_epoch`, for a run that goes on

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier run, but for the scores in `earlier`: their epochs count."""
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[np.ndarray] | None = None
        for epoch, value in enumerate(self.earlier[self.start_from_epoch :], self.start_from_epoch):
            self._count(epoch, value)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the score with the best one."""
        value = self.value_of(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        if self._count(epoch, value):
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def _count(self, epoch: int, value: float) -> bool:
        """Count an epoch; whether it is the best so far."""
        self.wait += 1
        if not self.improved(value, self.best):
            return False
        self.best, self.best_epoch = value, epoch
        if self.baseline is None or self.improved(value, self.baseline):
            self.wait = 0
        return True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Go back to the best weights, if that was asked for."""
        if self.verbose and self.stopped_epoch:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping\n", sys.stdout)
        if self.best_weights is not None:
            if self.verbose:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.\n", sys.stdout)
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(Monitor):
    """Saves the task as a preset folder with the training state in it. `filepath` may hold `{epoch}` and scores.

    With `save_weights_only` and a name that ends in `.weights.h5` it is Keras's file of weights. Otherwise, unlike
    Keras, it writes a folder, which `from_preset` loads here and in KerasHub, and in one step: what goes wrong
    while saving leaves the earlier checkpoint.

    Spec: training.callbacks.model-checkpoint, training.checkpoint.atomic
    """

    def __init__(
        self,
        filepath: str | PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, 0.0, initial_value_threshold)
        self.filepath, self.verbose, self.save_best_only = str(filepath), verbose, save_best_only
        self.save_weights_only, self.save_freq = save_weights_only, save_freq
        self._since = self._epoch = 0
        if self.filepath.endswith((".keras", ".h5")) and not (
            save_weights_only and self.filepath.endswith(".weights.h5")
        ):
            raise ConfigError(
                f"The filepath {self.filepath!r} was passed with save_weights_only={save_weights_only}.",
                "A checkpoint is a folder, or with save_weights_only=True a file whose name ends in `.weights.h5`.",
                "Pass the name of a folder, which from_preset loads.",
                "training.callbacks.model-checkpoint",
            )
        if save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ConfigError(
                f"Unrecognized save_freq: {save_freq!r}.",
                "Expected save_freq are 'epoch' or integer values above 0.",
                "Leave it out to save after each epoch.",
                "training.callbacks.model-checkpoint",
            )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember the epoch, for the folder's name."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save after every `save_freq` batches."""
        self._since += 1
        if self.save_freq != "epoch" and self._since >= int(self.save_freq):
            self._since = 0
            self._save(self._epoch, logs, done=False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save after the epoch."""
        if self.save_freq == "epoch":
            self._save(epoch, logs, done=True)

    def _save(self, epoch: int, logs: Logs | None, done: bool) -> None:
        if self.save_best_only:
            value = self.value_of(logs)
            if value is not None and not self.improved(value, self.best):
                return
            self.best = value if value is not None else self.best
        path = self._path(epoch, logs)
        if self.verbose:
            say(f"\nEpoch {epoch + 1}: saving model to {path}\n", sys.stdout)
        if self.save_weights_only and path.endswith(".weights.h5"):
            self.model.save_weights(path)
        elif self.save_weights_only:
            self.model.save_to_preset(path)
        else:
            self.model.save_checkpoint(path, epoch=epoch + 1 if done else epoch)

    def _path(self, epoch: int, logs: Any) -> str:
        """The folder's name, filled in."""
        try:
            return self.filepath.format(epoch=epoch + 1, **(logs or {}))
        except KeyError as error:
            raise ConfigError(
                f"The filepath {self.filepath!r} asks for {error}.",
                f"It may hold epoch and the scores {', '.join(logs or {})}.",
                "Use one of these names.",
                "training.callbacks.model-checkpoint",
            ) from error
