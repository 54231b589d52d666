"""Numba kernels of attention for heads of 32, 64, ... dimensions: as in `compiled_attention`, by tiles of products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refimpl.autograd.compiled import exp, inner, kept, kernel
from refimpl.autograd.compiled_product import column
from refimpl.autograd.compiled_tile import WIDE, highest

_F = np.float32
_ONE = _F(1.0)


@inner
def _turned(x: Any, b: Any, h: Any, out: Any) -> None:
    """The matrix of a head, turned; what `out` has more columns stays. Shapes: x (B, S, H, D) -> out (D, S or more)."""
    for s in range(x.shape[1]):
        for d in range(x.shape[3]):
            out[d, s] = x[b, s, h, d]


@inner
def _head(x: Any, b: Any, h: Any) -> Any:
    """The address of a head's matrix. Shapes: x (B, T, H, D)."""
    return x.ctypes.data + 4 * (b * x.shape[1] * x.shape[2] + h) * x.shape[3]


@inner
def _scores(x: Any, turned: Any, b: Any, h: Any, nothing: Any, out: Any) -> None:
    """A head's rows times a turned matrix. Shapes: x (B, T, H, D), turned (D, C) -> out (T, C)."""
    (_, times, heads, depth), width = x.shape, out.shape[1]
    for n in range(0, width, WIDE):
        right, place = turned.ctypes.data + 4 * n, out.ctypes.data + 4 * n
        column(times, _head(x, b, h), heads * depth, 1, right, width, depth, nothing.ctypes.data, place, width)


@inner
def _mixed(weights: Any, is_turned: Any, x: Any, b: Any, h: Any, nothing: Any, y: Any) -> None:
    """Weights, or turned weights, times a head's rows. Shapes: weights (T, C), x (B, S, H, D) -> y (B, T, H, D)."""
    heads, depth, width = x.shape[2], x.shape[3], weights.shape[1]
    row, along = (1, width) if is_turned else (width, 1)
    for n in range(0, depth, WIDE):
        right, place = _head(x, b, h) + 4 * n, _head(y, b, h) + 4 * n
        zeros, a = nothing.ctypes.data, weights.ctypes.data
        column(y.shape[1], a, row, along, right, heads * depth, x.shape[1], zeros, place, heads * depth)


@inner
def _times(x: Any, scale: Any) -> None:
    """`x *= scale`. Shapes: (T, C)."""
    flat = x.reshape(-1)
    for n in range(flat.size):
        flat[n] *= scale


@inner
def _softmax(rows: Any, barred: Any) -> None:
    """Rows of scores become weights. Shapes: rows (T, C), barred (T or 1, C) of 0 and -infinity."""
    for t in range(rows.shape[0]):
        row, bar = rows[t], barred[t % barred.shape[0]]
        for s in range(row.size):
            row[s] += bar[s]
        top = highest(row.ctypes.data, row.size)
        top = top if top != _F(-math.inf) else _F(0.0)
        for s in range(row.size):
            row[s] -= top
    flat = rows.reshape(-1)
    for n in range(flat.size):  # all rows at once: the longer a loop, the more of it runs in vectors
        flat[n] = exp(flat[n])
    for t in range(rows.shape[0]):
        row = rows[t]
        total = _F(0.0)
        for s in range(row.size):
            total += row[s]
        inverse = _ONE / total if not total <= _F(0.0) else _ONE
        for s in range(row.size):
            row[s] *= inverse


@inner
def _dropped(rows: Any, p: Any, used: Any, drop: Any, low: Any, high: Any, limit: Any, start: Any) -> None:
    """Keep the weights in p, and those that dropout left in `used`. Shapes: rows, used (T, C), p (T, S)."""
    for t in range(rows.shape[0]):
        row, weights, place = rows[t], used[t], start + t * p.shape[1]
        for s in range(row.size):
            weights[s] = row[s]
        if drop != _F(0.0):
            for s in range(row.size):
                weights[s] *= drop if kept(place + s, low, high, limit) else _F(0.0)
        for s in range(p.shape[1]):
            p[t, s] = row[s]


