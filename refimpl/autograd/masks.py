"""Dropout masks as a function of a number and a position, so that backward can draw the same mask again."""

from __future__ import annotations

import math

import numpy as np

_ODD = (0x7FEB352D, 0x846CA68B, 0x9E3779B1)  # multipliers of Wellons' lowbias32 hash, and of the golden ratio


class Stream(int):
    """The number of a random stream. `row` is the number of the first row of what is drawn: 0 but in shards."""

    row = 0

    @classmethod
    def at(cls, number: int, row: int) -> Stream:
        """The stream `number`, from the row of that number on."""
        stream = cls(number)
        stream.row = row
        return stream


def first_element(shape: tuple[int, ...], stream: int) -> np.uint32:
    """The number of the first element of an array of that shape."""
    return np.uint32(getattr(stream, "row", 0) * math.prod(shape[1:]) % 2**32)


def keep_mask(shape: tuple[int, ...], rate: float, stream: int) -> np.ndarray:
    """True where an element is kept, which is so with probability `1 - rate`.

    Element i is kept if a hash of i and `stream` (64 bits) is at least `rate`: nothing is stored, any order will do.
    """
    x = np.arange(math.prod(shape), dtype=np.uint32)
    x += first_element(shape, stream)
    x ^= np.uint32(stream & 0xFFFFFFFF)
    x *= np.uint32(_ODD[0])
    x ^= x >> np.uint32(15)
    x ^= np.uint32(stream >> 32)
    x *= np.uint32(_ODD[1])
    x ^= x >> np.uint32(16)
    x *= np.uint32(_ODD[2])
    x ^= x >> np.uint32(15)
    return (x >= threshold(rate)).reshape(shape)


def threshold(rate: float) -> np.uint32:
    """The hash from which on an element is kept."""
    return np.uint32(min(round(rate * 2**32), 2**32 - 1))


def mixed(seed: int, number: int) -> int:
    """The 64-bit stream of a pair of numbers, by splitmix64."""
    x = (seed * 0x9E3779B97F4A7C15 + number * 0xD1342543DE82EF95 + 0x632BE59BD9B4E019) % 2**64
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
    return x ^ x >> 31
