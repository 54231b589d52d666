"""Products of few rows, whose time is that of reading the matrix: whole lines are streamed, each used for all rows.

Spec: kernels.order, invariance.rows
"""

from refimpl.kernels import places
from refimpl.kernels.block import eight
from refimpl.kernels.legacy_jit import inner, once
from refimpl.kernels.legacy_jit import whole as whole_number
from refimpl.kernels.linear import GROUP, element, last_columns, part, parts_of
from refimpl.kernels.places import TILE
from refimpl.kernels.vector import add, fma, get, load, put, splat, store, zero

_AHEAD = 18432  # numbers between what is read and what is fetched: far enough for memory, and they fit the second cache
padded = inner(places.padded)


@inner
def units_of(inputs: int, count: int, team: int) -> tuple[int, int]:
    """Into how many units the threads share so many products, and how many parts a unit has.

    A thread that sums up whole groups leaves less to be read by others; it does so where all get equally many.
    """
    parts = parts_of(inputs)
    if parts % GROUP == 0 and count * parts // GROUP % team == 0:
        return count * parts // GROUP, GROUP
    return count * parts, 1


@inner
def unit_product(
    x: int, rows: int, inputs: int, kernel: int, outputs: int, n: int, size: int, sums: int, spare: int
) -> None:
    """The parts of `x W` from `n` on, `size` of them, added up.

    Shapes: x (rows, inputs), kernel (inputs, outputs), sums (rows, padded(outputs)), spare (room_of).
    """
    once()
    whole, step = outputs // 16 * 16, padded(outputs)
    width = max(16, TILE // rows // 16 * 16)
    for m in range(n, n + size):
        first, end = part(inputs, m)
        found = sums if m == n else spare
        for i in range(0, rows * step, 16):
            store(found, i, zero())
        for start in range(0, whole, width):
            stop = min(whole, start + width)
            jump = (first - end) * outputs + stop - start if stop < whole else -start
            _tile(x, rows, inputs, kernel, outputs, first, end, start, stop, jump, found + start * 4, step)
        for c in range(whole, outputs):
            for r in range(rows):
                put(found, r * step + c, element(x + r * inputs * 4, first, end, kernel, outputs, c))
        for i in range(0, rows * step if m > n else 0, 16):
            store(sums, i, add(load(sums, i), load(spare, i)))


@inner
def columns_product(
    x: int, rows: int, inputs: int, kernel: int, bias: int, outputs: int, first: int, end: int, y: int, spare: int
) -> None:
    """Columns `first` to `end` of `y = x W + b`.

    Shapes: x (rows, inputs), kernel (inputs, outputs), bias (outputs) or address 0, y (rows, outputs), spare (room_of).
    """
    once()
    width, parts, whole = max(16, TILE // rows // 16 * 16), parts_of(inputs), first + (end - first) // 16 * 16
    for start in range(first, whole, width):
        stop = min(whole, start + width)
        step = padded(stop - start)
        groups, found = spare, spare + 2 * rows * step * 4
        for n in range(parts):
            k, until = part(inputs, n)
            sums = found if n % GROUP else groups + n // GROUP * rows * step * 4
            for i in range(0, rows * step, 16):
                store(sums, i, zero())
            jump = stop - start - inputs * outputs if n == parts - 1 and stop < whole else 0
            _tile(x, rows, inputs, kernel, outputs, k, until, start, stop, jump, sums, step)
            for i in range(0, rows * step if n % GROUP else 0, 16):
                place = n // GROUP * rows * step + i
                store(groups, place, add(load(groups, place), load(found, i)))
        for r in range(rows):
            for c in range(0, stop - start, 16):
                s = load(groups, r * step + c)
                if parts > GROUP:
                    s = add(s, load(groups, (rows + r) * step + c))
                store(y, r * outputs + start + c, add(s, load(bias, start + c)) if bias else s)
    last_columns(x, rows, inputs, kernel, bias, outputs, whole, end, y)


@inner
def _tile(
    x: int, rows: int, inputs: int, kernel: int, outputs: int, first: int, end: int, start: int, stop: int, jump: int,
    sums: int, step: int,
) -> None:  # fmt: skip
    """Add the products of the inputs `first` to `end` for the columns `start` to `stop`, which fill vectors.

    Where the next lines are not the matrix's next ones, they lie `jump` numbers farther.

    Shapes: sums (rows, stop - start), `step` numbers from row to row.
    """
    once()
    eights = first + (end - first) // 8 * 8
    lines = max(1, _AHEAD // (stop - start) // 8) * 8
    for k in range(first, eights, 8):
        ahead = lines * outputs + (jump if k + lines >= eights else 0)
        for c in range(start, stop, 16):
            w, found = kernel + (k * outputs + c) * 4, sums + (c - start) * 4
            eight(x + k * 4, rows, inputs, w, outputs, ahead, found, step)
    for k in range(eights, end):
        for c in range(start, stop, 16):
            weights = load(kernel, k * outputs + c)
            for r in range(rows):
                s = load(sums, r * step + c - start)
                store(sums, r * step + c - start, fma(splat(get(x, r * inputs + k)), weights, s))


@inner
def add_units(
    sums: int, rows: int, inputs: int, outputs: int, bias: int, size: int, r: int, first: int, end: int, y: int
) -> None:
    """`y = x W + b` from units of so many parts, for some columns of a row.

    Shapes: sums (parts, rows, padded(outputs)), of which each unit's first is taken, y (outputs).
    """
    once()
    step = padded(outputs)
    whole = first + (end - first) // 16 * 16
    for c in range(first, whole, 16):
        s = _group(sums, rows, inputs, step, size, r, whole_number(0), c)
        if parts_of(inputs) > GROUP:
            s = add(s, _group(sums, rows, inputs, step, size, r, whole_number(GROUP), c))
        store(y, c, add(s, load(bias, c)) if bias else s)
    for c in range(whole, end):
        t = _group1(sums, rows, inputs, step, size, r, whole_number(0), c)
        if parts_of(inputs) > GROUP:
            t += _group1(sums, rows, inputs, step, size, r, whole_number(GROUP), c)
        put(y, c, t + get(bias, c) if bias else t)


@inner
def _group(sums: int, rows: int, inputs: int, step: int, size: int, r: int, n: int, c: int) -> float:
    """The sum of the group that begins with part `n`, for sixteen columns."""
    s = load(sums, (n * rows + r) * step + c)
    for m in range(n + size, min(n + GROUP, parts_of(inputs)), size):
        s = add(s, load(sums, (m * rows + r) * step + c))
    return s


@inner
def _group1(sums: int, rows: int, inputs: int, step: int, size: int, r: int, n: int, c: int) -> float:
    """The same for one column."""
    s = get(sums, (n * rows + r) * step + c)
    for m in range(n + size, min(n + GROUP, parts_of(inputs)), size):
        s += get(sums, (m * rows + r) * step + c)
    return s
