"""Numba's part of the twins in `vjp_numba`: each works on the rows `first` to `end`, so that threads can share them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from refimpl.kernels.jit import jit, jit_in_any_order, jit_inside
from refimpl.kernels.row_ops import GELU, GELU_TANH, below, density, exp, lower, normalize, sigmoid, tanh_gate, total
from refimpl.kernels.row_ops import layer_norm as layer_norm_row
from refimpl.kernels.row_ops import rms_norm as rms_norm_row

_F = np.float32
_ZERO, _ONE, _TWO, _THREE = _F(0.0), _F(1.0), _F(2.0), _F(3.0)
_TANH, _CUBIC = _F(math.sqrt(2.0 / math.pi)), _F(0.044715)


class Mask(NamedTuple):
    """A dropout mask: what is kept is multiplied by `factor`, or by nothing if that is 0. See `masks.keep_mask`."""

    factor: Any
    low: Any
    high: Any
    limit: Any
    start: Any  # the number of the first element


class Normed(NamedTuple):
    """What the gradient of a norm needs: input (R, E), gain (E), and for each row its mean, or 0, and scale (R, 2)."""

    x: Any
    gain: Any
    stats: Any


@jit_inside
def _kept(number: Any, mask: Any) -> Any:
    """Whether an element is kept."""
    x = np.uint32(number) ^ mask.low
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15))) ^ mask.high
    x = np.uint32(x * np.uint32(0x846CA68B))
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x9E3779B1))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    return x >= mask.limit


@jit_inside
def _drop(x: Any, mask: Any, first: Any, out: Any) -> None:
    """Keep and scale, or zero; x begins at element `first`. Shapes: (N)."""
    begin = mask.start + first
    for n in range(x.size):
        out[n] = x[n] * (mask.factor if _kept(begin + n, mask) else _ZERO)


@jit
def dropout(first: int, end: int, x: Any, mask: Any, out: Any) -> None:
    """Keep and scale, or zero. Shapes: flat."""
    _drop(x[first:end], mask, first, out[first:end])


@jit
def activation(first: int, end: int, kind: int, x: Any, y: Any, slope: Any) -> None:
    """Value `x s(x)` and slope `s + x s'`, where s is the share below x, or a sigmoid. Shapes: flat."""
    x, y, slope = x[first:end], y[first:end], slope[first:end]
    if kind == GELU:
        for n in range(x.size):
            v = x[n]
            s = below(v)
            y[n], slope[n] = v * s, s + v * density(v)
    elif kind == GELU_TANH:
        for n in range(x.size):
            v = x[n]
            s = tanh_gate(v)
            y[n] = v * s
            slope[n] = s + v * _TWO * s * (_ONE - s) * _TANH * (_ONE + _THREE * _CUBIC * v * v)
    else:
        for n in range(x.size):
            v = x[n]
            s = sigmoid(v)
            y[n], slope[n] = v * s, s + v * s * (_ONE - s)


@jit
def multiply(first: int, end: int, x: Any, y: Any) -> None:
    """`y *= x`. Shapes: flat."""
    x, y = x[first:end], y[first:end]
    for n in range(x.size):
        y[n] *= x[n]


@jit
def add_rows(first: int, end: int, ids: Any, rows: Any, table: Any) -> None:
    """`table[ids] += rows`. Shapes: (R), (R, E), (V, E)."""
    for r in range(first, end):
        line, row = table[ids[r]], rows[r]
        for e in range(row.size):
            line[e] += row[e]


@jit
def layer_norm(first: int, end: int, normed: Any, beta: Any, epsilon: Any, y: Any) -> None:
    """The norm of each row; fills `normed.stats`. Shapes: y (R, E)."""
    x, gamma, stats = normed
    for r in range(first, end):
        stats[r, 0], stats[r, 1] = layer_norm_row(x[r], gamma, beta, epsilon, y[r])


@jit
def rms_norm(first: int, end: int, normed: Any, epsilon: Any, y: Any) -> None:
    """The norm of each row; fills `normed.stats`. Shapes: y (R, E)."""
    x, gain, stats = normed
    for r in range(first, end):
        stats[r, 0], stats[r, 1] = _ZERO, rms_norm_row(x[r], gain, epsilon, y[r])


@jit_in_any_order
def norm_slope(first: int, end: int, g: Any, normed: Any, centred: bool, slope: Any, sums: Any) -> None:
    """The gradient of each row, and the rows' sums for gain and shift. Shapes: g, slope (R, E), sums (2, E)."""
    gain, width = normed.gain, _F(g.shape[1])
    for r in range(first, end):
        x, mean, scale = normed.x[r], normed.stats[r, 0], normed.stats[r, 1]
        g_row, out, a, b = g[r], slope[r], _ZERO, _ZERO
        for e in range(x.size):
            h = g_row[e] * gain[e]
            a += h
            b += h * (x[e] - mean)
        a, b = a / width if centred else _ZERO, b * scale / width
        for e in range(x.size):
            n = (x[e] - mean) * scale
            out[e] = (g_row[e] * gain[e] - a - n * b) * scale
            sums[0, e] += g_row[e] * n
            sums[1, e] += g_row[e]


