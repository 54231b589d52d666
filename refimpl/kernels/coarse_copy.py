"""The coarse copy of the head's table, and rows as whole numbers, with what bounds the error of their products.

For a token's line w and its copy c, and a row x and its whole numbers g with unit u,

    x w - u g c = x (w - c) + (x - u g) c,  so  |x w - u g c| <= |x| |w - c| + |x - u g| |c|

by Cauchy and Schwarz. `|w - c|` and `|c|` are measured when the copy is made, the others in each step. `_slack` is what
rounding may do to all these, twice over, as a part of |x| |w|.

Spec: kernels.shortlist
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels import places
from refimpl.kernels.coarse import magnitude, pack, whole_numbers
from refimpl.kernels.jit import inner, once, whole
from refimpl.kernels.linear import share
from refimpl.kernels.rows import copy
from refimpl.kernels.vector import add, fma, higher, load, peak, put, splat, store, total, zero

from refimpl.kernels.places import (  # isort: skip
    COARSE, COARSE_TOPS, COPIED, ERRORS, HEAD, LIST_ROOM, LISTS, STEPS, VOCABULARY, WIDTH,
)  # fmt: skip

_FIELDS = np.float32(31.5)  # what the highest field stands for, in steps
_MOST = np.float32(127.0)  # the highest whole number
_SMALL, _LARGE = np.float32(1e-10), np.float32(1e15)  # whose squares are neither lost nor infinite
_NAN = np.float32(math.nan)
groups_of = inner(places.groups_of)


@inner
def _slack(inputs: int) -> Any:
    """What rounding may do to a score, to its estimate and to the bound, as a part of |x| |w|, twice over."""
    return np.float32(inputs + 64) * np.float32(2.0**-22)


@inner
def _norm_and_peak(x: int, size: int) -> tuple[Any, Any]:
    """Euclidean norm of a line of whole vectors, and its largest magnitude."""
    squares, largest = zero(), zero()
    for i in range(0, size, 16):
        numbers = load(x, i)
        squares, largest = fma(numbers, numbers, squares), higher(magnitude(numbers), largest)
    return np.float32(math.sqrt(total(squares))), peak(largest)


@inner
def copy_coarsely(sizes: np.ndarray, rank: int, team: int, tops: np.ndarray, buffers: np.ndarray) -> None:
    """A thread's lines of the coarse copy, the step of each, and what bounds the error of an estimate."""
    once()
    width, groups = sizes[WIDTH], groups_of(sizes[WIDTH])
    line = buffers[LISTS] + rank * sizes[LIST_ROOM] * 4
    for i in range(0, groups * 128, 16):
        store(line, i, zero())
    first, end = share(sizes[VOCABULARY], whole(16), rank, team)
    for v in range(first, end):
        copy(tops[HEAD] + v * width * 4, width, line)
        norm, largest = _norm_and_peak(line, groups * 128)
        within = largest > _SMALL and largest < _LARGE  # else no estimate, and a bound that holds without
        step, inverse = (largest / _FIELDS, _FIELDS / largest) if within else (np.float32(0.0), np.float32(0.0))
        missed = zero()
        for n in range(groups * 4):
            g, i = v * groups + n // 4, n % 4 * 16
            low, high = buffers[COARSE] + g * 64 + i, buffers[COARSE_TOPS] + g * 32 + i // 8
            missed = add(pack(line, n // 4 * 128 + i, width, step, inverse, low, high), missed)
        miss = np.float32(math.sqrt(total(missed)))
        error = miss + _slack(width) * (norm + miss)
        if not within:
            error = largest * np.float32(width) if largest <= _SMALL and not math.isnan(norm) else np.float32(math.inf)
        put(buffers[STEPS], v, step)
        put(buffers[ERRORS], v, error)
        put(buffers[COPIED], v, norm + miss if within else np.float32(0.0))


@inner
def as_whole_numbers(x: int, width: int, line: int, words: int) -> tuple[Any, Any, Any, Any]:
    """Write a row as whole numbers; gives their unit, what 31.5 of each add up to, and the norms |x| and |x - u g|.

    Shapes: line, words (groups 128), of bytes in `words`.
    """
    once()
    size = groups_of(width) * 128
    for i in range(0, size, 16):
        store(line, i, zero())
    copy(x, width, line)
    norm, largest = _norm_and_peak(line, size)
    if not (largest > _SMALL and largest < _LARGE):
        norm = _NAN
    unit, sums, missed = largest / _MOST, zero(), zero()
    for i in range(0, size, 16):
        numbers = whole_numbers(line, i, _MOST / largest, words)
        miss = fma(numbers, splat(-unit), load(line, i))
        sums, missed = add(numbers, sums), fma(miss, miss, missed)
    return unit, -_FIELDS * unit * total(sums), norm, np.float32(math.sqrt(total(missed)))
