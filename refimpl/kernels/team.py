"""The threads of one call of `generate`: they are started with it and end with it, so nothing is shared between calls.

Two Python threads may generate at once, and a process may fork between calls.

Spec: kernels.threads
"""

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import numpy as np
from numba import config

from refimpl.kernels.barrier import SIZE, STOP

Task = tuple[Callable[..., None], int, tuple[Any, ...]]


class Team:
    """Runs one compiled function in all its threads: `function(rank, size, sync, *args)`."""

    def __init__(self, most: int | None = None) -> None:
        self.most = most or _threads()
        self.sync = np.zeros(SIZE, np.int64)
        self._queues: list[SimpleQueue[Task | None]] = []
        self._done: SimpleQueue[None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def run(self, function: Callable[..., None], size: int, *args: Any) -> None:
        """Run in `size` threads, this one being the first; return when all are through."""
        size = min(size, self.most)
        while len(self._threads) < size - 1:
            self._start()
        try:
            for queue, rank in zip(self._queues[: size - 1], range(1, size), strict=True):
                queue.put((function, rank, (size, self.sync.ctypes.data, *args)))
            function(0, size, self.sync.ctypes.data, *args)
            for _ in range(size - 1):
                self._done.get()
        except BaseException:
            self.sync[STOP] = 1  # nobody waits for a thread that does not come
            raise

    def _start(self) -> None:
        queue: SimpleQueue[Task | None] = SimpleQueue()
        thread = threading.Thread(target=_work, args=(queue, self._done), daemon=True)
        thread.start()
        self._queues.append(queue)
        self._threads.append(thread)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the threads and wait for them: they may still be reading weights."""
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()


def _work(queue: "SimpleQueue[Task | None]", done: "SimpleQueue[None]") -> None:
    """Do tasks until there is none."""
    while (task := queue.get()) is not None:
        function, rank, args = task
        try:
            function(rank, *args)
        finally:
            done.put(None)


def _threads() -> int:
    """As many as NUMBA_NUM_THREADS says, which is the number of this process's CPUs if it is not set.

    More threads than CPUs would wait for each other in turn.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(int(config.NUMBA_NUM_THREADS), cpus))
