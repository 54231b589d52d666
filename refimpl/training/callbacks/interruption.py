"""Ctrl-C between two batches."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

from refimpl.terminal import say
from refimpl.training.callbacks.callback import Callback, Logs


class Interruption(Callback):
    """Inside a `with` block Ctrl-C is noted, and ends training after the batch; after the last batch of an epoch, when
    that is validated and saved. Pass it as the last callback. A second Ctrl-C interrupts at once.

    Python raises its exception wherever it is; in a callback of a weak reference it drops it.

    Raises: KeyboardInterrupt.
    Spec: training.command.interrupt
    """

    seen = False
    _before: Any = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) not in (
            signal.SIG_IGN,
            None,
        ):
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._restore()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Stop here, unless the epoch has no further batch."""
        if self.seen and batch + 1 != self.params["steps"]:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Stop here."""
        if self.seen:
            raise KeyboardInterrupt

    def _note(self, _: int, __: FrameType | None) -> None:
        self.seen = True
        self._restore()
        say("\nrefimpl: stopping after this batch; press Ctrl-C again to stop at once\n", sys.stderr)

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
