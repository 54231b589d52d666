"""The primitives of all forward passes, on NumPy arrays of any float type, each followed by its derivative.

On plain arrays each result depends on its own row alone: a row gives the same bits alone, in any batch and beside any
padding. For that, each row is multiplied by itself, and sums over a sequence run from the first position to the last,
so that zeros at its end change nothing. On the tape, where rows meet in the gradient anyway, matrix
products are as large as they can be.

In the derivations `g` is the gradient of the result, a prime marks a gradient, and repeated indices are summed over.

Spec: invariance.rows
"""

from __future__ import annotations

import numpy as np

from refimpl.autograd.activations import gelu_tanh, multiply, relu, silu, swiglu
from refimpl.autograd.attention import attention, attention_mix, attention_scores, softmax
from refimpl.autograd.cross_entropy import cross_entropy, head_loss, weighted_sum
from refimpl.autograd.erf import erf
from refimpl.autograd.masks import keep_mask
from refimpl.autograd.rotary import rotate, rotate_pairs, soft_cap
from refimpl.autograd.shapes import reshape, summed_to, transpose, windows
from refimpl.autograd.tape import Pull, Rows, primitive

__all__ = [
    "add",
    "attention",
    "attention_mix",
    "attention_scores",
    "cross_entropy",
    "dropout",
    "embed",
    "gelu",
    "gelu_tanh",
    "head_loss",
    "layer_norm",
    "linear",
    "matmul_rows",
    "multiply",
    "project",
    "relu",
    "reshape",
    "rms_norm",
    "rotate",
    "rotate_pairs",
    "silu",
    "soft_cap",
    "softmax",
    "swiglu",
    "transpose",
    "unembed",
    "weighted_sum",
    "windows",
]

Array = np.ndarray
Wants = list[bool]


def matmul_rows(x: Array, matrix: Array) -> Array:
    """`x @ matrix`, each row in a call of BLAS of its own, so that no other row can change how it is summed.

    A library is free to sum the rows of one block in different orders, and OpenBLAS does so on AVX2. What this rests
    on: the same call with the same numbers gives the same bits, wherever they lie in memory. The matrix lies by
    outputs, as all weights do; one that does not is copied.

    Shapes: x (..., I), matrix (I, O) -> (..., O).
    Spec: invariance.rows
    """
    rows = np.ascontiguousarray(x).reshape(-1, 1, x.shape[-1])
    return np.matmul(rows, np.ascontiguousarray(matrix.T).T).reshape(*x.shape[:-1], matrix.shape[1])


@primitive
def linear(x: Array, kernel: Array, bias: Array) -> Array:
    """`x W + b`. The kernel's last axes are the bias's, its other axes are summed over.

    Shapes: x (..., E), kernel (E, H, D), bias (H, D) -> (..., H, D);
        x (..., H, D), kernel (H, D, E), bias (E) -> (..., E).
    """
    summed = kernel.ndim - bias.ndim
    lead = x.shape[: x.ndim - summed]
    product = matmul_rows(x.reshape(*lead, -1), kernel.reshape(-1, bias.size))
    return (product + bias.reshape(-1)).reshape(*lead, *bias.shape)


@linear.vjp
def _(wants: Wants, x: Array, kernel: Array, bias: Array) -> tuple[Array, Pull]:
    """`y_ro = x_ri W_io + b_o`, so `x'_ri = g_ro W_io`, `W'_io = x_ri g_ro`, `b'_o = sum over r of g_ro`."""
    lead = x.shape[: x.ndim - kernel.ndim + bias.ndim]
    matrix = kernel.reshape(-1, bias.size)
    rows = x.reshape(-1, len(matrix))
    value = rows @ matrix
    value += bias.reshape(-1)

    def pull(g: Array) -> list[Array | None]:
        g = g.reshape(len(rows), bias.size)
        return [
            (g @ matrix.T).reshape(x.shape) if wants[0] else None,
            (g.T @ rows).T.reshape(kernel.shape) if wants[1] else None,  # as weights lie in memory
            g.sum(axis=0).reshape(bias.shape) if wants[2] else None,
        ]

    return value.reshape(*lead, *bias.shape), pull


