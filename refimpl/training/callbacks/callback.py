"""The hooks of a callback, with Keras's names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from refimpl.errors import ConfigError

Logs = dict[str, float]


class Callback:
    """Derive from it and define the hooks that you need. `self.model` is the task, `self.params` what fit was given.

    `self.model.stop_training = True` ends training after the epoch.

    Spec: training.callbacks.hooks
    """

    model: Any = None
    params: dict[str, Any]

    def set_model(self, model: Any) -> None:
        """The task that is trained."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """`verbose`, `epochs` and `steps` (None if unknown)."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; `logs` holds all scores."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of training."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of training; `logs` holds the scores of the epoch so far."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of evaluation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of prediction."""


KERAS_ONLY = {
    "BackupAndRestore": "Pass refimpl.callbacks.BackupAndRestore, which keeps the optimizer too.",
    "TensorBoard": "Pass refimpl.callbacks.CSVLogger, or write logs in on_epoch_end of a callback of your own.",
}


class CallbackList:
    """Calls a hook of all callbacks, in their order; a callback may leave out hooks.

    Keras's own callbacks do as well, if they ask for nothing but scores, rates and weights.

    Spec: training.callbacks.keras
    """

    def __init__(self, callbacks: Any, model: Any, params: dict[str, Any]) -> None:
        given = [] if callbacks is None else list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
        for callback in given:
            if type(callback).__module__.startswith("keras.") and type(callback).__name__ in KERAS_ONLY:
                raise ConfigError(
                    f"callbacks holds Keras's {type(callback).__name__}.",
                    "It keeps and restores what only a model of Keras has.",
                    KERAS_ONLY[type(callback).__name__],
                    "training.callbacks.keras",
                )
            if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
                raise ConfigError(
                    f"callbacks holds {callback!r:.60}.",
                    "It must hold objects of refimpl.callbacks.Callback.",
                    "Derive your class from it, and pass an instance.",
                    "training.callbacks.hooks",
                )
        self.callbacks = given
        self.call("set_params", params)
        self.call("set_model", model)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call the hook of that name."""
        for callback in self.callbacks:
            function = getattr(callback, hook, None)
            if function is not None:
                function(*arguments)
