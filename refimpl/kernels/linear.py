"""Products of rows with large matrices, which are read where they lie.

At many rows the work is arithmetic: sums stay in registers, and threads share the columns. Few rows have a module of
their own.

Either way each element is the sum of the same parts: inputs are cut into `parts_of` ranges, each part is summed in the
order of its inputs, four parts are added up to a group in their order, then the groups, then the bias. So a row's
numbers do not depend on how many rows, threads or columns there are beside it.

Spec: kernels.order, invariance.rows
"""

from refimpl.kernels import places
from refimpl.kernels.block import block_of
from refimpl.kernels.legacy_jit import inner, once
from refimpl.kernels.legacy_jit import whole as whole_number
from refimpl.kernels.vector import fma, fma1, get, load, put, store, total, zero

GROUP = 4  # parts
PANEL, _ROWS = places.PANEL_COLUMNS, places.PANEL_ROWS
_eight_by_three, _eight_by_one = block_of(8, 3), block_of(8, 1)
_one_by_three, _one_by_one = block_of(1, 3), block_of(1, 1)
parts_of, _panel_of = inner(places.parts_of), inner(places.panel_of)


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
def product(
    x: int, rows: int, inputs: int, kernel: int, bias: int, outputs: int, first: int, end: int, y: int, panel: int
) -> None:
    """Columns `first` to `end` of `y = x W + b` of many rows.

    Shapes: x (rows, inputs), kernel (inputs, outputs), bias (outputs) or address 0, y (rows, outputs),
    panel (panel_of).
    """
    once()
    whole = first + (end - first) // 16 * 16
    for r in range(0, rows, _ROWS):
        a, b, some = x + r * inputs * 4, y + r * outputs * 4, min(_ROWS, rows - r)
        for c in range(first, whole, PANEL):
            width = min(PANEL, whole - c)
            for n in range(parts_of(inputs)):
                _panel_product(a, some, inputs, kernel, bias, outputs, c, width, n, b, panel)
    last_columns(x, rows, inputs, kernel, bias, outputs, whole, end, y)


@inner
def _panel_product(
    x: int, rows: int, inputs: int, kernel: int, bias: int, outputs: int, c: int, width: int, n: int, y: int, panel: int
) -> None:
    """Add part `n` of the columns from `c` on, of which a copy without gaps is used for all rows.

    The sums stand beside it until the last part: lines of the result lie so far apart that they would share places in
    a cache.
    """
    once()
    start, stop = part(inputs, n)
    last = n == parts_of(inputs) - 1
    count, bias = stop - start, bias + c * 4 if bias and last else 0
    threes = width // 48 * 48
    for i in range(0, width, 16):
        at, step = (i // 48 * count * 48 + i % 48, 48) if i < threes else (i * count, 16)
        for k in range(count):
            store(panel, at + k * step, load(kernel, (start + k) * outputs + c + i))
    firsts = panel + (_panel_of(inputs) - 2 * _ROWS * PANEL) * 4
    group = firsts if n < GROUP else firsts + _ROWS * PANEL * 4
    again, joined = n % GROUP, n >= GROUP and last
    out, apart = (y + c * 4, outputs) if last else (group, PANEL)
    r = 0
    while r < rows:
        a, some = x + (r * inputs + start) * 4, 8 if r + 8 <= rows else 1
        for i in range(0, width, 48):
            w, d, place = panel + i * count * 4, bias + i * 4 if bias else 0, (r * PANEL + i) * 4
            z, before, to = group + place, firsts + place if joined else 0, out + (r * apart + i) * 4
            if i < threes:
                if some == 8:
                    _eight_by_three(a, inputs, w, 48, count, again, z, before, PANEL, d, to, apart)
                else:
                    _one_by_three(a, inputs, w, 48, count, again, z, before, PANEL, d, to, apart)
            else:
                for v in range(0, width - i, 16):
                    e, f = w + v * count * 4, before + v * 4 if joined else 0
                    g = d + v * 4 if d else 0
                    if some == 8:
                        _eight_by_one(a, inputs, e, 16, count, again, z + v * 4, f, PANEL, g, to + v * 4, apart)
                    else:
                        _one_by_one(a, inputs, e, 16, count, again, z + v * 4, f, PANEL, g, to + v * 4, apart)
        r += some


@inner
def last_columns(
    x: int, rows: int, inputs: int, kernel: int, bias: int, outputs: int, first: int, end: int, y: int
) -> None:
    """Columns `first` to `end`, which fill no vector. Shapes: as for `product`."""
    once()
    for c in range(first, end):
        for r in range(rows):
            s = _group_of(x + r * inputs * 4, inputs, kernel, outputs, c, whole_number(0))
            if parts_of(inputs) > GROUP:
                s += _group_of(x + r * inputs * 4, inputs, kernel, outputs, c, whole_number(GROUP))
            put(y, r * outputs + c, s + get(bias, c) if bias else s)


@inner
def _group_of(x: int, inputs: int, kernel: int, outputs: int, c: int, n: int) -> float:
    """The sum of the group that begins with part `n`."""
    first, end = part(inputs, n)
    s = element(x, first, end, kernel, outputs, c)
    for m in range(n + 1, min(n + GROUP, parts_of(inputs))):
        first, end = part(inputs, m)
        s += element(x, first, end, kernel, outputs, c)
    return s


@inner
def element(x: int, first: int, end: int, kernel: int, outputs: int, c: int) -> float:
    """A part's sum for one column, in the same order as for vectors of them."""
    once()
    s = get(x, first) * get(kernel, first * outputs + c)
    for k in range(first + 1, end):
        s = fma1(get(x, k), get(kernel, k * outputs + c), s)
    return s


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
