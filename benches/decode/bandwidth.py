"""How fast this machine reads memory: the bound of decoding one row, which uses each weight once."""

import statistics
import threading
import time

import numpy as np
from numba import njit


@njit(nogil=True, fastmath=True)
def _sum(numbers: np.ndarray) -> float:
    s = np.float32(0.0)
    for i in range(numbers.size):
        s += numbers[i]
    return s


def bandwidth(threads: int, megabytes: int = 352, rounds: int = 15) -> float:
    """Gigabytes a second that so many threads read together; the median of some rounds."""
    parts = np.array_split(np.ones(megabytes * 250_000, np.float32), threads)
    _sum(parts[0][:100])
    rates = []
    for _ in range(rounds):
        workers = [threading.Thread(target=_sum, args=(part,)) for part in parts]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        rates.append(megabytes / 1000 / (time.perf_counter() - start))
    return statistics.median(rates)
