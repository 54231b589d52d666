"""Products of rows with large matrices, which are read where they lie.

At a few rows the work is waiting for memory: whole lines of a matrix are streamed, each used for all rows at once, and
threads share the lines. At many rows it is arithmetic: sums stay in registers, and threads share the columns.

Either way each element is the sum of the same parts: inputs are cut into `parts_of` ranges, each part is summed in the
order of its inputs, then the parts are added in theirs, then the bias. So a row's numbers do not depend on how many
rows, threads or columns there are beside it.

Spec: kernels.order, invariance.rows
"""

from refimpl.kernels.block import block_of
from refimpl.kernels.jit import inner, once
from refimpl.kernels.vector import add, fetch, fma, fma1, get, load, put, splat, store, total, zero

_PARTS, _PART = 8, 64  # at most so many parts, of at least so many inputs
_TILE = 6144  # sums that are worked on together: they fit the first cache
PANEL = 48  # columns of a matrix that many rows use together
_eight_by_three, _eight_by_one = block_of(8, 3), block_of(8, 1)
_one_by_three, _one_by_one = block_of(1, 3), block_of(1, 1)


@inner
def share(size: int, unit: int, rank: int, team: int) -> tuple[int, int]:
    """The part of `size` that a thread works on: whole units, the last one may be cut."""
    units = (size + unit - 1) // unit
    return min(size, units * rank // team * unit), min(size, units * (rank + 1) // team * unit)


@inner
def parts_of(inputs: int) -> int:
    """Into how many parts the sums over so many inputs are cut."""
    return max(1, min(_PARTS, inputs // _PART))


@inner
def part(inputs: int, n: int) -> tuple[int, int]:
    """First and end of the inputs of a part."""
    parts, eights = parts_of(inputs), inputs // 8
    return eights * n // parts * 8, inputs if n == parts - 1 else eights * (n + 1) // parts * 8


@inner
def padded(outputs: int) -> int:
    """How far rows of sums lie apart: not a page, for then writing one would hold up reading the next."""
    return (outputs + 15) // 16 * 16 + 16


@inner
def part_product(x: int, rows: int, inputs: int, kernel: int, outputs: int, n: int, sums: int) -> None:
    """Part `n` of `x W` of a few rows.

    Shapes: x (rows, inputs), kernel (inputs, outputs), sums (rows, padded(outputs)).
    """
    once()
    first, end = part(inputs, n)
    whole, step = outputs // 16 * 16, padded(outputs)
    for i in range(0, rows * step, 16):
        store(sums, i, zero())
    width = max(16, _TILE // rows // 16 * 16)
    for start in range(0, whole, width):
        stop = min(whole, start + width)
        for k in range(first, first + (end - first) // 8 * 8, 8):
            _eight_inputs(x + k * 4, rows, inputs, kernel + k * outputs * 4, outputs, start, stop, sums, step)
        for k in range(first + (end - first) // 8 * 8, end):
            for c in range(start, stop, 16):
                weights = load(kernel, k * outputs + c)
                for r in range(rows):
                    s = load(sums, r * step + c)
                    store(sums, r * step + c, fma(splat(get(x, r * inputs + k)), weights, s))
    for c in range(whole, outputs):
        for r in range(rows):
            put(sums, r * step + c, _sum(x + r * inputs * 4, first, end, kernel, outputs, c))


@inner
def _eight_inputs(
    x: int, rows: int, inputs: int, kernel: int, outputs: int, first: int, end: int, sums: int, step: int
) -> None:
    """Add the products of eight inputs, while the next eight lines of the matrix are fetched."""
    m = outputs
    for c in range(first, end, 16):
        for n in range(8, 16):
            fetch(kernel, c + n * m)
        p = c + 4 * m
        w0, w1, w2, w3 = load(kernel, c), load(kernel, c + m), load(kernel, c + 2 * m), load(kernel, c + 3 * m)
        w4, w5, w6, w7 = load(kernel, p), load(kernel, p + m), load(kernel, p + 2 * m), load(kernel, p + 3 * m)
        q, z = 0, c
        for _ in range(rows):
            s = fma(splat(get(x, q)), w0, load(sums, z))
            s = fma(splat(get(x, q + 1)), w1, s)
            s = fma(splat(get(x, q + 2)), w2, s)
            s = fma(splat(get(x, q + 3)), w3, s)
            s = fma(splat(get(x, q + 4)), w4, s)
            s = fma(splat(get(x, q + 5)), w5, s)
            s = fma(splat(get(x, q + 6)), w6, s)
            s = fma(splat(get(x, q + 7)), w7, s)
            store(sums, z, s)
            q += inputs
            z += step


@inner
def _sum(x: int, first: int, end: int, kernel: int, outputs: int, c: int) -> float:
    """A part's sum for a column that fills no vector, in the same order."""
    s = get(x, first) * get(kernel, first * outputs + c)
    for k in range(first + 1, end):
        s = fma1(get(x, k), get(kernel, k * outputs + c), s)
    return s


@inner
def add_parts(sums: int, rows: int, inputs: int, outputs: int, bias: int, r: int, first: int, end: int, y: int) -> None:
    """`y = x W + b` from the parts, for some columns of a row. Shapes: sums (parts, R, padded), y (outputs)."""
    once()
    parts, step = parts_of(inputs), padded(outputs)
    whole = first + (end - first) // 16 * 16
    for c in range(first, whole, 16):
        s = load(sums, r * step + c)
        for n in range(1, parts):
            s = add(s, load(sums, (n * rows + r) * step + c))
        store(y, c, add(s, load(bias, c)) if bias else s)
    for c in range(whole, end):
        t = get(sums, r * step + c)
        for n in range(1, parts):
            t += get(sums, (n * rows + r) * step + c)
        put(y, c, t + get(bias, c) if bias else t)


@inner
def product(
    x: int, rows: int, inputs: int, kernel: int, bias: int, outputs: int, first: int, end: int, y: int, panel: int
) -> None:
    """Columns `first` to `end` of `y = x W + b` of many rows. `panel` has room for `PANEL` columns of a part.

    Shapes: x (rows, inputs), kernel (inputs, outputs), bias (outputs) or address 0, y (rows, outputs).
    """
    once()
    whole = first + (end - first) // 16 * 16
    parts = parts_of(inputs)
    for n in range(parts):
        start, stop = part(inputs, n)
        last = bias if n == parts - 1 else 0
        for c in range(first, whole, PANEL):
            width = PANEL if c + PANEL <= whole else 16
            for b in range(c, min(whole, c + PANEL), width):
                _pack(kernel + (start * outputs + b) * 4, stop - start, outputs, width, panel)
                bias_here = last + b * 4 if last else 0
                _panel_product(
                    x + start * 4, rows, inputs, panel, stop - start, width, y + b * 4, outputs, n, bias_here
                )
        for c in range(whole, end):
            for r in range(rows):
                t = _sum(x + r * inputs * 4, start, stop, kernel, outputs, c)
                if n:
                    t = get(y, r * outputs + c) + t
                put(y, r * outputs + c, t + get(last, c) if last else t)


@inner
def _pack(kernel: int, count: int, outputs: int, width: int, panel: int) -> None:
    """Copy some columns, so that they lie without gaps. Shapes: panel (count, width)."""
    for k in range(count):
        for c in range(0, width, 16):
            store(panel, k * width + c, load(kernel, k * outputs + c))


@inner
def _panel_product(
    x: int, rows: int, inputs: int, panel: int, count: int, width: int, y: int, outputs: int, again: int, bias: int
) -> None:
    """Eight rows at a time, then one at a time."""
    once()
    eights = rows // 8 * 8
    for r in range(0, eights, 8):
        a, b = x + r * inputs * 4, y + r * outputs * 4
        if width == PANEL:
            _eight_by_three(a, inputs, panel, width, count, b, outputs, again, bias)
        else:
            _eight_by_one(a, inputs, panel, width, count, b, outputs, again, bias)
    for r in range(eights, rows):
        a, b = x + r * inputs * 4, y + r * outputs * 4
        if width == PANEL:
            _one_by_three(a, inputs, panel, width, count, b, outputs, again, bias)
        else:
            _one_by_one(a, inputs, panel, width, count, b, outputs, again, bias)


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
