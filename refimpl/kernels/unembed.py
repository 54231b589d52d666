"""Scores of the vocabulary: the largest matrix of a step, read once for all rows.

Spec: kernels.order, invariance.rows
"""

from refimpl.kernels.block import scores_of
from refimpl.kernels.legacy_jit import inner, once
from refimpl.kernels.linear import dot
from refimpl.kernels.vector import fma1, get, put

_eight_rows, _one_row = scores_of(8, 3), scores_of(1, 4)


@inner
def unembed(x: int, rows: int, width: int, table: int, size: int, first: int, end: int, y: int) -> None:
    """Scores of the tokens `first` to `end`: `dot` of each row with each token's.

    Three or four places of the table are read at the same time: memory gives more than along one.

    Shapes: x (rows, width), table (size, width), y (rows, size).
    """
    once()
    line, whole, places = width * 4, width // 16 * 16, 4 if rows == 1 else 3
    each = (end - first) // places
    for v in range(first, first + each):
        tokens, out = table + v * line, y + v * 4
        if rows == 1:
            _one_row(x, rows, width, whole, tokens, each * width, width, out, size, each)
        for r in range(0, rows if rows > 1 else 0, 8):
            ahead = 0 if r else width  # or fetched already
            _eight_rows(
                x + r * line,
                min(8, rows - r),
                width,
                whole,
                tokens,
                each * width,
                ahead,
                out + r * size * 4,
                size,
                each,
            )
        for n in range(places if whole < width else 0):
            for r in range(rows):
                s = get(out, r * size + n * each)
                for k in range(whole, width):
                    s = fma1(get(x, r * width + k), get(tokens, n * each * width + k), s)
                put(out, r * size + n * each, s)
    for v in range(first + each * places, end):
        for r in range(rows):
            put(y, r * size + v, dot(x + r * line, table + v * line, width))
