"""Products of a few rows with large matrices, read once and where they lie: nothing is copied or packed.

At one row the work is waiting for memory, so weights are read in long runs and each is used for all rows at once.
The sum of each element is taken in one order, whatever the number of rows, threads and columns beside it.

Spec: kernels.order, invariance.rows
"""

import numpy as np

from refimpl.kernels.jit import inner, once
from refimpl.kernels.vector import add, copy8, fma, fma1, get, load, mul, put, room, splat, store, total, zero

_TILE = 12288  # numbers of the result that are worked on together: they fit the first cache
_ROWS, _COLUMNS = 32, 64  # at most so many rows of it, at least so many columns


@inner
def share(size: int, unit: int, rank: int, team: int) -> tuple[int, int]:
    """The part of `size` that a thread works on: whole units, the last one may be cut."""
    units = (size + unit - 1) // unit
    return min(size, units * rank // team * unit), min(size, units * (rank + 1) // team * unit)


@inner
def linear(
    x: int, rows: int, inputs: int, kernel: int, bias: int, outputs: int, first: int, end: int, y: int, packed: int
) -> None:
    """Columns `first` to `end` of `y = x W + b`.

    A sum takes products in eights: eight are summed, then added; at last the bias is added. `packed` has room for `x`.

    Shapes: x (rows, inputs), kernel (inputs, outputs), bias (outputs) or address 0, y (rows, outputs).
    """
    once()
    tile = room()
    for row in range(0, rows, _ROWS):
        _pack(x + row * inputs * 4, min(_ROWS, rows - row), inputs, packed + row * inputs * 4)
    width = max(_COLUMNS, _TILE // min(rows, _ROWS) // 16 * 16)
    for start in range(first, end, width):
        stop = min(end, start + width)
        whole = start + (stop - start) // 16 * 16
        step = stop - start + 16  # rows of the tile must not lie a page apart, as rows of y may
        for row in range(0, rows, _ROWS):
            some = min(_ROWS, rows - row)
            for i in range(0, some * step, 16):
                store(tile, i, zero())
            _by_vectors(packed + row * inputs * 4, some, inputs, kernel, outputs, start, whole, tile, step)
            _by_numbers(
                x + row * inputs * 4, some, inputs, kernel, outputs, whole, stop, tile + (whole - start) * 4, step
            )
            for r in range(some):
                for n in range(start, stop):
                    s = get(tile, r * step + n - start)
                    put(y, (row + r) * outputs + n, s + get(bias, n) if bias else s)


@inner
def _pack(x: int, rows: int, inputs: int, packed: int) -> None:
    """Eight numbers of each row side by side, then the next eight. Shapes: (rows, inputs) -> (inputs / 8, rows, 8)."""
    once()
    for r in range(rows):
        for k in range(inputs // 8):
            copy8(packed, (k * rows + r) * 8, x, r * inputs + k * 8)
        for k in range(inputs // 8 * 8, inputs):
            put(packed, k * rows + r, get(x, r * inputs + k))


@inner
def _by_vectors(
    x: int, rows: int, inputs: int, kernel: int, outputs: int, first: int, end: int, tile: int, step: int
) -> None:
    """Add the products of sixteen columns at a time. Shapes: x as packed, tile (rows, step)."""
    once()
    eights = inputs // 8 * 8
    m = outputs
    for k in range(0, eights, 8):
        for n in range(first, end, 16):
            p, q, z = k * m + n, k * rows, n - first
            w0, w1, w2, w3 = load(kernel, p), load(kernel, p + m), load(kernel, p + 2 * m), load(kernel, p + 3 * m)
            p += 4 * m
            w4, w5, w6, w7 = load(kernel, p), load(kernel, p + m), load(kernel, p + 2 * m), load(kernel, p + 3 * m)
            for _ in range(rows):
                t = mul(splat(get(x, q)), w0)
                t = fma(splat(get(x, q + 1)), w1, t)
                t = fma(splat(get(x, q + 2)), w2, t)
                t = fma(splat(get(x, q + 3)), w3, t)
                t = fma(splat(get(x, q + 4)), w4, t)
                t = fma(splat(get(x, q + 5)), w5, t)
                t = fma(splat(get(x, q + 6)), w6, t)
                t = fma(splat(get(x, q + 7)), w7, t)
                store(tile, z, add(load(tile, z), t))
                q += 8
                z += step
    for k in range(eights, inputs):
        for n in range(first, end, 16):
            w0 = load(kernel, k * m + n)
            for r in range(rows):
                z = r * step + n - first
                store(tile, z, fma(splat(get(x, k * rows + r)), w0, load(tile, z)))


@inner
def _by_numbers(
    x: int, rows: int, inputs: int, kernel: int, outputs: int, first: int, end: int, tile: int, step: int
) -> None:
    """Add the products of the columns that fill no vector, in the same order."""
    once()
    eights = inputs // 8 * 8
    for n in range(first, end):
        for r in range(rows):
            s, t = get(tile, r * step + n - first), np.float32(0.0)
            for k in range(inputs):
                a, b = get(x, r * inputs + k), get(kernel, k * outputs + n)
                if k >= eights:
                    s = fma1(a, b, s)
                else:
                    t = a * b if k % 8 == 0 else fma1(a, b, t)
                    if k % 8 == 7:
                        s += t
            put(tile, r * step + n - first, s)


@inner
def dot(x: int, y: int, size: int) -> float:
    """`sum of x y`: sixteen sums side by side, then their sum, then what fills no vector."""
    sums = zero()
    whole = size // 16 * 16
    for k in range(0, whole, 16):
        sums = fma(load(x, k), load(y, k), sums)
    s = total(sums)
    for k in range(whole, size):
        s = fma1(get(x, k), get(y, k), s)
    return s


@inner
def unembed(x: int, rows: int, width: int, table: int, size: int, first: int, end: int, y: int) -> None:
    """Scores of the tokens `first` to `end`: `dot` of each row with each token's, four tokens at a time.

    Shapes: x (rows, width), table (size, width), y (rows, size).
    """
    once()
    fours = first + (end - first) // 4 * 4
    whole = width // 16 * 16
    line = width * 4
    for v in range(first, fours, 4):
        t0 = table + v * line
        t1, t2, t3 = t0 + line, t0 + 2 * line, t0 + 3 * line
        for r in range(rows):
            row = x + r * line
            s0, s1, s2, s3 = zero(), zero(), zero(), zero()
            for k in range(0, whole, 16):
                a = load(row, k)
                s0 = fma(a, load(t0, k), s0)
                s1 = fma(a, load(t1, k), s1)
                s2 = fma(a, load(t2, k), s2)
                s3 = fma(a, load(t3, k), s3)
            d0, d1, d2, d3 = total(s0), total(s1), total(s2), total(s3)
            for k in range(whole, width):
                a1 = get(row, k)
                d0 = fma1(a1, get(t0, k), d0)
                d1 = fma1(a1, get(t1, k), d1)
                d2 = fma1(a1, get(t2, k), d2)
                d3 = fma1(a1, get(t3, k), d3)
            q = r * size + v
            put(y, q, d0)
            put(y, q + 1, d1)
            put(y, q + 2, d2)
            put(y, q + 3, d3)
    for v in range(fours, end):
        for r in range(rows):
            put(y, r * size + v, dot(x + r * line, table + v * line, width))