@primitive
def project(x: Array, kernel: Array) -> Array:
    """`x W`, without bias. Shapes: x (..., I), kernel (I, O) -> (..., O)."""
    return matmul_rows(x, kernel)


@project.vjp
def _(wants: Wants, x: Array, kernel: Array) -> tuple[Array, Pull]:
    """`y_ro = x_ri W_io`, so `x'_ri = g_ro W_io` and `W'_io = x_ri g_ro`."""
    rows = x.reshape(-1, x.shape[-1])

    def pull(g: Array) -> list[Array | None]:
        g = g.reshape(len(rows), -1)
        return [(g @ kernel.T).reshape(x.shape) if wants[0] else None, (g.T @ rows).T if wants[1] else None]

    return (rows @ kernel).reshape(*x.shape[:-1], kernel.shape[1]), pull


@primitive
def embed(table: Array, ids: Array) -> Array:
    """Rows of a table. Shapes: table (V, E), ids (...) -> (..., E)."""
    return table[ids]


@embed.vjp
def _(_wants: Wants, table: Array, ids: Array) -> tuple[Array, Pull]:
    """`y_p = T_id(p)`, so `T'_v` is the sum of `g_p` over the places p where id v stands."""
    return table[ids], lambda g: [Rows(ids, g), None]


@primitive
def unembed(x: Array, table: Array) -> Array:
    """Logits by the transposed embedding table. Shapes: x (..., E), table (V, E) -> (..., V)."""
    return matmul_rows(x, table.T)


@unembed.vjp
def _(wants: Wants, x: Array, table: Array) -> tuple[Array, Pull]:
    """`z_rv = x_re T_ve`, so `x'_re = g_rv T_ve` and `T'_ve = g_rv x_re`."""
    rows = x.reshape(-1, x.shape[-1])

    def pull(g: Array) -> list[Array | None]:
        g = g.reshape(len(rows), len(table))
        return [(g @ table).reshape(x.shape) if wants[0] else None, g.T @ rows if wants[1] else None]

    return (rows @ table.T).reshape(*x.shape[:-1], len(table)), pull


@primitive
def add(x: Array, y: Array) -> Array:
    """`x + y`, broadcast as NumPy does."""
    return x + y


@add.vjp
def _(wants: Wants, x: Array, y: Array) -> tuple[Array, Pull]:
    """Both get `g`; an argument that was broadcast gets the sum over the axes along which it was repeated."""
    return x + y, lambda g: [summed_to(g, x.shape) if wants[0] else None, summed_to(g, y.shape) if wants[1] else None]


@primitive
def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last axis; population variance.

    Shapes: x (..., E), gamma (E), beta (E) -> (..., E).
    Source: Ba et al. 2016, equation 3
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(epsilon)) * gamma + beta


@layer_norm.vjp
def _(wants: Wants, x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Pull]:
    """With `n = (x - mean) r`, `r = 1 / sqrt(variance + epsilon)` and `h = g gamma` (means over the last axis):

    `dr = -r^3 mean((x - mean) dx)` and `dn = r (dx - mean(dx)) + (x - mean) dr`, so
    `x' = r (h - mean(h) - n mean(h n))`; `gamma' = sum over rows of g n`, `beta' = sum over rows of g`.
    """
    normal = x - x.mean(axis=-1, keepdims=True)
    scale = 1.0 / np.sqrt(np.square(normal).mean(axis=-1, keepdims=True) + x.dtype.type(epsilon))
    normal *= scale

    def pull(g: Array) -> list[Array | None]:
        rows, width = g.reshape(-1, g.shape[-1]), len(gamma)
        along = np.einsum("re,re->e", rows, normal.reshape(-1, width)) if wants[1] else None
        inner = g * gamma
        slope = np.einsum("...e,...e->...", inner, normal)[..., None] / x.dtype.type(width)
        inner -= inner.mean(axis=-1, keepdims=True)
        inner -= normal * slope
        inner *= scale
        return [inner, along, rows.sum(axis=0) if wants[2] else None, None]

    return normal * gamma + beta, pull