@kernel
def attention(
    first: int,
    end: int,
    q: Any,
    k: Any,
    v: Any,
    may: Any,
    scale: Any,
    bias: Any,
    drop: Any,
    low: Any,
    high: Any,
    limit: Any,
    start: Any,
    p: Any,
    y: Any,
) -> None:
    """Batch rows `first` to `end`, with the arguments of `compiled_attention.attention`."""
    (_, times, heads, depth), spots = q.shape, k.shape[1]
    width = (spots + WIDE - 1) // WIDE * WIDE
    nothing, turned = np.zeros(WIDE, np.float32), np.zeros((depth, width), np.float32)
    rows, used = np.empty((times, width), np.float32), np.empty((times, width), np.float32)
    barred = np.full((may.shape[1], width), -math.inf, np.float32)
    for b in range(first, end):
        for t in range(may.shape[1]):
            for s in range(spots):
                barred[t, s] = _F(0.0) if may[b % may.shape[0], t, s] else _F(-math.inf)
        for h in range(heads):
            _turned(k, b, h, turned)
            _scores(q, turned, b, h, nothing, rows)
            _times(rows, scale)
            if bias.size:
                rows[:, :spots] += bias[h]
            _softmax(rows, barred)
            _dropped(rows, p[b, h], used, drop, low, high, limit, start + (b * heads + h) * times * spots)
            _mixed(used, False, v, b, h, nothing, y)


@inner
def _softmax_slope(p: Any, slope: Any, used: Any, drop: Any, low: Any, high: Any, limit: Any, start: Any) -> None:
    """From the gradients of what dropout left those of the scores; and once more what it left.

    Shapes: p (T, S), slope (T, C), used (T, C), which is 0 beyond S.
    """
    for t in range(p.shape[0]):
        row, weights, place, mean = slope[t], used[t], start + t * p.shape[1], _F(0.0)
        for s in range(p.shape[1]):
            weights[s] = p[t, s]  # whole vectors from here on
        if drop != _F(0.0):
            for s in range(row.size):
                row[s] *= drop if kept(place + s, low, high, limit) else _F(0.0)
        for s in range(row.size):
            mean += row[s] * weights[s]
        for s in range(row.size):
            row[s] = weights[s] * (row[s] - mean)
        if drop != _F(0.0):
            for s in range(row.size):
                weights[s] *= drop if kept(place + s, low, high, limit) else _F(0.0)


@kernel
def attention_slope(
    first: int,
    end: int,
    q: Any,
    k: Any,
    v: Any,
    scale: Any,
    drop: Any,
    low: Any,
    high: Any,
    limit: Any,
    start: Any,
    p: Any,
    g: Any,
    q_slope: Any,
    k_slope: Any,
    v_slope: Any,
    bias_slope: Any,
) -> None:
    """The gradients of batch rows `first` to `end`, with the arguments of `compiled_attention.attention_slope`."""
    (_, times, heads, depth), spots = q.shape, k.shape[1]
    width = (spots + WIDE - 1) // WIDE * WIDE
    nothing, turned = np.zeros(WIDE, np.float32), np.zeros((depth, width), np.float32)
    slope, used = np.empty((times, width), np.float32), np.zeros((times, width), np.float32)
    for b in range(first, end):
        for h in range(heads):
            _turned(v, b, h, turned)
            _scores(g, turned, b, h, nothing, slope)
            _softmax_slope(p[b, h], slope, used, drop, low, high, limit, start + (b * heads + h) * times * spots)
            if bias_slope.size:
                bias_slope[h] += slope[:, :spots]
            _times(slope, scale)
            _mixed(used, True, g, b, h, nothing, v_slope)
            _mixed(slope, False, k, b, h, nothing, q_slope)
            _mixed(slope, True, q, b, h, nothing, k_slope)
