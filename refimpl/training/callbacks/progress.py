"""The progress bar of `fit` and `evaluate`, in Keras's looks."""

from __future__ import annotations

import shutil
import sys
import time

from refimpl.terminal import say
from refimpl.training import compile_clock
from refimpl.training.callbacks.callback import Callback, Logs

WIDTH = 20
INTERVAL = 0.05  # seconds between two updates of the bar


class ProgressBar(Callback):
    """`verbose=1`: a bar that moves; 2: one line at the end of each epoch; 0: nothing.

    Spec: training.fit.verbose, training.fit.verbose-compiling, training.fit.verbose-width
    """

    _shown = 0.0

    def __init__(self, verbose: int, steps: int | None) -> None:
        self.verbose, self.steps = verbose, steps
        self._restart()
        self._wide = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """The epoch's heading."""
        self._restart()
        if self.verbose:
            say(f"Epoch {epoch + 1}/{self.params['epochs']}\n", sys.stdout)
            compile_clock.on_begin[:] = [self._name_the_wait]

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._seen = batch + 1
        if self.verbose == 1 and time.monotonic() - self._shown >= INTERVAL:
            self._shown = time.monotonic()
            say("\r" + self._line(logs)[0], sys.stdout)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """The finished line."""
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start anew, unless evaluation is part of an epoch."""
        if not self.params.get("fitting"):
            self._restart()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar of an evaluation."""
        if not self.params.get("fitting"):
            self.on_train_batch_end(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """The finished line of an evaluation."""
        if not self.params.get("fitting"):
            self._finish(logs)

    def _restart(self) -> None:
        self._start, self._compiled = time.monotonic(), compile_clock.seconds
        self._shown, self._seen = 0.0, 0

    def _name_the_wait(self) -> None:
        say("Compiling, which the first run on a machine waits for ...\n", sys.stdout)

    def _finish(self, logs: Logs | None) -> None:
        self.steps = self._seen
        if self.verbose == 1:
            say("\r" + "\n".join(self._line(logs)) + "\n", sys.stdout)
        elif self.verbose:
            say(" - ".join(part.strip(" -") for part in self._line(logs)) + "\n", sys.stdout)

    def _line(self, logs: Logs | None) -> list[str]:
        """`12/50 ━━━━━ 3s 80ms/step - loss: 1.2345`, and in further lines what a terminal has no room for."""
        compiled = compile_clock.seconds - self._compiled
        passed = time.monotonic() - self._start - compiled
        step = passed / max(self._seen, 1)
        room = shutil.get_terminal_size().columns
        total = "Unknown" if self.steps is None else str(self.steps)
        parts = [f"{self._seen:{len(total)}d}/{total}"]
        if self.verbose == 1 and self.steps and room >= 50:
            done = WIDTH * min(self._seen, self.steps) // self.steps
            parts.append("━" * done + "─" * (WIDTH - done))
        left = passed if self.steps in (None, self._seen) else step * ((self.steps or 0) - self._seen)
        parts.append(f"{left:.0f}s {f'{step:.0f}s' if step >= 1 else f'{step * 1000:.0f}ms'}/step")
        scores = [f"{k}: {v:{'.4f' if abs(v) > 1e-3 else '.4e'}}" for k, v in (logs or {}).items()]
        if compiled >= 0.5:
            scores.insert(0, f"compiled in {compiled:.0f}s")
        lines = [" ".join(parts)]
        for score in scores:
            if len(lines[-1]) + len(score) + 3 < room:
                lines[-1] += f" - {score}"
            else:
                lines.append(f"    {score}")
        padded, self._wide = lines[0].ljust(self._wide), len(lines[0])
        return [padded, *lines[1:]] if self.verbose == 1 else lines
