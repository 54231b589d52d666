"""The matrix product of the kernels: every weight lies by outputs, so each number is the dot product of two lines.

The compiler chooses in which order it takes the sum, but there is one piece of code for every row and output. So a row
has the same bits alone and beside others, in one thread or in several.

Spec: invariance.rows
"""

import numpy as np

from refimpl.kernels.jit import jit_in_any_order
from refimpl.kernels.weights import Array, Dense

_ROWS = 32  # rows that stay in the second cache while all weights pass by


@jit_in_any_order
def matmul(x: Array, dense: Dense, out: Array, first: int, stop: int) -> None:
    """`out = x W^T + b` for the outputs from `first` to `stop`, two rows by four outputs at a time, so that each number
    that is read serves several products. The four stand a quarter of all outputs apart: memory is then read in four
    long streams, which the processor foresees. At an odd end the last row or output is taken again.

    Shapes: x (R, K or more), W (N, K), b (N) or (0), out (R, N).
    """
    w, bias, quarter = dense.kernel, dense.bias, (stop - first + 3) // 4
    for begin in range(0, len(x), _ROWS):
        end = min(begin + _ROWS, len(x))
        for n0 in range(first, first + quarter):
            n1, n2, n3 = min(n0 + quarter, stop - 1), min(n0 + 2 * quarter, stop - 1), min(n0 + 3 * quarter, stop - 1)
            for r in range(begin, end, 2):
                s = min(r + 1, end - 1)
                y0 = y1 = y2 = y3 = z0 = z1 = z2 = z3 = np.float32(0.0)
                for k in range(w.shape[1]):
                    a, b = x[r, k], x[s, k]
                    y0, z0 = y0 + a * w[n0, k], z0 + b * w[n0, k]
                    y1, z1 = y1 + a * w[n1, k], z1 + b * w[n1, k]
                    y2, z2 = y2 + a * w[n2, k], z2 + b * w[n2, k]
                    y3, z3 = y3 + a * w[n3, k], z3 + b * w[n3, k]
                out[r, n0], out[r, n1], out[r, n2], out[r, n3] = y0, y1, y2, y3
                out[s, n0], out[s, n1], out[s, n2], out[s, n3] = z0, z1, z2, z3
        for r in range(begin, end if len(bias) else begin):
            for n in range(first, stop):
                out[r, n] += bias[n]
