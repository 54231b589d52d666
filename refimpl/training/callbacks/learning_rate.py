"""The learning rate by epochs."""

from __future__ import annotations

import sys
from collections.abc import Callable

from refimpl.terminal import say
from refimpl.training.callbacks.callback import Callback, Logs


class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch to `schedule(epoch, rate)`.

    Spec: training.callbacks.learning-rate-scheduler
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the rate."""
        optimizer = self.model.optimizer
        optimizer.learning_rate = rate = float(self.schedule(epoch, optimizer.learning_rate))
        if self.verbose:
            say(
                f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.\n",
                sys.stdout,
            )
