"""How fast this machine reads memory: the bound of decoding one row, which uses each weight once."""

import threading
import time

import numpy as np
from numba import njit


@njit(nogil=True, fastmath=True)
def _one_run(numbers: np.ndarray) -> float:
    s = np.float32(0.0)
    for i in range(numbers.size):
        s += numbers[i]
    return s


@njit(nogil=True, fastmath=True)
def _four_runs(numbers: np.ndarray) -> float:
    """Four places are read at once: more requests are under way than one long run makes."""
    s, part = np.float32(0.0), numbers.size // 4
    for i in range(part):
        s += (numbers[i] + numbers[part + i]) + (numbers[2 * part + i] + numbers[3 * part + i])
    return s


def bandwidth(threads: int, megabytes: int = 352, rounds: int = 10) -> float:
    """Gigabytes a second that so many threads read together: the best of some rounds of two ways to read."""
    parts = np.array_split(np.ones(megabytes * 250_000, np.float32), threads)
    rates = []
    for read in (_one_run, _four_runs):
        read(parts[0][:100])
        for _ in range(rounds):
            workers = [threading.Thread(target=read, args=(part,)) for part in parts]
            start = time.perf_counter()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            rates.append(megabytes / 1000 / (time.perf_counter() - start))
    return max(rates)
