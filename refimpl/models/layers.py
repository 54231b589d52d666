"""Layers that architectures share, as functions of their weights.

Letters: B batch, S source length, T target length, H heads, D head width, E hidden, F intermediate.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from refimpl.autograd import ops
from refimpl.autograd.dropout import Dropout
from refimpl.models.weights import Scope

Array = Any  # a NumPy array, or a node of the tape that stands for one
Drop = Dropout
keep = Dropout()  # no dropout: what inference uses


def keys_and_values(y: Array, weights: Scope) -> tuple[Array, Array]:
    """What attention attends to. Shapes: y (B, S, E) -> two of (B, S, H, D)."""
    key = ops.linear(y, weights["key"].kernel, weights["key"].bias)
    value = ops.linear(y, weights["value"].kernel, weights["value"].bias)
    return key, value


def stack_layers(pairs: Iterable[tuple[np.ndarray, np.ndarray]], shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """The cache of keys and values of all layers, which may be none. Shapes: pairs (B, S, H, D) -> (B, L, 2, S, H, D).

    Spec: models.bart.no-layers
    """
    found = np.empty(shape, dtype)
    for n, pair in enumerate(pairs):
        found[:, n] = np.stack(pair, axis=1)
    return found


def attention(x: Array, key: Array, value: Array, may_attend: np.ndarray, weights: Scope, drop: Drop = keep) -> Array:
    """`softmax(q k / sqrt(D)) v`, for each head, then joined by a projection.

    Shapes: x (B, T, E), key and value (B, S, H, D), may_attend (B or 1, 1, T or 1, S) -> (B, T, E).
    Spec: models.attention.scale, models.attention.mask
    Source: Vaswani et al. 2017, section 3.2
    """
    query = ops.linear(x, weights["query"].kernel, weights["query"].bias)  # (B, T, H, D)
    scale = 1.0 / np.sqrt(query.shape[-1])
    mixed = ops.attention(query, key, value, may_attend, None, scale, None, drop.rate, drop.stream())  # (B, T, H, D)
    return ops.linear(mixed, weights["attention_output"].kernel, weights["attention_output"].bias)


def feed_forward(x: Array, weights: Scope) -> Array:
    """`W2 gelu(W1 x + b1) + b2`. Shapes: (B, T, E) -> (B, T, F) -> (B, T, E)."""
    inner, outer = weights["feedforward_intermediate_dense"], weights["feedforward_output_dense"]
    return ops.linear(ops.gelu(ops.linear(x, inner.kernel, inner.bias)), outer.kernel, outer.bias)


def layer_norm(x: Array, weights: Scope, epsilon: float = 1e-5) -> Array:
    """Layer norm with the gain and shift of `weights`. Shapes: (..., E) -> (..., E)."""
    return ops.layer_norm(x, weights.gamma, weights.beta, epsilon)


def attend_tokens(padding_mask: np.ndarray) -> np.ndarray:
    """Every position may attend to every token and to no padding. Shapes: (B, S) -> (B, 1, 1, S) bool."""
    return np.asarray(padding_mask).astype(bool)[:, None, None, :]


def attend_past(queries: int, keys: int, first: int = 0) -> np.ndarray:
    """Position `first + t` may attend to the positions up to itself. Shapes: -> (1, 1, queries, keys) bool."""
    return (np.arange(keys) <= first + np.arange(queries)[:, None])[None, None]
