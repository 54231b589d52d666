"""Scalar quantization of the head's table to six bits and of rows to int8, with a bound of the error of their products.

For a token's line w and its quantized copy c, and a row x and its int8 g with scale u,

    x w - u g c = x (w - c) + (x - u g) c,  so  |x w - u g c| <= |x| |w - c| + |x - u g| |c|

by Cauchy and Schwarz. `|w - c|`, in `RESIDUALS`, and `|c|`, in `COPY_NORMS`, are measured when the copy is made, `|x|`
and `|x - u g|` in each step of decoding. `RESIDUALS` also has room for rounding, as `_rounding` says.

Spec: kernels.shortlist
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels import places
from refimpl.kernels.codes import magnitude, pack_codes, round_to_int8
from refimpl.kernels.legacy_jit import entry, inner, once, whole
from refimpl.kernels.linear import share
from refimpl.kernels.rows import copy
from refimpl.kernels.vector import add, fma, higher, load, peak, put, splat, store, total, zero

from refimpl.kernels.places import (  # isort: skip
    COPY_NORMS, HEAD, HIGH_BITS, LINE_SCALES, LIST_ROOM, LISTS, LOW_BITS, RESIDUALS, VOCABULARY, WIDTH,
)  # fmt: skip

_TOP_LEVEL = np.float32(31.5)  # what the highest code, 63, stands for, in scales: see codes.py
_INT8 = np.float32(127.0)  # the highest int8; -128 is not used, so that signs are alike
# Between these a largest magnitude has squares whose sum neither underflows nor is infinite.
_SMALL, _LARGE = np.float32(1e-10), np.float32(1e15)
_NAN = np.float32(math.nan)
groups_of = inner(places.groups_of)


@inner
def _rounding(inputs: int) -> Any:
    """What rounding may do to a score, to its estimate and to the bound, as a part of |x| |w|, twice over.

    A sum of n products strays by at most about n 2^-24 of |x| |w|: that of the score by n, those of the norms by n / 2
    each, as roots halve it; and 64 are for the few other operations, that of the offset among them (at most 6 of the
    root of n). Twice over makes 2^-22.

    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1
    """
    return np.float32(inputs + 64) * np.float32(2.0**-22)


@inner
def _norm_and_peak(x: int, size: int) -> tuple[Any, Any]:
    """Euclidean norm of a line of whole vectors, and its largest magnitude."""
    squares, largest = zero(), zero()
    for i in range(0, size, 16):
        numbers = load(x, i)
        squares, largest = fma(numbers, numbers, squares), higher(magnitude(numbers), largest)
    return np.float32(math.sqrt(total(squares))), peak(largest)


@entry
def quantize_head(rank: int, team: int, sync: int, sizes: np.ndarray, tops: np.ndarray, buffers: np.ndarray) -> None:
    """A thread's lines of the quantized copy, the scale of each, and the norms that bound the error of an estimate.

    A line beyond the limits has scale 0, so that its estimate is 0, and its bound says how far from 0 the score may be.
    """
    width, groups = sizes[WIDTH], groups_of(sizes[WIDTH])
    line = buffers[LISTS] + rank * sizes[LIST_ROOM] * 4
    for i in range(0, groups * 128, 16):
        store(line, i, zero())
    first, end = share(sizes[VOCABULARY], whole(16), rank, team)
    for v in range(first, end):
        copy(tops[HEAD] + v * width * 4, width, line)
        norm, largest = _norm_and_peak(line, groups * 128)
        within = largest > _SMALL and largest < _LARGE
        scale, inverse = (largest / _TOP_LEVEL, _TOP_LEVEL / largest) if within else (np.float32(0.0), np.float32(0.0))
        squares = zero()
        for n in range(groups * 4):
            g, i = v * groups + n // 4, n % 4 * 16
            low, high = buffers[LOW_BITS] + g * 64 + i, buffers[HIGH_BITS] + g * 32 + i // 8
            squares = add(pack_codes(line, n // 4 * 128 + i, width, scale, inverse, low, high), squares)
        residual = np.float32(math.sqrt(total(squares)))
        error = residual + _rounding(width) * (norm + residual)
        if not within:
            # At twice the width: each product of denormal numbers may be rounded up to the double.
            tiny = largest <= _SMALL and not math.isnan(norm)
            error = largest * np.float32(2 * width) if tiny else np.float32(math.inf)
        put(buffers[LINE_SCALES], v, scale)
        put(buffers[RESIDUALS], v, error)
        put(buffers[COPY_NORMS], v, norm + residual if within else np.float32(0.0))


@inner
def quantize_row(x: int, width: int, line: int, rounded: int) -> tuple[Any, Any, Any, Any]:
    """Write a row as int8; gives their scale u, the offset -31.5 u (sum of g), and the norms |x| and |x - u g|.

    Beyond the limits |x| is NaN, which says that nothing is known.

    Shapes: x (width), line (128 groups) to work in, rounded (128 groups) of int8.
    """
    once()
    size = groups_of(width) * 128
    for i in range(0, size, 16):
        store(line, i, zero())
    copy(x, width, line)
    norm, largest = _norm_and_peak(line, size)
    if not (largest > _SMALL and largest < _LARGE):
        norm = _NAN
    scale, sums, squares = largest / _INT8, zero(), zero()
    for i in range(0, size, 16):
        numbers = round_to_int8(line, i, _INT8 / largest, rounded)
        residual = fma(numbers, splat(-scale), load(line, i))
        sums, squares = add(numbers, sums), fma(residual, residual, squares)
    return scale, -_TOP_LEVEL * scale * total(sums), norm, np.float32(math.sqrt(total(squares)))
