"""Numba kernels of matrix products with a narrow factor, by tiles that stay in registers."""

from __future__ import annotations

from typing import Any

from refimpl.autograd.compiled import inner, kernel
from refimpl.autograd.compiled_tile import TALL, WIDE, flat_tile, low_tile, tall_tile

_BLOCK = 8 * TALL  # rows that are read once for each panel of the narrow factor


@inner
def column(
    rows: Any, a: Any, a_row: Any, a_sum: Any, b: Any, b_sum: Any, length: Any, start: Any, c: Any, c_row: Any
) -> None:
    """`c = start + a b`, for `rows` rows and 32 columns. Addresses, and strides that count numbers.

    A number of a stands at `a + row a_row + n a_sum`, where n goes over the `length` of the sum; 32 numbers of b stand
    at `b + n b_sum`, the 32 of `start` are the same for all rows.
    """
    r = 0
    while r + TALL <= rows:
        tall_tile(a + 4 * r * a_row, a_row, a_sum, b, b_sum, length, start, c + 4 * r * c_row, c_row)
        r += TALL
    while r + 4 <= rows:
        low_tile(a + 4 * r * a_row, a_row, a_sum, b, b_sum, length, start, c + 4 * r * c_row, c_row)
        r += 4
    while r < rows:
        flat_tile(a + 4 * r * a_row, a_row, a_sum, b, b_sum, length, start, c + 4 * r * c_row, c_row)
        r += 1


@kernel
def product(first: int, end: int, x: Any, panels: Any, start: Any, y: Any) -> None:
    """`x W + start`. Shapes: x (R, I), panels (O / 32, I, 32), start (O) -> y (R, O)."""
    depth, width = x.shape[1], y.shape[1]
    for block in range(first, end, _BLOCK):
        rows = min(_BLOCK, end - block)
        for n in range(panels.shape[0]):
            b, s = panels.ctypes.data + 4 * n * depth * WIDE, start.ctypes.data + 4 * n * WIDE
            a, c = x.ctypes.data + 4 * block * depth, y.ctypes.data + 4 * (block * width + n * WIDE)
            column(rows, a, depth, 1, b, WIDE, depth, s, c, width)
