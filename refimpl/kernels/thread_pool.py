"""Threads: how they share work, wait for each other, and are run.

Those of `generate` end with the call, so calls share nothing, and a process may fork between calls. This file alone
speaks LLVM: Numba has no word for an atomic counter.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from refimpl.kernels.jit import jit_inside
from refimpl.loading import LOADING

ARRIVED, ROUND, GIVEN_UP = 0, 8, 16  # counters, each in a cache line of its own
COUNTERS = 24
_SPINS = 4000  # some microseconds, longer than a stage's imbalance; then the core is offered to others
_WORD = ir.IntType(64)
WORTH_A_THREAD = 400_000  # products; fewer take less time than it takes to wake a thread


class Crew(NamedTuple):
    """The threads of one step, and which of them this is. Shapes: counters (COUNTERS) int64, zero at first."""

    counters: np.ndarray
    size: int
    rank: int


@intrinsic  # type: ignore[untyped-decorator]
def _add(_: Any, address: Any, value: Any) -> Any:
    """Add to the word at an address in one piece; gives what was there before."""

    def generate(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", builder.inttoptr(args[0], _WORD.as_pointer()), args[1], "acq_rel")

    return types.int64(types.intp, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _offer_core(_: Any) -> Any:
    """Let another thread run, where the system has a word for it."""

    def generate(_: Any, builder: Any, __: Any, ___: Any) -> Any:
        if sys.platform == "win32":
            return ir.Constant(ir.IntType(32), 0)
        name = "sched_yield"
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [])

    return types.int32(), generate


@jit_inside
def wait(crew: Crew) -> None:
    """Return when all threads are here, or when one of them has given up."""
    if crew.size == 1:
        return
    arrived = crew.counters[ARRIVED:].ctypes.data
    current, given_up = crew.counters[ROUND:].ctypes.data, crew.counters[GIVEN_UP:].ctypes.data
    now = _add(current, 0)
    if _add(arrived, 1) == crew.size - 1:
        _add(arrived, -crew.size)
        _add(current, 1)
        return
    spins = 0
    while _add(current, 0) == now and _add(given_up, 0) == 0:
        spins += 1
        if spins > _SPINS:
            _offer_core()


@jit_inside
def share(count: int, unit: int, crew: Crew) -> tuple[int, int]:
    """First and end of a thread's part of `count` things, in whole units. Parts differ by one unit at most."""
    units = (count + unit - 1) // unit
    return units * crew.rank // crew.size * unit, min(units * (crew.rank + 1) // crew.size * unit, count)


Task = Callable[[Crew], None]
_LOADED: set[tuple[Any, ...]] = set()  # the functions of tasks that were run


class ThreadPool:
    """Runs a task in several threads at once, each with its rank in the crew; this thread is the first."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most or number_of_threads()
        self._counters = np.zeros(COUNTERS, np.int64)
        self._executor = ThreadPoolExecutor(max(1, self.most - 1), thread_name_prefix="refimpl")  # starts none yet

    def run(self, task: Task, work: int, functions: tuple[Any, ...] = ()) -> None:
        """Run a task of so many products in as many threads as they keep busy; return when all are through.

        The first task of this process that calls these compiled `functions` is run by one thread, as it compiles them.
        """
        if functions and functions not in _LOADED:
            with LOADING:
                task(Crew(self._counters, 1, 0))
            _LOADED.add(functions)
            return
        size = max(1, min(self.most, work // WORTH_A_THREAD))
        crews = [Crew(self._counters, size, rank) for rank in range(size)]
        others = [self._executor.submit(self._guarded, task, crew) for crew in crews[1:]]
        try:
            self._guarded(task, crews[0])
        finally:
            failed = [other.exception() for other in others]
            self._counters[:] = 0
        for error in filter(None, failed):
            raise error

    def _guarded(self, task: Task, crew: Crew) -> None:
        """Run a thread's part; if it fails, nobody waits for it."""
        try:
            task(crew)
        except BaseException:
            crew.counters[GIVEN_UP] = 1
            raise


def number_of_threads() -> int:
    """As many as NUMBA_NUM_THREADS says, which is the number of this process's CPUs if it is not set, and no more."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(numba.config.NUMBA_NUM_THREADS, cpus))
