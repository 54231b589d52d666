"""Who does the units: processes here, or a Dask cluster. Both hand back (unit, report, or None if it crashed)."""

import contextlib
import multiprocessing
import os
from collections import Counter
from multiprocessing import connection
from typing import Any

from conformance.fuzz.unit import Plan, Report, run_unit

TRIES = 2  # a unit that ends its process this often is a finding itself
LIFE = 40  # units of one process: what libraries compile for each new shape stays in its memory


class Processes:
    """Each process does one unit at a time, so that a crash is known to be that unit's."""

    def __init__(self, count: int) -> None:
        self.spawn = multiprocessing.get_context("spawn")
        for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self.idle: list[tuple[Any, Any]] = [self._start() for _ in range(count)]
        self.busy: dict[Any, tuple[Any, Plan, int]] = {}
        self.crashes: Counter[int] = Counter()
        self.age: Counter[Any] = Counter()

    def _start(self) -> tuple[Any, Any]:
        here, there = self.spawn.Pipe()
        process = self.spawn.Process(target=_serve, args=(there,), daemon=True)
        process.start()
        there.close()
        return process, here

    @property
    def room(self) -> int:
        """How many more units can be given out."""
        return len(self.idle)

    def submit(self, plan: Plan, unit: int) -> None:
        """Give out one unit."""
        process, pipe = self.idle.pop()
        pipe.send((plan, unit))
        self.busy[pipe] = (process, plan, unit)

    def finished(self, seconds: float) -> list[tuple[int, Report | None]]:
        """Units that ended within the time. What a dead process was doing is done again; None at the last try."""
        found: list[tuple[int, Report | None]] = []
        for pipe in connection.wait(list(self.busy), timeout=seconds):
            process, plan, unit = self.busy.pop(pipe)
            try:
                found.append((unit, pipe.recv()))
                self.age[pipe] += 1
                self.idle.append((process, pipe) if self.age[pipe] < LIFE else self._renewed(process, pipe))
            except (EOFError, OSError):
                process.join()
                self.idle.append(self._start())
                self.crashes[unit] += 1
                if self.crashes[unit] < TRIES:
                    self.submit(plan, unit)
                else:
                    found.append((unit, None))
        return found

    def _renewed(self, process: Any, pipe: Any) -> tuple[Any, Any]:
        """A new process for an old one."""
        pipe.close()  # at the end of its input it ends itself
        process.join()
        return self._start()

    def close(self) -> None:
        """End all processes; what they were doing is not entered anywhere."""
        for process, pipe in [*self.idle, *((process, pipe) for pipe, (process, _, _) in self.busy.items())]:
            process.terminate()
            process.join()
            pipe.close()


def _serve(pipe: Any) -> None:
    """Do units until the other side is gone."""
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            plan, unit = pipe.recv()
            pipe.send(run_unit(plan, unit))


class Cluster:
    """A Dask cluster, whose workers have this package and both implementations installed.

    The scheduler gives what a lost worker was doing to another one; a unit's key is its number.
    """

    def __init__(self, address: str, ahead: int = 2) -> None:
        import distributed

        self.distributed, self.client, self.ahead = distributed, distributed.Client(address), ahead
        self.waiting: dict[Any, int] = {}

    @property
    def room(self) -> int:
        """How many more units can be given out: two for each thread of the cluster as it is now."""
        threads = sum(self.client.nthreads().values())
        return max(1, threads) * self.ahead - len(self.waiting)

    def submit(self, plan: Plan, unit: int) -> None:
        """Give out one unit."""
        key = f"conformance-fuzz-{plan.a}-{plan.b}-{unit}"
        self.waiting[self.client.submit(run_unit, plan, unit, key=key, pure=False)] = unit

    def finished(self, seconds: float) -> list[tuple[int, Report | None]]:
        """Units that ended within the time; None for one that killed several workers."""
        with contextlib.suppress(TimeoutError):
            self.distributed.wait(list(self.waiting), timeout=seconds, return_when="FIRST_COMPLETED")
        found: list[tuple[int, Report | None]] = []
        for future in [future for future in self.waiting if future.done()]:
            unit = self.waiting.pop(future)
            try:
                found.append((unit, future.result()))
            except self.distributed.KilledWorker:
                found.append((unit, None))
        return found

    def close(self) -> None:
        """Leave the cluster as it was; what is still running is cancelled and not entered anywhere."""
        self.client.cancel(list(self.waiting))
        self.client.close()
