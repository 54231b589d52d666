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
    fours, pairs = first + (end - first) // 4 * 4, rows // 2 * 2
    line = width * 4
    for v in range(first, fours, 4):
        tokens = table + v * line
        for r in range(0, pairs, 2):
            _two_rows(x + r * line, width, tokens, y + (r * size + v) * 4, size)
        if pairs < rows:
            _one_row(x + pairs * line, width, tokens, y + (pairs * size + v) * 4)
    for v in range(fours, end):
        for r in range(rows):
            put(y, r * size + v, dot(x + r * line, table + v * line, width))


@inner
def _one_row(x: int, width: int, table: int, y: int) -> None:
    """`dot` of a row with each of four tokens, side by side."""
    line, whole = width * 4, width // 16 * 16
    t1, t2, t3 = table + line, table + 2 * line, table + 3 * line
    a0, a1, a2, a3 = zero(), zero(), zero(), zero()
    for k in range(0, whole, 16):
        a = load(x, k)
        a0, a1 = fma(a, load(table, k), a0), fma(a, load(t1, k), a1)
        a2, a3 = fma(a, load(t2, k), a2), fma(a, load(t3, k), a3)
    _put_four(x, whole, width, table, y, total(a0), total(a1), total(a2), total(a3))


@inner
def _two_rows(x: int, width: int, table: int, y: int, size: int) -> None:
    """`dot` of two rows with each of four tokens, side by side."""
    line, whole = width * 4, width // 16 * 16
    z, t1, t2, t3 = x + line, table + line, table + 2 * line, table + 3 * line
    a0, a1, a2, a3 = zero(), zero(), zero(), zero()
    b0, b1, b2, b3 = zero(), zero(), zero(), zero()
    for k in range(0, whole, 16):
        a, b = load(x, k), load(z, k)
        w0, w1, w2, w3 = load(table, k), load(t1, k), load(t2, k), load(t3, k)
        a0, a1, a2, a3 = fma(a, w0, a0), fma(a, w1, a1), fma(a, w2, a2), fma(a, w3, a3)
        b0, b1, b2, b3 = fma(b, w0, b0), fma(b, w1, b1), fma(b, w2, b2), fma(b, w3, b3)
    _put_four(x, whole, width, table, y, total(a0), total(a1), total(a2), total(a3))
    _put_four(z, whole, width, table, y + size * 4, total(b0), total(b1), total(b2), total(b3))


@inner
def _put_four(x: int, whole: int, width: int, table: int, y: int, s0: float, s1: float, s2: float, s3: float) -> None:
    """Four sums, after what fills no vector was added."""
    line = width * 4
    for k in range(whole, width):
        a = get(x, k)
        s0, s1 = fma1(a, get(table, k), s0), fma1(a, get(table + line, k), s1)
        s2, s3 = fma1(a, get(table + 2 * line, k), s2), fma1(a, get(table + 3 * line, k), s3)
    put(y, 0, s0)
    put(y, 1, s1)
    put(y, 2, s2)
    put(y, 3, s3)
