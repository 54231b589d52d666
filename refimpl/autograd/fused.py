"""Twins of primitives: the same values and gradients in float32, in fewer passes over memory and on all cores.

This file and those with kernels may be deleted: only time is lost. A test compares each twin with its definition.

Spec: autograd.twins
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refimpl.autograd import compiled
from refimpl.autograd.blas import one_thread
from refimpl.autograd.cross_entropy import by_chunks, pulled
from refimpl.autograd.fused_attention import attention, draws
from refimpl.autograd.products import product, product_plus
from refimpl.autograd.sharing import in_shards, share, share_sums
from refimpl.autograd.tape import Pull, Rows

Array = np.ndarray
Wants = list[bool]

_F = np.float32


def _flat(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1)


def linear(wants: Wants, x: Array, kernel: Array, bias: Array) -> tuple[Array, Pull]:
    """The bias is added with the product, and its gradient is a matrix product."""
    lead = x.shape[: x.ndim - kernel.ndim + bias.ndim]
    matrix = kernel.reshape(-1, bias.size)
    rows = x.reshape(-1, len(matrix))
    value = product_plus(rows, matrix, np.ascontiguousarray(bias).reshape(-1))

    def pull(g: Array) -> list[Array | None]:
        g = g.reshape(len(rows), bias.size)
        return [
            product_plus(g, matrix.T, None).reshape(x.shape) if wants[0] else None,
            product(rows.T, g).reshape(kernel.shape) if wants[1] else None,
            (np.ones(len(g), g.dtype) @ g).reshape(bias.shape) if wants[2] else None,
        ]

    return value.reshape(*lead, *bias.shape), pull


def project(wants: Wants, x: Array, kernel: Array) -> tuple[Array, Pull]:
    """The rows are shared out."""
    rows = x.reshape(-1, len(kernel))

    def pull(g: Array) -> list[Array | None]:
        g = g.reshape(len(rows), -1)
        return [
            product_plus(g, kernel.T, None).reshape(x.shape) if wants[0] else None,
            product(rows.T, g) if wants[1] else None,
        ]

    return product_plus(rows, kernel, None).reshape(*x.shape[:-1], kernel.shape[1]), pull


class _Rows(Rows):
    """Rows that are added one after the other, in their order."""

    def add_to(self, table: Array) -> None:
        """Add the rows to `table`."""
        compiled.add_rows(np.ascontiguousarray(self.ids), np.ascontiguousarray(self.values), table)


def embed(_wants: Wants, table: Array, ids: Array) -> tuple[Array, Pull]:
    """The gradient needs no sorting."""
    return table[ids], lambda g: [_Rows(ids, g), None]


def gelu(_wants: Wants, x: Array) -> tuple[Array, Pull]:
    """Value and slope in one pass."""
    return _activation(compiled.gelu, x)


def gelu_tanh(_wants: Wants, x: Array) -> tuple[Array, Pull]:
    """Value and slope in one pass."""
    return _activation(compiled.gelu_tanh, x)


def _activation(kernel: Callable[..., None], x: Array) -> tuple[Array, Pull]:
    """An activation whose kernel gives value and slope."""
    value, slope = np.empty_like(x), np.empty_like(x)
    share(kernel, x.size, x.size, _flat(x), value.reshape(-1), slope.reshape(-1))

    def pull(g: Array) -> list[Array]:
        # The slope is used once, so that it may become the gradient.
        share(compiled.multiply, slope.size, slope.size, _flat(g), slope.reshape(-1))
        return [slope]

    return value, pull


def dropout(_wants: Wants, x: Array, rate: float, stream: int) -> tuple[Array, Pull]:
    """The mask is drawn where it is used."""
    found = draws(rate, stream, x.shape)

    def dropped(y: Array) -> Array:
        out = np.empty(y.shape, y.dtype)
        share(compiled.dropout, y.size, y.size, _flat(y), out.reshape(-1), *found)
        return out

    return dropped(x), lambda g: [dropped(g), None, None]


def layer_norm(wants: Wants, x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Pull]:
    """A row is normalized while it is in the cache."""
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    value, normal, scales = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), rows.dtype)
    share(compiled.layer_norm, len(rows), rows.size, rows, gamma, beta, _F(epsilon), value, normal, scales)

    def pull(g: Array) -> list[Array | None]:
        slope, g = np.empty_like(normal), np.ascontiguousarray(g).reshape(normal.shape)
        shape = (2, len(gamma))
        args = (g, gamma, normal, scales, slope)
        sums = share_sums(compiled.layer_norm_slope, len(g), g.size, shape, *args)
        return [slope.reshape(x.shape), sums[0] if wants[1] else None, sums[1] if wants[2] else None, None]

    return value.reshape(x.shape), pull


def rms_norm(wants: Wants, x: Array, gain: Array, epsilon: float) -> tuple[Array, Pull]:
    """A row is normalized while it is in the cache."""
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    value, normal, scales = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), rows.dtype)
    share(compiled.rms_norm, len(rows), rows.size, rows, gain, _F(epsilon), value, normal, scales)

    def pull(g: Array) -> list[Array | None]:
        slope, g = np.empty_like(normal), np.ascontiguousarray(g).reshape(normal.shape)
        along = share_sums(compiled.rms_norm_slope, len(g), g.size, gain.shape, g, gain, normal, scales, slope)
        return [slope.reshape(x.shape), along if wants[1] else None, None]

    return value.reshape(x.shape), pull


def head_loss(
    wants: Wants, x: Array, table: Array, labels: Array, weights: Array, losses: Array, guesses: Array
) -> tuple[Array, Pull]:
    """Two passes over the logits in place of seven."""
    return pulled(*by_chunks(x, table, labels, weights, losses, guesses, wants, _to_slope, product))


def _to_slope(logits: Array, labels: Array, weights: Array, losses: Array, guesses: Array) -> None:
    """Turn logits into `weight (softmax - [label])` in place. Shapes: (R, V), (R)."""
    logits.argmax(axis=-1, out=guesses)
    share(compiled.softmax_slope, len(logits), logits.size, logits, labels, weights, guesses, losses)


def adam(weight: Array, gradient: Array, momentum: Array, velocity: Array, numbers: tuple[float, ...]) -> None:
    """One step of Adam, in place. `numbers` are step size, shares of what is new, and epsilon."""
    arrays = [x.reshape(-1) for x in (weight, np.ascontiguousarray(gradient), momentum, velocity)]
    share(compiled.adam, weight.size, weight.size, *arrays, *(_F(number) for number in numbers))


__all__ = ["TWINS", "adam", "in_shards", "one_thread"]
_TWINS = (
    linear, project, embed, gelu, gelu_tanh, dropout, layer_norm, rms_norm, attention, head_loss,
)  # fmt: skip
TWINS = {f.__name__: f for f in _TWINS}
