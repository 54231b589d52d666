"""Work shared out among threads, at each operation or once for a whole step."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np

from refimpl.autograd.blas import is_known

Array = np.ndarray
T = TypeVar("T")

_SMALL = 20_000  # numbers; less work than this is not worth a second thread
_pool: ThreadPoolExecutor | None = None
_shard = threading.local()  # has `alone` in a thread that works on a shard


def _keep_freed_memory() -> None:
    """Let the process keep what it frees, where the C library is glibc.

    A step asks for the same arrays again and again, and to get fresh pages from the system would take longer than to
    compute what goes into them.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: large arrays come from the heap too
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap does not shrink


_keep_freed_memory()


def _threads() -> int:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, int(os.environ.get("NUMBA_NUM_THREADS", cpus))))


def _forget_pool() -> None:
    """After a fork: the child has none of its parent's threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def in_shards(function: Callable[[int, int], T], rows: int) -> list[T]:
    """Run `function(first, end)` on parts of a batch's rows, each on one thread from its beginning to its end.

    Threads then wait for each other once a step and not at every operation.
    """
    shards = min(_threads(), rows) if is_known else 1
    bounds = [rows * n // shards for n in range(shards + 1)]

    def run(n: int) -> T:
        _shard.alone = True
        try:
            return function(bounds[n], bounds[n + 1])
        finally:
            del _shard.alone

    if shards == 1:
        return [function(0, rows)]
    others = [_helpers().submit(run, n) for n in range(1, shards)]
    try:
        return [run(0), *(other.result() for other in others)]
    finally:
        wait(others)  # should one fail, none is left running


def _helpers() -> ThreadPoolExecutor:
    """The threads beside the calling one."""
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max(1, _threads() - 1), thread_name_prefix="refimpl-autograd")
    return _pool


def parts_for(rows: int, numbers: int) -> int:
    """Into how many parts work is shared out."""
    return 1 if numbers <= _SMALL or hasattr(_shard, "alone") else min(_threads(), rows)


def share(kernel: Callable[..., None], rows: int, numbers: int, *args: Any) -> None:
    """Run a kernel over all rows, on as many threads as the work is worth."""
    parts = parts_for(rows, numbers)
    bounds = [rows * n // parts for n in range(parts + 1)]
    waiting = [_helpers().submit(kernel, bounds[n], bounds[n + 1], *args) for n in range(1, parts)]
    kernel(0, bounds[1], *args)
    for part in waiting:
        part.result()


def share_sums(kernel: Callable[..., None], rows: int, numbers: int, shape: tuple[int, ...], *args: Any) -> Array:
    """The same for a kernel that adds something up over its rows, in an array of its own as last argument."""
    parts = parts_for(rows, numbers)
    bounds = [rows * n // parts for n in range(parts + 1)]
    sums = np.zeros((parts, *shape), np.float32)
    waiting = [_helpers().submit(kernel, bounds[n], bounds[n + 1], *args, sums[n]) for n in range(1, parts)]
    kernel(0, bounds[1], *args, sums[0])
    for part in waiting:
        part.result()
    return sums.sum(axis=0) if parts > 1 else sums[0]
