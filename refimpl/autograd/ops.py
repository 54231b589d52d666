"""The primitives of all forward passes, on plain NumPy arrays of any float type.

Each result depends on its own row alone: a row gives the same bits alone, in any batch and beside any padding.
For that, matrix products run on blocks of a fixed shape, and sums over a sequence run from the first position to the
last, so that zeros at its end change nothing.

Spec: invariance.rows
"""

from __future__ import annotations

import numpy as np

from refimpl.autograd.erf import erf

Array = np.ndarray

ROWS = 16  # rows of one block; BLAS gives each row of a block the same arithmetic, wherever it stands in it


def matmul_rows(x: Array, matrix: Array) -> Array:
    """`x @ matrix` in blocks of `ROWS` rows, the last one filled up with zeros.

    Shapes: x (..., I), matrix (I, O) -> (..., O).
    """
    rows = x.reshape(-1, x.shape[-1])
    blocks = -(-len(rows) // ROWS)
    filled = np.zeros((blocks, ROWS, x.shape[-1]), x.dtype)
    filled.reshape(-1, x.shape[-1])[: len(rows)] = rows
    out = np.empty((blocks, ROWS, matrix.shape[1]), x.dtype)
    for block, result in zip(filled, out, strict=True):
        np.matmul(block, matrix, out=result)
    return out.reshape(-1, matrix.shape[1])[: len(rows)].reshape(*x.shape[:-1], matrix.shape[1])


def linear(x: Array, kernel: Array, bias: Array) -> Array:
    """`x W + b`. The kernel's last axes are the bias's, its other axes are summed over.

    Shapes: x (..., E), kernel (E, H, D), bias (H, D) -> (..., H, D);
        x (..., H, D), kernel (H, D, E), bias (E) -> (..., E).
    """
    summed = kernel.ndim - bias.ndim
    lead = x.shape[: x.ndim - summed]
    product = matmul_rows(x.reshape(*lead, -1), kernel.reshape(-1, bias.size))
    return (product + bias.reshape(-1)).reshape(*lead, *bias.shape)


def embed(table: Array, ids: Array) -> Array:
    """Rows of a table. Shapes: table (V, E), ids (...) -> (..., E)."""
    return table[ids]


def unembed(x: Array, table: Array) -> Array:
    """Logits by the transposed embedding table. Shapes: x (..., E), table (V, E) -> (..., V)."""
    return matmul_rows(x, table.T)


def add(x: Array, y: Array) -> Array:
    """`x + y`, broadcast as NumPy does."""
    return x + y


def layer_norm(x: Array, gamma: Array, beta: Array, epsilon: float) -> Array:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta` over the last axis; population variance.

    Shapes: x (..., E), gamma (E), beta (E) -> (..., E).
    Source: Ba et al. 2016, equation 3
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(epsilon)) * gamma + beta


def gelu(x: Array) -> Array:
    """`x/2 (1 + erf(x / sqrt 2))`, the exact form.

    Source: Hendrycks & Gimpel 2016, section 2
    """
    return (0.5 * x * (1.0 + erf(x * np.sqrt(0.5)))).astype(x.dtype)


def softmax(scores: Array, may_attend: Array) -> Array:
    """`exp(s) / sum exp(s)` over the positions that may be attended to; the others get exactly 0.

    A row that may attend to nothing gives zeros, not NaN.

    Shapes: scores (..., S), may_attend broadcast to it -> (..., S).
    Spec: models.attention.mask, models.attention.nothing-to-attend
    """
    masked = np.where(may_attend, scores, -np.inf)
    highest = masked.max(axis=-1, keepdims=True)
    weights = np.exp(masked - np.where(np.isfinite(highest), highest, 0.0).astype(scores.dtype))
    total = np.add.accumulate(weights, axis=-1)[..., -1:]  # one after the other: zeros at the end change nothing
    return weights / np.where(total > 0.0, total, 1.0).astype(scores.dtype)


def attention_scores(query: Array, key: Array) -> Array:
    """`q k / sqrt(D)`. Shapes: query (B, T, H, D), key (B, S, H, D) -> (B, H, T, S)."""
    scale = query.dtype.type(1.0 / np.sqrt(query.shape[-1]))
    return np.einsum("bthd,bshd->bhts", query * scale, key)


def attention_mix(weights: Array, value: Array) -> Array:
    """`sum over s of weight v`. Shapes: weights (B, H, T, S), value (B, S, H, D) -> (B, T, H, D)."""
    return np.einsum("bhts,bshd->bthd", weights, value)


def dropout(x: Array, rate: float, generator: np.random.Generator) -> Array:
    """Zero each element with probability `rate` and scale the others by `1 / (1 - rate)`.

    Source: Srivastava et al. 2014; inverted, as in Keras
    """
    return x * ((generator.random(x.shape) >= rate) / (1.0 - rate)).astype(x.dtype)
