"""Matrix products by rows of weights that lie as KerasHub has them: (inputs, outputs), or the token table (V, E).

Each element of `matmul` is a sum over k from the first to the last, as the loop is written: no flag lets LLVM
reorder it. In `unembed` the compiler chooses the order of a dot product, but there is one piece of code for every row
and token. So a row has the same bits alone and beside others, in one thread or in several.

Spec: kernels.order, invariance.rows
"""

import numpy as np

from refimpl.kernels.jit import jit
from refimpl.kernels.weights import Array, Dense

_TILE = 512  # columns whose sums stay in the first cache


@jit
def matmul(x: Array, dense: Dense, out: Array, first: int, stop: int) -> None:
    """`out = x W + b` for the columns from `first` to `stop`. Shapes: x (R, K), W (K, N), b (N) or (0)."""
    eights = dense.kernel.shape[0] // 8 * 8
    for c in range(first, stop, _TILE):
        end = min(c + _TILE, stop)
        for r in range(len(x)):
            for j in range(c, end):
                out[r, j] = dense.bias[j] if len(dense.bias) else np.float32(0.0)
        for k in range(0, eights, 8):
            _add_eight(x, dense.kernel, out, c, end, k)
        for k in range(eights, dense.kernel.shape[0]):
            w = dense.kernel[k, c:end]
            for r in range(len(x)):
                a, y = x[r, k], out[r, c:end]
                for j in range(end - c):
                    y[j] += a * w[j]


@jit
def _add_eight(x: Array, weight: Array, out: Array, c: int, end: int, k: int) -> None:
    """Add eight products to each element of the columns from `c` to `end`; eight lines are read once for all rows."""
    w0, w1, w2, w3 = weight[k, c:end], weight[k + 1, c:end], weight[k + 2, c:end], weight[k + 3, c:end]
    w4, w5, w6, w7 = weight[k + 4, c:end], weight[k + 5, c:end], weight[k + 6, c:end], weight[k + 7, c:end]
    for r in range(len(x)):
        a0, a1, a2, a3 = x[r, k], x[r, k + 1], x[r, k + 2], x[r, k + 3]
        a4, a5, a6, a7 = x[r, k + 4], x[r, k + 5], x[r, k + 6], x[r, k + 7]
        y = out[r, c:end]
        for j in range(end - c):
            s = y[j] + a0 * w0[j] + a1 * w1[j] + a2 * w2[j] + a3 * w3[j]
            y[j] = s + a4 * w4[j] + a5 * w5[j] + a6 * w6[j] + a7 * w7[j]


@jit(any_order=True)
def unembed(x: Array, table: Array, out: Array, first: int, stop: int) -> None:
    """`out = x table^T` for tokens from `first` to `stop`, four at a time. Shapes: x (R, E), table (V, E)."""
    last = stop - 1
    for v0 in range(first, stop, 4):
        v1, v2, v3 = min(v0 + 1, last), min(v0 + 2, last), min(v0 + 3, last)
        for r in range(len(x)):
            y0 = y1 = y2 = y3 = np.float32(0.0)
            for k in range(x.shape[1]):
                a = x[r, k]
                y0 += a * table[v0, k]
                y1 += a * table[v1, k]
                y2 += a * table[v2, k]
                y3 += a * table[v3, k]
            out[r, v0], out[r, v1], out[r, v2], out[r, v3] = y0, y1, y2, y3