@primitive
def rms_norm(x: Array, gain: Array, epsilon: float) -> Array:
    """`x / sqrt(mean of x^2 + epsilon) * gain` over the last axis: no mean is taken off, nothing is added.

    The mean is float32 where x is float16, whose largest number is the square of 256.

    Shapes: x (..., E), gain (E) -> (..., E).
    Spec: models.t5.rms-norm
    Source: Zhang & Sennrich 2019, equation 4
    """
    return (x * _inverse_rms(x, epsilon)).astype(x.dtype) * gain


def _inverse_rms(x: Array, epsilon: float) -> Array:
    """`1 / sqrt(mean of x^2 + epsilon)`. Shapes: (..., E) -> (..., 1)."""
    wide = np.result_type(x.dtype, np.float32)
    square = np.square(x, dtype=wide).mean(axis=-1, keepdims=True)
    return 1.0 / np.sqrt(square + wide.type(epsilon))


@rms_norm.vjp
def _(wants: Wants, x: Array, gain: Array, epsilon: float) -> tuple[Array, Pull]:
    """With `r = 1 / sqrt(mean(x^2) + epsilon)`, `n = x r` and `h = g gain` (means over the last axis):

    `dr = -r^3 mean(x dx)` and `dn = r dx + x dr`, so `x' = r (h - n mean(h n))`; `gain' = sum over rows of g n`.
    """
    scale = _inverse_rms(x, epsilon).astype(x.dtype)
    normal = x * scale

    def pull(g: Array) -> list[Array | None]:
        width = len(gain)
        along = np.einsum("re,re->e", g.reshape(-1, width), normal.reshape(-1, width)) if wants[1] else None
        inner = g * gain
        slope = np.einsum("...e,...e->...", inner, normal)[..., None] / x.dtype.type(width)
        inner -= normal * slope
        inner *= scale
        return [inner, along, None]

    return normal * gain, pull


@primitive
def gelu(x: Array) -> Array:
    """`x/2 (1 + erf(x / sqrt 2))`, the exact form.

    Source: Hendrycks & Gimpel 2016, section 2
    """
    return (0.5 * x * (1.0 + erf(x * np.sqrt(0.5)))).astype(x.dtype)


@gelu.vjp
def _(_wants: Wants, x: Array) -> tuple[Array, Pull]:
    """`y = x P(x)` with the normal distribution's P and its density p, so `x' = g (P(x) + x p(x))`."""
    below = 0.5 * (1.0 + erf(x * np.sqrt(0.5)))
    density = np.exp(-0.5 * np.square(x)) * np.sqrt(0.5 / np.pi)
    slope = (below + x * density).astype(x.dtype)
    return (x * below).astype(x.dtype), lambda g: [g * slope]


@primitive
def dropout(x: Array, rate: float, stream: int) -> Array:
    """Zero each element with probability `rate` and scale the others by `1 / (1 - rate)`.

    Source: Srivastava et al. 2014; inverted, as in Keras
    """
    return x * (keep_mask(x.shape, rate, stream) * x.dtype.type(1.0 / (1.0 - rate)))


@dropout.vjp
def _(_wants: Wants, x: Array, rate: float, stream: int) -> tuple[Array, Pull]:
    """`y = m x` with a mask m that does not depend on x, so `x' = m g`. The mask is drawn again, not kept."""
    return dropout.plain(x, rate, stream), lambda g: [dropout.plain(g, rate, stream), None, None]
