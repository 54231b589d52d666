"""How long Numba has compiled, by its own events, so that a wait can be named and does not count as work."""

from __future__ import annotations

import time
from collections.abc import Callable

seconds = 0.0  # since the program began
on_begin: list[Callable[[], None]] = []  # what is done once, when a compilation begins
_begun: list[float] = []  # of the compilations that run, one in another


def listen() -> None:
    """Count from now on. Call it where Numba is imported anyhow."""
    from numba.core import event  # noqa: PLC0415  (takes its time)

    class Listener(event.Listener):  # type: ignore[misc]
        def on_start(self, event: object) -> None:
            while on_begin:
                on_begin.pop()()
            _begun.append(time.monotonic())

        def on_end(self, event: object) -> None:
            global seconds
            began = _begun.pop()
            if not _begun:
                seconds += time.monotonic() - began

    event.register("numba:compile", Listener())
