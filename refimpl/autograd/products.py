"""Matrix products of training, shared out among threads."""

from __future__ import annotations

import numpy as np

from refimpl.autograd import compiled, compiled_product
from refimpl.autograd.blas import is_known
from refimpl.autograd.compiled_tile import WIDE, is_worth_it
from refimpl.autograd.sharing import parts_for, share

Array = np.ndarray

_NARROW = 2**16  # numbers of a factor that stays in the cache; BLAS is better with larger ones


def product(x: Array, y: Array) -> Array:
    """`x @ y`, the rows shared out where BLAS keeps to one thread."""
    numbers = x.size * y.shape[1] // 64
    if not is_known or parts_for(len(x), numbers) == 1:
        return x @ y
    out = np.empty((x.shape[0], y.shape[1]), x.dtype)

    def part(first: int, end: int) -> None:
        np.matmul(x[first:end], y, out=out[first:end])

    share(part, len(out), numbers)
    return out


def product_plus(x: Array, y: Array, start: Array | None) -> Array:
    """`x @ y + start`, by tiles that begin with `start` where y is narrow. Shapes: (R, I), (I, O), (O) -> (R, O)."""
    width = y.shape[1]
    if not is_worth_it or width % WIDE or y.size > _NARROW or not len(y):
        out = product(x, y)
        if start is not None:
            share(compiled.add_bias, len(out), out.size, out, start)
        return out
    begin = np.zeros(width, x.dtype) if start is None else start
    panels = np.ascontiguousarray(y.reshape(len(y), -1, WIDE).transpose(1, 0, 2))
    out = np.empty((len(x), width), x.dtype)
    share(compiled_product.product, len(x), x.size * width // 64, np.ascontiguousarray(x), panels, begin, out)
    return out
