"""Threefry-2x32: the counter-based generator under JAX's random numbers.

A key and a counter give two words; nothing is remembered between calls, so that any word can be had by itself.
"""

from typing import Any

import numpy as np

PARITY = np.uint32(0x1BD11BDA)  # keeps a key of zeros from being a fixed point
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry2x32(key: np.ndarray, high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Twenty rounds over the counter words `high` and `low`, all arithmetic modulo 2**32.

    Shapes: key (2,), high and low (n,), all uint32 -> two of (n,) uint32.
    Spec: samplers.random.threefry
    Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3
    """
    first, second = np.split(np.asarray(key, np.uint32), 2)  # arrays of one: they wrap around without a warning
    return rounds(first, second, np.asarray(high, np.uint32), np.asarray(low, np.uint32))


def rounds(first: Any, second: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """The rounds for a key and a counter of two words each: numbers where this is compiled, else arrays.

    A compiled sum of two words is a longer one, so each is made a word again.
    """
    word = np.uint32
    schedule = (first, second, word(first ^ second ^ PARITY))
    x, y = word(x + first), word(y + second)
    for group in range(5):
        for bits in ROTATIONS[group % 2]:
            x = word(x + y)
            y = word(y << word(bits)) ^ word(y >> word(32 - bits)) ^ x  # bits that leave at the top come back below
        x = word(x + schedule[(group + 1) % 3])
        y = word(y + schedule[(group + 2) % 3] + word(group + 1))
    return x, y


def random_bits(key: np.ndarray, size: int) -> np.ndarray:
    """The first `size` random words of a key. Shapes: key (2,) uint32 -> (size,) uint32."""
    return bits_at(key, np.arange(size, dtype=np.uint64))


def bits_at(key: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """Random words of a key: word `i` comes from the 64-bit counter `i` alone.

    Shapes: key (2,) uint32, counters (n,) uint64 -> (n,) uint32.
    Spec: samplers.random.threefry
    """
    low, high = (counters & np.uint64(0xFFFFFFFF)).astype(np.uint32), (counters >> np.uint64(32)).astype(np.uint32)
    x, y = threefry2x32(key, high, low)
    return x ^ y
