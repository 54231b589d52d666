"""Where the threads of one step wait for each other. Built on atomic memory operations: no OpenMP, no TBB.

`sync` is the address of `SYNC` zeroed int64 numbers.
"""

import sys
from typing import Any

from llvmlite import ir
from numba.core import types

from refimpl.kernels.legacy_jit import inner, instruction, once, whole
from refimpl.kernels.places import ARRIVED, LATE, ROUND, STOP
from refimpl.kernels.vector import Typed, fetch_near

_SPINS = 4000  # some microseconds, longer than a stage's imbalance; then the core is offered to others
_OFFERS = 300  # then a thread counts as late
_PATIENCE = 6000  # offers, some milliseconds: then it sleeps; waking up may take a virtual machine long
_NAP = 50  # microseconds
_FETCHED = 6144  # cache lines at most: they fit the second cache
_I64 = ir.IntType(64)
_POSIX = sys.platform != "win32"
_sched_yield: Any = types.ExternalFunction("sched_yield", types.int32())
_usleep: Any = types.ExternalFunction("usleep", types.int32(types.uint32))


def _place(b: Any, address: Any, index: Any) -> Any:
    return b.gep(b.inttoptr(address, _I64.as_pointer()), [index])


@instruction
def add_at(typing: Any, sync: Any, index: Any, value: Any) -> Typed:
    """Add atomically; gives the value from before."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        return b.atomic_rmw("add", _place(b, *args[:2]), args[2], "acq_rel")

    return types.int64(types.intp, types.intp, types.int64), generate


@instruction
def read(typing: Any, sync: Any, index: Any) -> Typed:
    """Read what another thread wrote, and all that it wrote before."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        return b.load_atomic(_place(b, *args), "acquire", 8)

    return types.int64(types.intp, types.intp), generate


@inner
def _let_others_run(times: int) -> None:
    """Offer the core to other threads; sleep if that was done very often."""
    if _POSIX:
        if times < _PATIENCE:
            _sched_yield()
        else:
            _usleep(_NAP)


@inner
def barrier(sync: int, team: int) -> None:
    """Return when all `team` threads are here, or when the step was given up."""
    barrier_and_fetch(sync, team, whole(0), whole(0), whole(0))


@inner
def barrier_and_fetch(sync: int, team: int, address: int, run: int, stride: int) -> None:
    """The same; while it waits, a thread fetches what it will read next: `run` bytes of every `stride` from an address.

    A core that is taken away for a moment, as by another virtual machine, holds up all threads. So their memory at
    least does not stand still.
    """
    once()
    if team == 1:
        return
    now = read(sync, ROUND)
    if add_at(sync, ARRIVED, 1) == team - 1:
        add_at(sync, ARRIVED, -team)
        add_at(sync, ROUND, 1)
        return
    spins, at, end, fetched = 0, address, address + run, _FETCHED if address else 0
    while read(sync, ROUND) == now and read(sync, STOP) == 0:
        if fetched > 0:
            fetch_near(at, 0)
            at, fetched = at + 64, fetched - 1
            if at >= end:
                at, end = end - run + stride, end + stride
            continue
        spins += 1
        if spins > _SPINS:
            _let_others_run(spins - _SPINS)
        if spins == _SPINS + _OFFERS:
            add_at(sync, LATE, 1)