@jit
def attend(first: int, end: int, scores: Any, may: Any, bias: Any, mask: Any, used: Any) -> None:
    """Scores become weights in place, and what dropout leaves of them is `used`.

    Shapes: scores, used (B, H, T, S); may (B or 1, T or 1, S); bias (H, T, S) or empty.
    """
    heads, times, spots = scores.shape[1:]
    for b in range(first, end):
        for h in range(heads):
            block = scores[b, h]
            for t in range(times):
                row, allowed = block[t], may[b % may.shape[0], t % may.shape[1]]
                if bias.size:
                    shift = bias[h, t]
                    for s in range(spots):
                        row[s] += shift[s]
                for s in range(spots):
                    row[s] = row[s] if allowed[s] else _F(-math.inf)
                lower(row)
            flat = block.reshape(-1)
            for n in range(flat.size):  # all rows at once: the longer a loop, the more of it runs in vectors
                flat[n] = exp(flat[n])
            for t in range(times):
                normalize(block[t])
            if mask.factor != _ZERO:
                _drop(flat, mask, (b * heads + h) * times * spots, used[b, h].reshape(-1))


@jit_in_any_order
def attend_slope(first: int, end: int, weights: Any, mask: Any, used: Any, slope: Any) -> None:
    """From the gradients of what dropout left, in `slope`, those of the scores; and once more what it left.

    Shapes: all (B, H, T, S).
    """
    heads, times, spots = weights.shape[1:]
    for b in range(first, end):
        for h in range(heads):
            if mask.factor != _ZERO:
                begin, flat = (b * heads + h) * times * spots, slope[b, h].reshape(-1)
                _drop(weights[b, h].reshape(-1), mask, begin, used[b, h].reshape(-1))
                _drop(flat, mask, begin, flat)
            for t in range(times):
                row, p, mean = slope[b, h, t], weights[b, h, t], _ZERO
                for s in range(spots):
                    mean += row[s] * p[s]
                for s in range(spots):
                    row[s] = p[s] * (row[s] - mean)


@jit
def softmax_slope(first: int, end: int, z: Any, labels: Any, weights: Any, guesses: Any, losses: Any) -> None:
    """Turn logits into `weight (softmax - [label])`; the losses beside. Shapes: z (R, V), others (R)."""
    for r in range(first, end):
        row = z[r]
        top, wanted = row[guesses[r]], row[labels[r]]
        for v in range(row.size):
            row[v] = exp(row[v] - top)
        s = total(row)
        factor = weights[r] / s
        for v in range(row.size):
            row[v] *= factor
        row[labels[r]] -= weights[r]
        losses[r] = _F(math.log(s)) + top - wanted


@jit
def adam(first: int, end: int, w: Any, g: Any, m: Any, v: Any, numbers: Any) -> None:
    """One step of Adam. Shapes: flat; numbers (4): step size, shares of what is new, epsilon."""
    w, g, m, v = w[first:end], g[first:end], m[first:end], v[first:end]
    size, fresh_m, fresh_v, epsilon = numbers[0], numbers[1], numbers[2], numbers[3]
    for n in range(w.size):
        m[n] += (g[n] - m[n]) * fresh_m
        v[n] += (g[n] * g[n] - v[n]) * fresh_v
        w[n] -= m[n] * size / (np.sqrt(v[n]) + epsilon)
