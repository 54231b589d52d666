"""T5's layers, as functions of their weights: no biases, relative positions, norms that take no mean off.

Letters: B batch, S source length, T target length, H heads, D head width, E hidden, F intermediate.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refimpl.autograd import ops
from refimpl.models.layers import Array, Drop, keep
from refimpl.models.t5_weights import BUCKETS
from refimpl.models.weights import Scope

KeysValues = tuple[Array, Array]
MAX_DISTANCE = 128  # KerasHub's T5 has no other number
SCALE = 1.0  # of scores: the initial weights are small instead

# By Keras's names; the last is the form that transformers calls `gated-gelu`.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "relu": ops.relu,
    "gelu": ops.gelu,
    "silu": ops.silu,
    "gelu_approximate": ops.gelu_tanh,
}


def relative_buckets(distances: np.ndarray, bidirectional: bool) -> np.ndarray:
    """The bucket of each distance, key position minus query position. Shapes: any -> the same, ints below 32.

    Half of the buckets are single distances, the others grow with the logarithm of the distance up to 128, from where
    on all are one. Bidirectional, the second 16 are for keys after the query; else keys after it are as at 0.

    Spec: models.t5.relative-buckets
    Source: Raffel et al. 2020, section 2.1
    """
    count = BUCKETS // 2 if bidirectional else BUCKETS
    behind = np.where(distances > 0, count, 0) if bidirectional else 0
    far = np.abs(distances) if bidirectional else np.maximum(-distances, 0)
    exact = count // 2
    growth = np.log(np.maximum(far, exact) / exact) / np.log(MAX_DISTANCE / exact)
    large = np.minimum(exact + (growth * (count - exact)).astype(np.int64), count - 1)
    return behind + np.where(far < exact, far, large)


def position_bias(queries: int, keys: int, first: int, bidirectional: bool, table: Array) -> Array:
    """What attention adds to the scores of queries from position `first` on. Shapes: table (32, H) -> (H, T, S).

    Spec: models.t5.position-bias
    """
    distances = np.arange(keys) - (first + np.arange(queries))[:, None]
    return ops.transpose(ops.embed(table, relative_buckets(distances, bidirectional)), (2, 0, 1))


def keys_and_values(y: Array, weights: Scope, heads: int) -> KeysValues:
    """What attention attends to. Shapes: y (B, S, E) -> two of (B, S, H, D)."""
    key, value = weights["key_projector"].kernel, weights["value_projector"].kernel
    return _split_heads(ops.project(y, key), heads), _split_heads(ops.project(y, value), heads)


def attention(x: Array, kv: KeysValues, bias: Any, may_attend: np.ndarray, weights: Scope, drop: Drop = keep) -> Array:
    """`softmax(q k + bias) v`, for each head, then joined by a projection. Scores are not divided by anything.

    Shapes: x (B, T, E), kv two of (B, S, H, D), bias (H, T, S) or None, may_attend (B or 1, 1, T or 1, S) -> (B, T, E).
    Spec: models.t5.attention, models.attention.mask
    """
    query = _split_heads(ops.project(x, weights["query_projector"].kernel), kv[0].shape[2])
    mixed = ops.attention(query, *kv, may_attend, bias, SCALE, None, drop.rate, drop.stream())  # (B, T, H, D)
    joined = ops.reshape(mixed, (*mixed.shape[:2], mixed.shape[2] * mixed.shape[3]))
    return ops.project(joined, weights["output_projector"].kernel)


def _split_heads(x: Array, heads: int) -> Array:
    """Shapes: (B, T, H * D) -> (B, T, H, D)."""
    return ops.reshape(x, (*x.shape[:2], heads, x.shape[2] // heads))


def feed_forward(x: Array, weights: Scope, activation: str, gated: bool, drop: Drop = keep) -> Array:
    """`W2 (act(W1 x) * (V x))`, the product with `V x` only where it is gated. Shapes: (B, T, E) -> (B, T, E).

    Spec: models.t5.feed-forward
    Source: Shazeer 2020, "GLU Variants Improve Transformer", equation 6
    """
    inner = ACTIVATIONS[activation](ops.project(x, weights["input_projector"].kernel))
    if gated:
        inner = ops.multiply(inner, ops.project(x, weights["gate_projector"].kernel))
    return ops.project(drop(inner), weights["output_projector"].kernel)


def rms_norm(x: Array, weights: Scope, epsilon: float) -> Array:
    """RMS norm with the gain of `weights`. Shapes: (..., E) -> (..., E)."""
    return ops.rms_norm(x, weights.weight, epsilon)
