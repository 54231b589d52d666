"""Products of rows with large matrices, which are read where they lie.

At a few rows the work is waiting for memory: whole lines of a matrix are streamed, each used for all rows at once, and
threads share the lines. At many rows it is arithmetic: sums stay in registers, and threads share the columns.

Either way each element is the sum of the same parts: inputs are cut into `parts_of` ranges, each part is summed in the
order of its inputs, then the parts are added in theirs, then the bias. So a row's numbers do not depend on how many
rows, threads or columns there are beside it.

Spec: kernels.order, invariance.rows
"""

from refimpl.kernels import places
from refimpl.kernels.block import block_of, eight
from refimpl.kernels.jit import inner, once
from refimpl.kernels.vector import add, fma, fma1, get, load, put, splat, store, total, zero

_TILE = 6144  # sums that are worked on together: they fit the first cache
_AHEAD = 18432  # numbers between what is read and what is fetched: far enough for memory, and they fit the second cache
PANEL, _ROWS = places.PANEL_COLUMNS, 512  # and rows whose sums fit the second cache
_eight_by_three, _eight_by_one = block_of(8, 3), block_of(8, 1)
_one_by_three, _one_by_one = block_of(1, 3), block_of(1, 1)
parts_of, padded = inner(places.parts_of), inner(places.padded)


@inner
def share(size: int, unit: int, rank: int, team: int) -> tuple[int, int]:
    """The part of `size` that a thread works on: whole units, the last one may be cut."""
    units = (size + unit - 1) // unit
    return min(size, units * rank // team * unit), min(size, units * (rank + 1) // team * unit)


@inner
def part(inputs: int, n: int) -> tuple[int, int]:
    """First and end of the inputs of a part."""
    parts, eights = parts_of(inputs), inputs // 8
    return eights * n // parts * 8, inputs if n == parts - 1 else eights * (n + 1) // parts * 8


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
        _tile(x, rows, inputs, kernel, outputs, first, end, start, min(whole, start + width), whole, sums)
    for c in range(whole, outputs):
        for r in range(rows):
            put(sums, r * step + c, _sum(x + r * inputs * 4, first, end, kernel, outputs, c))


@inner
def _tile(
    x: int, rows: int, inputs: int, kernel: int, outputs: int, first: int, end: int, start: int, stop: int, whole: int,
    sums: int,
) -> None:  # fmt: skip
    """Add the products of the inputs `first` to `end` for the columns `start` to `stop`, which fill vectors."""
    step, eights = padded(outputs), first + (end - first) // 8 * 8
    lines = max(1, _AHEAD // (stop - start) // 8) * 8
    for k in range(first, eights, 8):
        ahead = lines * outputs
        if k + lines >= eights:  # go on where this thread will: in the next columns, or in the next part
            ahead += (first - eights) * outputs + stop - start if stop < whole else -start
        for c in range(start, stop, 16):
            eight(x + k * 4, rows, inputs, kernel + (k * outputs + c) * 4, outputs, ahead, sums + c * 4, step)
    for k in range(eights, end):
        for c in range(start, stop, 16):
            weights = load(kernel, k * outputs + c)
            for r in range(rows):
                s = load(sums, r * step + c)
                store(sums, r * step + c, fma(splat(get(x, r * inputs + k)), weights, s))


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
    for r in range(0, rows, _ROWS):
        a, b, some = x + r * inputs * 4, y + r * outputs * 4, min(_ROWS, rows - r)
        for c in range(first, whole, PANEL):
            width = min(PANEL, whole - c)
            for n in range(parts_of(inputs)):
                _panel_product(a, some, inputs, kernel, bias, outputs, c, width, n, b, panel)
        for c in range(whole, end):
            for n in range(parts_of(inputs)):
                _column(a, some, inputs, kernel, bias, outputs, c, n, b)


@inner
def _panel_product(
    x: int, rows: int, inputs: int, kernel: int, bias: int, outputs: int, c: int, width: int, n: int, y: int, panel: int
) -> None:
    """Add part `n` of the columns from `c` on, of which a copy without gaps is used for all rows."""
    once()
    start, stop = part(inputs, n)
    count, bias = stop - start, bias + c * 4 if bias and n == parts_of(inputs) - 1 else 0
    threes = width // 48 * 48
    for i in range(0, width, 16):
        at, step = (i // 48 * count * 48 + i % 48, 48) if i < threes else (i * count, 16)
        for k in range(count):
            store(panel, at + k * step, load(kernel, (start + k) * outputs + c + i))
    r = 0
    while r < rows:
        a, b = x + (r * inputs + start) * 4, y + (r * outputs + c) * 4
        for i in range(0, threes, 48):
            w, d = panel + i * count * 4, bias + i * 4 if bias else 0
            if r + 8 <= rows:
                _eight_by_three(a, inputs, w, 48, count, b + i * 4, outputs, n, d)
            else:
                _one_by_three(a, inputs, w, 48, count, b + i * 4, outputs, n, d)
        for i in range(threes, width, 16):
            w, d = panel + i * count * 4, bias + i * 4 if bias else 0
            if r + 8 <= rows:
                _eight_by_one(a, inputs, w, 16, count, b + i * 4, outputs, n, d)
            else:
                _one_by_one(a, inputs, w, 16, count, b + i * 4, outputs, n, d)
        r += 8 if r + 8 <= rows else 1


@inner
def _column(x: int, rows: int, inputs: int, kernel: int, bias: int, outputs: int, c: int, n: int, y: int) -> None:
    """Add part `n` of a column that fills no vector."""
    once()
    start, stop = part(inputs, n)
    for r in range(rows):
        t = _sum(x + r * inputs * 4, start, stop, kernel, outputs, c)
        if n:
            t = get(y, r * outputs + c) + t
        put(y, r * outputs + c, t + get(bias, c) if bias and n == parts_of(inputs) - 1 else t)


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
