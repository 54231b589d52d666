"""Work shared out among threads, at each operation or once for a whole step."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from refimpl.kernels.thread_pool import WORTH_A_THREAD, Crew, ThreadPool
from refimpl.loading import call

Array = np.ndarray
T = TypeVar("T")

_A_NUMBER = 40  # products that take as long as what is done to one number here
_pool = ThreadPool()  # for all steps: to start threads takes longer than a small operation
_shard = threading.local()  # has `alone` in a thread that works on a shard


def _forget_pool() -> None:
    """After a fork: the child has none of its parent's threads."""
    global _pool
    _pool = ThreadPool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def in_shards(function: Callable[[int, int], T], rows: int) -> list[T]:
    """Run `function(first, end)` on parts of a batch's rows, each on one thread from its beginning to its end.

    Threads then wait for each other once a step and not at every operation.
    """
    found: dict[int, T] = {}

    def task(crew: Crew) -> None:
        _shard.alone = crew.size > 1
        try:
            found[crew.rank] = function(*_part(rows, crew))
        finally:
            _shard.alone = False

    _pool.run(task, rows * WORTH_A_THREAD)
    return [found[rank] for rank in sorted(found)]


def share(function: Callable[..., None], rows: int, numbers: int, *args: Any, sums: tuple[int, ...] = ()) -> Array:
    """Run `function(first, end, *args)` on all rows, on as many threads as the work is worth.

    With `sums` it adds something up over its rows: each thread gets an array of that shape as last argument, and what
    they sum to is returned.
    """
    own = np.zeros((_pool.most, *sums), np.float32)

    def task(crew: Crew) -> None:
        call(function, *_part(rows, crew), *args, *([own[crew.rank]] if sums else []))

    alone = getattr(_shard, "alone", False)
    _pool.run(task, 0 if alone else min(rows * WORTH_A_THREAD, numbers * _A_NUMBER))
    return own.sum(axis=0)


def _part(rows: int, crew: Crew) -> tuple[int, int]:
    """First and end of a thread's rows."""
    return rows * crew.rank // crew.size, rows * (crew.rank + 1) // crew.size
