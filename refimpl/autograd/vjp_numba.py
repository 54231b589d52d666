"""Twins of primitives: the same values and gradients in float32, in fewer passes over memory and on all cores.

Matrix products are NumPy's, everything else is in `vjp_loops`. These files may be deleted: only time is lost. A test
compares each twin with its definition.
"""

from __future__ import annotations

import numpy as np

from refimpl.autograd import vjp_loops
from refimpl.autograd.attention import for_heads, summed_heads
from refimpl.autograd.cross_entropy import by_chunks, pulled
from refimpl.autograd.masks import first_element, threshold
from refimpl.autograd.sharing import in_shards, share
from refimpl.autograd.tape import Pull, Rows
from refimpl.kernels.row_ops import GELU, GELU_TANH, SILU

Array = np.ndarray
Wants = list[bool]

_F = np.float32
_NO_BIAS = np.zeros((0, 0, 0), np.float32)


def _flat(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1)


def _matmul(x: Array, y: Array, out: Array | None = None, bias: Array | None = None) -> Array:
    """`x y + bias`, the rows shared out. Shapes: x (R, I), y (I, O), bias (O); or x (B, ...), y (B, ...)."""
    result = np.empty((*x.shape[:-1], y.shape[-1]), x.dtype) if out is None else out

    def part(first: int, end: int) -> None:
        np.matmul(x[first:end], y if y.ndim == 2 else y[first:end], out=result[first:end])
        if bias is not None:
            result[first:end] += bias

    share(part, len(x), x.size * y.shape[-1] // 64)
    return result


def linear(wants: Wants, x: Array, kernel: Array, bias: Array) -> tuple[Array, Pull]:
    """The bias is added to rows in the cache, and its gradient is a matrix product."""
    lead = x.shape[: x.ndim - kernel.ndim + bias.ndim]
    matrix = kernel.reshape(-1, bias.size)
    rows = x.reshape(-1, len(matrix))

    def pull(g: Array) -> list[Array | None]:
        g = g.reshape(len(rows), bias.size)
        return [
            _matmul(g, matrix.T).reshape(x.shape) if wants[0] else None,
            _matmul(g.T, rows).T.reshape(kernel.shape) if wants[1] else None,
            (np.ones(len(g), g.dtype) @ g).reshape(bias.shape) if wants[2] else None,
        ]

    return _matmul(rows, matrix, bias=bias.reshape(-1)).reshape(*lead, *bias.shape), pull


def project(wants: Wants, x: Array, kernel: Array) -> tuple[Array, Pull]:
    """The rows are shared out."""
    rows = x.reshape(-1, len(kernel))

    def pull(g: Array) -> list[Array | None]:
        g = g.reshape(len(rows), -1)
        return [
            _matmul(g, kernel.T).reshape(x.shape) if wants[0] else None,
            _matmul(g.T, rows).T if wants[1] else None,
        ]

    return _matmul(rows, kernel).reshape(*x.shape[:-1], kernel.shape[1]), pull


class _Rows(Rows):
    """Rows that are added one after the other, in their order."""

    def add_to(self, table: Array) -> None:
        """Add the rows to `table`."""
        ids, rows = np.ascontiguousarray(self.ids, np.int64), np.ascontiguousarray(self.values)
        share(vjp_loops.add_rows, len(ids), 0, ids, rows, table)


def embed(_wants: Wants, table: Array, ids: Array) -> tuple[Array, Pull]:
    """The gradient needs no sorting."""
    return table[ids], lambda g: [_Rows(ids, g), None]


def gelu(_wants: Wants, x: Array) -> tuple[Array, Pull]:
    """Value and slope in one pass."""
    return _activation(GELU, x)


def gelu_tanh(_wants: Wants, x: Array) -> tuple[Array, Pull]:
    """Value and slope in one pass."""
    return _activation(GELU_TANH, x)


def silu(_wants: Wants, x: Array) -> tuple[Array, Pull]:
    """Value and slope in one pass."""
    return _activation(SILU, x)


def _activation(kind: int, x: Array) -> tuple[Array, Pull]:
    value, slope = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    share(vjp_loops.activation, x.size, x.size, kind, _flat(x), value.reshape(-1), slope.reshape(-1))

    def pull(g: Array) -> list[Array]:
        # The slope is used once, so that it may become the gradient.
        share(vjp_loops.multiply, slope.size, slope.size, _flat(g), slope.reshape(-1))
        return [slope]

    return value, pull


def _mask(rate: float, stream: int, shape: tuple[int, ...]) -> vjp_loops.Mask:
    """The dropout mask of an array of that shape."""
    words = np.uint32(stream & 0xFFFFFFFF), np.uint32(stream >> 32)
    factor = _F(1.0 / (1.0 - rate)) if rate else _F(0.0)
    return vjp_loops.Mask(factor, *words, threshold(rate), first_element(shape, stream))


def dropout(_wants: Wants, x: Array, rate: float, stream: int) -> tuple[Array, Pull]:
    """The mask is drawn where it is used."""
    mask = _mask(rate, stream, x.shape)

    def dropped(y: Array) -> Array:
        out = np.empty(y.shape, y.dtype)
        share(vjp_loops.dropout, y.size, y.size, _flat(y), mask, out.reshape(-1))
        return out

    return dropped(x), lambda g: [dropped(g), None, None]


def layer_norm(wants: Wants, x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Pull]:
    """A row is normalized while it is in the cache, and once more for the gradient."""
    normed = _normed(x, gamma)
    value = np.empty_like(normed.x)
    share(vjp_loops.layer_norm, len(value), value.size, normed, beta, _F(epsilon), value)

    def pull(g: Array) -> list[Array | None]:
        slope, sums = _norm_slope(g, normed, centred=True)
        return [slope, sums[0] if wants[1] else None, sums[1] if wants[2] else None, None]

    return value.reshape(x.shape), pull


def rms_norm(wants: Wants, x: Array, gain: Array, epsilon: float) -> tuple[Array, Pull]:
    """A row is normalized while it is in the cache, and once more for the gradient."""
    normed = _normed(x, gain)
    value = np.empty_like(normed.x)
    share(vjp_loops.rms_norm, len(value), value.size, normed, _F(epsilon), value)

    def pull(g: Array) -> list[Array | None]:
        slope, sums = _norm_slope(g, normed, centred=False)
        return [slope, sums[0] if wants[1] else None, None]

    return value.reshape(x.shape), pull


def _normed(x: Array, gain: Array) -> vjp_loops.Normed:
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    return vjp_loops.Normed(rows, gain, np.empty((len(rows), 2), x.dtype))


def _norm_slope(g: Array, normed: vjp_loops.Normed, centred: bool) -> tuple[Array, Array]:
    """The gradient of the input, and the sums for gain and shift. Shapes: g (..., E) -> (..., E), (2, E)."""
    rows = np.ascontiguousarray(g).reshape(normed.x.shape)
    slope, shape = np.empty_like(rows), (2, rows.shape[1])
    sums = share(vjp_loops.norm_slope, len(rows), rows.size, rows, normed, centred, slope, sums=shape)
    return slope.reshape(g.shape), sums


def attention(
    wants: Wants, query: Array, key: Array, value: Array, may_attend: Array, bias: Array | None, scale: float,
    soft_cap: float | None, rate: float, stream: int,
) -> tuple[Array, Pull]:  # fmt: skip
    """What lies between the products is done to a head at a time."""
    heads = query.shape[2]
    rows = (query * _F(scale), for_heads(key, heads), for_heads(value, heads))
    q, k, v = (x.transpose(0, 2, 1, 3) for x in rows)
    weights = _matmul(q, k.swapaxes(-1, -2))
    bent = None if soft_cap is None else np.tanh(weights / _F(soft_cap))
    if bent is not None:
        np.multiply(bent, _F(soft_cap), out=weights)
    mask, may = _mask(rate, stream, weights.shape), np.ascontiguousarray(may_attend[:, 0], np.bool_)
    used = np.empty_like(weights) if rate else weights
    shift = _NO_BIAS if bias is None else np.ascontiguousarray(bias)
    share(vjp_loops.attend, len(weights), weights.size, weights, may, shift, mask, used)
    mixed = _mixed(used, v)

    def pull(g: Array) -> list[Array | None]:
        g = g.transpose(0, 2, 1, 3)
        slope, used = _matmul(g, v.swapaxes(-1, -2)), np.empty_like(weights) if rate else weights
        share(vjp_loops.attend_slope, len(slope), slope.size, weights, mask, used, slope)
        bias_slope = slope.sum(axis=0) if wants[4] else None
        if bent is not None:
            slope *= _F(1.0) - bent * bent
        query_slope = _mixed(slope, k)
        query_slope *= _F(scale)
        shared = (_mixed(slope.swapaxes(-1, -2), q), _mixed(used.swapaxes(-1, -2), g))
        return [query_slope, *(summed_heads(x, key.shape[2]) for x in shared), None, bias_slope, *[None] * 4]

    return mixed, pull


def _mixed(weights: Array, x: Array) -> Array:
    """Their product for each head. Shapes: weights (B, H, T, S), x (B, H, S, D) -> (B, T, H, D)."""
    rows, heads, times, _ = weights.shape
    out = np.empty((rows, times, heads, x.shape[-1]), x.dtype)
    _matmul(weights, x, out.transpose(0, 2, 1, 3))
    return out


def head_loss(
    wants: Wants, x: Array, table: Array, labels: Array, weights: Array, losses: Array, guesses: Array
) -> tuple[Array, Pull]:
    """Two passes over the logits in place of seven."""
    return pulled(*by_chunks(x, table, labels, weights, losses, guesses, wants, _to_slope, _matmul))


def _to_slope(logits: Array, labels: Array, weights: Array, losses: Array, guesses: Array) -> None:
    """Turn logits into `weight (softmax - [label])` in place. Shapes: (R, V), (R)."""
    logits.argmax(axis=-1, out=guesses)
    share(vjp_loops.softmax_slope, len(logits), logits.size, logits, labels, weights, guesses, losses)


def adam(weight: Array, gradient: Array, momentum: Array, velocity: Array, numbers: tuple[float, ...]) -> None:
    """One step of Adam, in place, on arrays that lie alike and in one piece.

    `numbers` are step size, shares of what is new, and epsilon.
    """
    arrays = [x.ravel("K") for x in (weight, gradient, momentum, velocity)]
    share(vjp_loops.adam, weight.size, weight.size, *arrays, np.array(numbers, np.float32))


__all__ = ["TWINS", "adam", "in_shards"]
_TWINS = (linear, project, embed, gelu, gelu_tanh, silu, dropout, layer_norm, rms_norm, attention, head_loss)
TWINS = {f.__name__: f for f in _TWINS}
