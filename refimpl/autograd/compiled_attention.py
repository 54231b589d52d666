"""Numba kernels of attention: a head at a time, so that a row of scores stays in the cache."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refimpl.autograd.compiled import exp, inner, kept, kernel

_F = np.float32
_ONE = _F(1.0)


@inner
def _masked(row: Any, allowed: Any, bias: Any) -> Any:
    """Add a bias, unless it is empty, and hide what is not allowed; the highest that is left, or 0. Shapes: (S)."""
    highest = _F(-math.inf)
    for s in range(bias.size):
        row[s] += bias[s]
    for s in range(row.size):
        row[s] = row[s] if allowed[s] else _F(-math.inf)
        highest = row[s] if not row[s] <= highest else highest
    return highest if highest != _F(-math.inf) else _F(0.0)


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
    """Batch rows `first` to `end`. `drop` is the factor of what is kept, or 0 for no dropout; `start` is the number of
    the first weight in the mask.

    Shapes: q, y (B, T, H, D); k, v (B, S, H, D); may (B or 1, T or 1, S); bias (H, T, S) or empty; p (B, H, T, S).
    """
    (_, times, heads, depth), spots = q.shape, k.shape[1]
    for b in range(first, end):
        for h in range(heads):
            for t in range(times):
                allowed, row, out = may[b % may.shape[0], t % may.shape[1]], p[b, h, t], y[b, t, h]
                for s in range(spots):
                    a = _F(0.0)
                    for d in range(depth):
                        a += q[b, t, h, d] * k[b, s, h, d]
                    row[s] = a * scale
                highest = _masked(row, allowed, bias[h, t] if bias.size else row[:0])
                total = _F(0.0)
                for s in range(spots):
                    row[s] = exp(row[s] - highest)
                    total += row[s]
                inverse = _ONE / total if not total <= _F(0.0) else _ONE
                out[:] = _F(0.0)
                place = start + ((b * heads + h) * times + t) * spots
                for s in range(spots):
                    row[s] *= inverse
                    w = row[s]
                    if drop != _F(0.0):
                        w = w * drop if kept(place + s, low, high, limit) else _F(0.0)
                    for d in range(depth):
                        out[d] += w * v[b, s, h, d]


@inner
def _factor(place: Any, drop: Any, low: Any, high: Any, limit: Any) -> Any:
    """What a weight is multiplied by."""
    if drop == _F(0.0):
        return _ONE
    return drop if kept(place, low, high, limit) else _F(0.0)


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
    """The gradients of batch rows `first` to `end`; that of the bias is this thread's sum.

    Shapes: as in `attention`, g as y, slopes as q, k, v, bias.
    """
    (_, times, heads, depth), spots = q.shape, k.shape[1]
    slope = np.empty(spots, np.float32)
    for b in range(first, end):
        k_slope[b] = _F(0.0)
        v_slope[b] = _F(0.0)
        for h in range(heads):
            for t in range(times):
                row, out = p[b, h, t], q_slope[b, t, h]
                place = start + ((b * heads + h) * times + t) * spots
                mean = _F(0.0)
                for s in range(spots):
                    factor = _factor(place + s, drop, low, high, limit)
                    w, a = row[s] * factor, _F(0.0)
                    for d in range(depth):
                        a += g[b, t, h, d] * v[b, s, h, d]
                        v_slope[b, s, h, d] += w * g[b, t, h, d]
                    slope[s] = a * factor
                    mean += slope[s] * row[s]
                out[:] = _F(0.0)
                for s in range(spots):
                    slope[s] = row[s] * (slope[s] - mean)
                if bias_slope.size:
                    bias_slope[h, t] += slope
                for s in range(spots):
                    a = slope[s] * scale
                    for d in range(depth):
                        out[d] += a * k[b, s, h, d]
                        k_slope[b, s, h, d] += a * q[b, t, h, d]
