"""The first call of a compiled function, which compiles it or loads its code: one at a time, never during a fork.

A process that forks while another of its threads compiles would leave Numba's lock locked in the child for ever. So
whoever imports Numba or calls a function for the first time holds `LOADING`, and a fork waits for it. This module is
imported with the package, before there can be such a thread.
"""

import concurrent.futures.thread  # noqa: F401  (so that its locks, and logging's, know of each fork from its beginning)
import os
import threading
from collections.abc import Callable
from typing import Any

LOADING = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=LOADING.acquire, after_in_parent=LOADING.release, after_in_child=LOADING.release)


def call(function: Callable[..., None], *args: Any) -> None:
    """Run a function of `jit` whose arguments have the same types at each call, or any other function."""
    if getattr(function, "signatures", True):
        function(*args)
        return
    with LOADING:
        try:
            function(*args)
        except OSError:  # the disk is full: the code was compiled and not kept
            function(*args)
