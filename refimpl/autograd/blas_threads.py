"""How many threads NumPy's matrix products take, in blocks that put back what was."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_WORTH_THREADS = 20_000_000  # parameters; below it threads wait for each other longer than they compute
_CHOSEN_BY_USER = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "GOTO_NUM_THREADS")
_controller = cache(ThreadpoolController)  # to look for the library takes longer than a small step
_lock, _inside, _limit = threading.Lock(), 0, None


def _begin_again() -> None:
    """After a fork: the child has none of its parent's other threads, and so none of their blocks."""
    global _lock, _inside, _limit
    if _limit is not None:
        _limit.restore_original_limits()
    _lock, _inside, _limit = threading.Lock(), 0, None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again)


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS has one thread in the block, and as many as before when the last such block of any thread ends.

    BLAS's threads wait for each other at every product, spinning; beside other work that costs more than it brings.
    """
    global _inside, _limit
    with _lock:
        _inside += 1
        _limit = _limit or _limited()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside and _limit is not None:
                _limit.restore_original_limits()
                _limit = None


def _limited() -> Any:
    return _controller().limit(limits=1, user_api="blas")


def spare_threads(parameters: int) -> AbstractContextManager[None]:
    """A block for a command: one thread for a small model, unless the user has set the number in the environment.

    On a busy machine OpenBLAS' threads made a command take nine times as long.

    Spec: cli.threads
    """
    is_large = parameters >= _WORTH_THREADS
    return nullcontext() if is_large or any(name in os.environ for name in _CHOSEN_BY_USER) else one_thread()
