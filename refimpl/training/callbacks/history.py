"""The scores of all epochs."""

from __future__ import annotations

from refimpl.training.callbacks.callback import Callback, Logs


class History(Callback):
    """What `fit` returns: `history` maps a score's name to its value in each epoch, `epoch` holds their numbers.

    Spec: training.fit.history
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start with no epoch."""
        self.history, self.epoch = {}, []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the epoch's scores."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
