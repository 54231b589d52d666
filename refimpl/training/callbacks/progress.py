"""The progress bar of `fit` and `evaluate`, in Keras's looks."""

from __future__ import annotations

import sys
import time

from refimpl.training.callbacks.callback import Callback, Logs

WIDTH = 20
INTERVAL = 0.05  # seconds between two updates of the bar


def say(text: str) -> None:
    """Write to standard output, at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


class ProgressBar(Callback):
    """`verbose=1`: a bar that moves; 2: one line at the end of each epoch; 0: nothing.

    Spec: training.fit.verbose
    """

    def __init__(self, verbose: int, steps: int | None) -> None:
        self.verbose, self.steps = verbose, steps
        self._start = self._shown = time.monotonic()
        self._wide = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """The epoch's heading."""
        self._start, self._shown, self._seen = time.monotonic(), 0.0, 0
        if self.verbose:
            say(f"Epoch {epoch + 1}/{self.params['epochs']}\n")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._seen = batch + 1
        if self.verbose == 1 and time.monotonic() - self._shown >= INTERVAL:
            self._shown = time.monotonic()
            say("\r" + self._line(logs))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """The finished line."""
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start anew, unless evaluation is part of an epoch."""
        if not self.params.get("fitting"):
            self._start, self._shown, self._seen = time.monotonic(), 0.0, 0

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar of an evaluation."""
        if not self.params.get("fitting"):
            self.on_train_batch_end(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """The finished line of an evaluation."""
        if not self.params.get("fitting"):
            self._finish(logs)

    def _finish(self, logs: Logs | None) -> None:
        self.steps = self._seen
        if self.verbose:
            say(("\r" if self.verbose == 1 else "") + self._line(logs) + "\n")

    def _line(self, logs: Logs | None) -> str:
        """`12/50 ━━━━━ 3s 80ms/step - loss: 1.2345`."""
        passed = time.monotonic() - self._start
        step = passed / max(self._seen, 1)
        total = "Unknown" if self.steps is None else str(self.steps)
        parts = [f"{self._seen:{len(total)}d}/{total}"]
        if self.verbose == 1 and self.steps:
            done = WIDTH * min(self._seen, self.steps) // self.steps
            parts.append("━" * done + "─" * (WIDTH - done))
        left = passed if self.steps in (None, self._seen) else step * ((self.steps or 0) - self._seen)
        parts.append(f"{left:.0f}s {f'{step:.0f}s' if step >= 1 else f'{step * 1000:.0f}ms'}/step")
        scores = "".join(f" - {k}: {v:{'.4f' if abs(v) > 1e-3 else '.4e'}}" for k, v in (logs or {}).items())
        line = " ".join(parts) + scores
        padded, self._wide = line.ljust(self._wide), len(line)
        return padded if self.verbose == 1 else line
