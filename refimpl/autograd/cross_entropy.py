"""The loss as a primitive: cross-entropy of logits, and the same together with the head that makes the logits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refimpl.autograd.tape import Pull, primitive

Array = np.ndarray
ToSlope = Callable[[Array, Array, Array, Array, Array], None]

CHUNK = 2**25  # logits that the fused head holds at a time: 128 MiB in float32


@primitive
def cross_entropy(logits: Array, labels: Array) -> Array:
    """`log sum exp(z) - z_label` of each row. Shapes: logits (..., V), labels (...) -> (...)."""
    highest = logits.max(axis=-1)
    total = np.exp(logits - highest[..., None]).sum(axis=-1)
    return np.log(total) + highest - np.take_along_axis(logits, labels[..., None], axis=-1)[..., 0]


@cross_entropy.vjp
def _(_wants: list[bool], logits: Array, labels: Array) -> tuple[Array, Pull]:
    """`z'_rv = g_r (softmax(z)_rv - [v = label_r])`."""

    def pull(g: Array) -> list[Array | None]:
        slope = np.exp(logits - logits.max(axis=-1, keepdims=True))
        slope /= slope.sum(axis=-1, keepdims=True)
        _subtract_labels(slope.reshape(-1, slope.shape[-1]), labels.reshape(-1))
        slope *= g[..., None]
        return [slope, None]

    return cross_entropy.plain(logits, labels), pull


@primitive
def weighted_sum(values: Array, weights: Array) -> Array:
    """`sum of w x`, which is how token losses become the loss. Shapes: both (...) -> ()."""
    return np.asarray((values * weights).sum())


@weighted_sum.vjp
def _(_wants: list[bool], values: Array, weights: Array) -> tuple[Array, Pull]:
    """`x' = g w`."""
    return np.asarray((values * weights).sum()), lambda g: [g * weights, None]


@primitive
def head_loss(x: Array, table: Array, labels: Array, weights: Array, losses: Array, guesses: Array) -> Array:
    """`sum over r of weight_r cross_entropy(x_r table^T, label_r)`, without ever holding all logits.

    `losses` and `guesses` are filled with the cross-entropy and the most probable token of each row whose weight is
    not 0; other rows are not computed.

    Shapes: x (..., E), table (V, E); labels, weights, losses, guesses (...) -> ().
    """
    return by_chunks(x, table, labels, weights, losses, guesses, [False, False], to_slope)[0]


@head_loss.vjp
def _(
    wants: list[bool], x: Array, table: Array, labels: Array, weights: Array, losses: Array, guesses: Array
) -> tuple[Array, Pull]:
    """With `z_rv = x_re T_ve` and `d_rv = weight_r (softmax(z)_rv - [v = label_r])`: `x'_re = g d_rv T_ve`,
    `T'_ve = g d_rv x_re`. As g is one number, both are computed at once with the value, chunk by chunk.
    """
    return pulled(*by_chunks(x, table, labels, weights, losses, guesses, wants, to_slope))


def pulled(total: Array, x_slope: Array | None, table_slope: Array | None) -> tuple[Array, Pull]:
    """The value of `head_loss`, and its gradients times g."""

    def pull(g: Array) -> list[Array | None]:
        slopes = [x_slope, table_slope]
        if g != 1.0:
            slopes = [None if slope is None else np.multiply(slope, g, out=slope) for slope in slopes]
        return [*slopes, None, None, None, None]

    return total, pull


def by_chunks(
    x: Array,
    table: Array,
    labels: Array,
    weights: Array,
    losses: Array,
    guesses: Array,
    wants: list[bool],
    to_slope: ToSlope,
    product: Callable[[Array, Array], Array] = np.matmul,
) -> tuple[Array, Array | None, Array | None]:
    """The loss and its gradients with respect to x and table, where wanted."""
    x_slope = np.zeros_like(x) if wants[0] else None
    table_slope = None
    used = np.flatnonzero(weights)
    total = 0.0
    step = max(1, CHUNK // len(table))
    for first in range(0, len(used), step):
        rows = np.unravel_index(used[first : first + step], weights.shape)
        states, wanted, weight = x[rows], labels[rows], weights[rows]
        logits = product(states, table.T)
        loss, guess = np.empty(len(states), x.dtype), np.empty(len(states), np.int64)
        to_slope(logits, wanted, weight, loss, guess)
        losses[rows], guesses[rows] = loss, guess
        total += float(np.dot(loss.astype(np.float64), weight.astype(np.float64)))
        if x_slope is not None:
            x_slope[rows] = product(logits, table)
        if wants[1]:
            part = product(logits.T, states)
            table_slope = part if table_slope is None else np.add(table_slope, part, out=table_slope)
    if wants[1] and table_slope is None:
        table_slope = np.zeros_like(table)
    return np.asarray(total, x.dtype), x_slope, table_slope


def to_slope(logits: Array, labels: Array, weights: Array, losses: Array, guesses: Array) -> None:
    """Turn logits into `weight (softmax(z) - [v = label])`, in place; fill losses and guesses. Shapes: (R, V), (R)."""
    logits.argmax(axis=-1, out=guesses)
    wanted = logits[np.arange(len(labels)), labels]
    highest = logits.max(axis=-1)
    logits -= highest[:, None]
    np.exp(logits, out=logits)
    total = logits.sum(axis=-1)
    logits /= total[:, None]
    _subtract_labels(logits, labels)
    logits *= weights[:, None]
    losses[:] = np.log(total) + highest - wanted


def _subtract_labels(slope: Array, labels: Array) -> None:
    """Take 1 from each row at its label. Shapes: (R, V), (R)."""
    slope[np.arange(len(labels)), labels] -= slope.dtype.type(1.0)
