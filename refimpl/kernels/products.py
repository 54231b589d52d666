"""Which part of a product is a thread's, and where it leaves its numbers.

Spec: kernels.order, kernels.threads
"""

import numpy as np

from refimpl.kernels.few import add_units, columns_product, padded, unit_product, units_of
from refimpl.kernels.legacy_jit import inner, once, whole
from refimpl.kernels.linear import part, parts_of, product, share
from refimpl.kernels.places import FEW, PANEL, PANELS, ROWS

NOWHERE = 0, 0, 0  # no lines are fetched


@inner
def columns(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, weights: np.ndarray, x: int, inputs: int, place: int,
    count: int, outputs: int, y: int,
) -> None:  # fmt: skip
    """A thread's columns of `count` products of the rows at `buffers[x]`, to `buffers[y]` and the places after it."""
    once()
    first, end = share(outputs, whole(16), rank, team)
    room = buffers[PANEL] + rank * sizes[PANELS] * 4
    for n in range(count):
        kernel, bias, out = weights[place + n * 2], weights[place + n * 2 + 1], buffers[y + n]
        if sizes[FEW]:
            columns_product(buffers[x], sizes[ROWS], inputs, kernel, bias, outputs, first, end, out, room)
        else:
            product(buffers[x], sizes[ROWS], inputs, kernel, bias, outputs, first, end, out, room)


@inner
def multiply(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, weights: np.ndarray, x: int, inputs: int, place: int,
    count: int, outputs: int, y: int, parts: int,
) -> None:  # fmt: skip
    """A thread's part of `count` products of the rows at `buffers[x]`, to `buffers[y]` and the places after it.

    Where rows are few, threads share the inputs, for memory gives more when whole lines are read. Units of the sums are
    left in `buffers[parts]`, and `finish` adds them, after a barrier.
    """
    once()
    if not sizes[FEW]:
        columns(sizes, rank, team, buffers, weights, x, inputs, place, count, outputs, y)
        return
    rows, of_one = sizes[ROWS], parts_of(inputs)
    units, size = units_of(inputs, count, team)
    first, end = share(units, whole(1), rank, team)
    for n in range(first * size, end * size, size):
        kernel, sums = weights[place + n // of_one * 2], buffers[parts] + n * rows * padded(outputs) * 4
        room = buffers[PANEL] + rank * sizes[PANELS] * 4
        unit_product(buffers[x], rows, inputs, kernel, outputs, n % of_one, size, sums, room)


@inner
def finish(
    sizes: np.ndarray, team: int, buffers: np.ndarray, weights: np.ndarray, inputs: int, place: int, n: int, count: int,
    outputs: int, r: int, first: int, end: int, y: int, parts: int,
) -> None:  # fmt: skip
    """Columns `first` to `end` of row `r` of product `n` of the `count` that `multiply` began, to `buffers[y + n]`."""
    once()
    if sizes[FEW]:
        rows, (_, size) = sizes[ROWS], units_of(inputs, count, team)
        sums = buffers[parts] + n * parts_of(inputs) * rows * padded(outputs) * 4
        out = buffers[y + n] + r * outputs * 4
        add_units(sums, rows, inputs, outputs, weights[place + 2 * n + 1], size, r, first, end, out)


@inner
def lines_of(
    sizes: np.ndarray, rank: int, team: int, weights: np.ndarray, place: int, inputs: int, count: int, outputs: int
) -> tuple[int, int, int]:
    """What a thread reads first in `multiply`: an address, or 0, and as many bytes of so many."""
    if not sizes[FEW]:
        return NOWHERE
    units, size = units_of(inputs, count, team)
    n, of_one = share(units, whole(1), rank, team)[0] * size, parts_of(inputs)
    line = outputs * 4
    return weights[place + n // of_one * 2] + part(inputs, n % of_one)[0] * line, line, line


@inner
def columns_of(
    sizes: np.ndarray, rank: int, team: int, weights: np.ndarray, place: int, outputs: int
) -> tuple[int, int, int]:
    """The same for `columns`."""
    first, end = share(outputs, whole(16), rank, team)
    return (weights[place] + first * 4 if sizes[FEW] else 0), (end - first) * 4, outputs * 4


@inner
def own_lines(sizes: np.ndarray, team: int, inputs: int, unit: int) -> bool:
    """Whether each thread multiplies by just those lines whose inputs it made, so that it need not wait for others."""
    units, size = units_of(inputs, whole(1), team)
    for rank in range(team if sizes[FEW] else 0):
        first, end = share(units, whole(1), rank, team)
        start, stop = share(inputs, unit, rank, team)
        if start != part(inputs, first * size)[0] or stop != part(inputs, end * size - 1)[1]:
            return False
    return sizes[FEW] != 0
