"""Work shared out among threads, at each operation or once for a whole step."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import numpy as np

from refimpl.kernels.thread_pool import number_of_threads
from refimpl.loading import call

Array = np.ndarray
T = TypeVar("T")

_SMALL = 20_000  # numbers; less work than this is not worth a second thread
_pool: ThreadPoolExecutor | None = None
_shard = threading.local()  # has `alone` in a thread that works on a shard


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
    shards = min(number_of_threads(), rows)
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
        _pool = ThreadPoolExecutor(max(1, number_of_threads() - 1), thread_name_prefix="refimpl-autograd")
    return _pool


def share(function: Callable[..., None], rows: int, numbers: int, *args: Any, sums: tuple[int, ...] = ()) -> Array:
    """Run `function(first, end, *args)` on all rows, on as many threads as the work is worth.

    With `sums` it adds something up over its rows: each thread gets an array of that shape as last argument, and what
    they sum to is returned.
    """
    parts = 1 if numbers <= _SMALL or hasattr(_shard, "alone") else max(1, min(number_of_threads(), rows))
    bounds = [rows * n // parts for n in range(parts + 1)]
    own = np.zeros((parts, *sums), np.float32)

    def run(n: int) -> None:
        call(function, bounds[n], bounds[n + 1], *args, *([own[n]] if sums else []))

    others = [_helpers().submit(run, n) for n in range(1, parts)]
    try:
        run(0)
    finally:
        wait(others)
    for other in others:
        other.result()
    return own[0] if parts == 1 else own.sum(axis=0)
