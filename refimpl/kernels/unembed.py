"""Scores of the vocabulary: the largest matrix of a step, read once for all rows.

Spec: kernels.order, invariance.rows
"""

from refimpl.kernels.block import scores_of
from refimpl.kernels.jit import inner, once
from refimpl.kernels.linear import dot
from refimpl.kernels.vector import fma1, get, put

_four_rows, _one_row = scores_of(4), scores_of(1)


@inner
def unembed(x: int, rows: int, width: int, table: int, size: int, first: int, end: int, y: int) -> None:
    """Scores of the tokens `first` to `end`: `dot` of each row with each token's, four tokens at a time.

    Shapes: x (rows, width), table (size, width), y (rows, size).
    """
    once()
    fours, line, whole = first + (end - first) // 4 * 4, width * 4, width // 16 * 16
    for v in range(first, fours, 4):
        tokens, ahead, r = table + v * line, 4 * width, 0
        while r < rows:
            if r + 4 <= rows:
                _four_rows(x + r * line, width, whole, tokens, ahead, y + (r * size + v) * 4, size)
                r += 4
            else:
                _one_row(x + r * line, width, whole, tokens, ahead, y + (r * size + v) * 4, size)
                r += 1
            ahead = 0  # fetched already
        for r in range(rows if whole < width else 0):
            for t in range(v, v + 4):
                s = get(y, r * size + t)
                for k in range(whole, width):
                    s = fma1(get(x, r * width + k), get(table, t * width + k), s)
                put(y, r * size + t, s)
    for v in range(fours, end):
        for r in range(rows):
            put(y, r * size + v, dot(x + r * line, table + v * line, width))
