"""The threads of one call of `generate`: they are started with it and end with it, so nothing is shared between calls.

Two Python threads may generate at once, and a process may fork between calls.

Spec: kernels.threads
"""

import os
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np

from refimpl.kernels.places import LATE, STOP, SYNC

_WORTH_A_THREAD = 400_000  # products; fewer take less time than it takes to wake a thread
_LATE = 3  # barriers of one run at which a thread waited long: the cores may be taken
_PAUSE, _TRUST = 16, 64  # runs after which the other number of threads is tried again
Task = tuple[Callable[..., None], int, tuple[Any, ...]]


class Team:
    """Runs one compiled function in all its threads: `function(rank, size, sync, *args)`."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most or number_of_threads()
        self.sync = np.zeros(SYNC, np.int64)
        self._queues: list[SimpleQueue[Task | None]] = []
        self._done: SimpleQueue[None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._alone, self._trust, self._trial, self._together = 0, 0, False, 0.0
        weakref.finalize(self, _end, self._queues)

    def run(self, function: Callable[..., None], work: int | None, *args: Any) -> None:
        """Run a function of so many products in as many threads as they keep busy; return when all are through.

        Without a number of products its time says nothing of the threads.
        """
        wanted = self.most if work is None else max(1, min(self.most, work // _WORTH_A_THREAD))
        size = 1 if self._alone else wanted
        start = time.perf_counter()
        self._run(function, size, args)
        if wanted > 1 and work is not None:
            self._judge(size, work / (time.perf_counter() - start))

    def _run(self, function: Callable[..., None], size: int, args: tuple[Any, ...]) -> None:
        """This thread is the first of `size`."""
        while len(self._threads) < size - 1:
            self._start()
        asked = 0
        try:
            for queue, rank in zip(self._queues[: size - 1], range(1, size), strict=True):
                queue.put((function, rank, (size, self.sync.ctypes.data, *args)))
                asked += 1
            function(0, size, self.sync.ctypes.data, *args)
        except BaseException:
            self.sync[STOP] = 1  # nobody waits for a thread that does not come
            self.most = 1
            raise
        finally:
            for _ in range(asked):
                self._done.get()

    def _judge(self, size: int, rate: float) -> None:
        """Where threads wait for cores that other processes have, one thread may be faster: it is tried.

        The number of threads changes no result, only the time it takes.
        """
        if size > 1:
            self._together, self._trust = rate, max(0, self._trust - 1)
            self._trial = bool(self.sync[LATE] > _LATE) and not self._trust
            self._alone = int(self._trial)
        else:
            self._alone -= 1
            if self._trial and rate > self._together:
                self._alone = _PAUSE
            elif self._trial:
                self._trust = _TRUST
            self._trial = False
        self.sync[LATE] = 0

    def _start(self) -> None:
        queue: SimpleQueue[Task | None] = SimpleQueue()
        thread = threading.Thread(target=_work, args=(queue, self._done), daemon=True)
        thread.start()
        self._queues.append(queue)
        self._threads.append(thread)


def _end(queues: "list[SimpleQueue[Task | None]]") -> None:
    """Let the threads end, when nobody holds their team any more."""
    for queue in queues:
        queue.put(None)


def _work(queue: "SimpleQueue[Task | None]", done: "SimpleQueue[None]") -> None:
    """Do tasks until there is none."""
    while (task := queue.get()) is not None:
        function, rank, args = task
        try:
            function(rank, *args)
        finally:
            done.put(None)


def number_of_threads() -> int:
    """As many as NUMBA_NUM_THREADS says, which is the number of this process's CPUs if it is not set.

    More threads than CPUs would wait for each other in turn.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("NUMBA_NUM_THREADS", "")
    return max(1, min(int(wanted) if wanted.strip().isdecimal() else cpus, cpus))
