"""Numba kernels of the twins in `fused`: each works on the rows `first` to `end`, so that threads can share the rows.

Sums over a row may be taken in any order (`reassoc`), products and sums may be fused (`contract`); infinities and
numbers that are no numbers keep their meaning.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile what Python calls; kept on disk where that is possible."""
    flags = {"reassoc", "contract", "nsz", "arcp"}
    try:
        compiled: F = njit(nogil=True, error_model="numpy", cache=True, fastmath=flags)(function)
    except RuntimeError:  # no folder for the cache
        compiled = njit(nogil=True, error_model="numpy", fastmath=flags)(function)
    # Numba looks at the file of a kernel alone; what is compiled into it stands in both of these.
    stats = [path.stat() for path in sorted(Path(__file__).parent.glob("compiled*.py"))]
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = tuple((stat.st_mtime, stat.st_size) for stat in stats)
    return compiled


def inner(function: F) -> F:
    """Compile what only kernels call. Its sums keep their order, as rounding tricks need."""
    compiled: F = njit(nogil=True, error_model="numpy", fastmath={"contract"})(function)
    return compiled


_F = np.float32
_ONE, _HALF = _F(1.0), _F(0.5)
_LOG2E, _LN2_HIGH, _LN2_LOW = _F(1.4426950408889634), _F(0.693359375), _F(-2.12194440e-4)
_LOWEST = _F(-87.0)
_DENSITY = _F(math.sqrt(0.5 / math.pi))
_TANH, _CUBIC = _F(math.sqrt(2.0 / math.pi)), _F(0.044715)
# Q(z) / density as a polynomial in t = 1 / (1 + z / 3), z = |x|, Q the upper tail of the normal distribution;
# Chebyshev fit to math.erfc, highest power first (error below 3e-9 after multiplication by the density).
_TAIL = (
    0.10295619397700241,
    -0.4816828525841769,
    0.6555690465260487,
    -0.035691812007117005,
    0.3387837394286079,
    0.34526621069760244,
    0.327443961052818,
    0.0006696569971624607,
)
_SHARE = _F(1.0 / 3.0)
_A7, _A6, _A5, _A4, _A3, _A2, _A1, _A0 = (_F(a) for a in _TAIL)


@intrinsic  # type: ignore[untyped-decorator]
def _as_float(_: Any, _bits: Any) -> Any:
    """The float32 with these bits."""
    return types.float32(types.int32), lambda _, b, __, args: b.bitcast(args[0], ir.FloatType())


@intrinsic  # type: ignore[untyped-decorator]
def _rounded(_: Any, _x: Any) -> Any:
    """The nearest whole number, as a float32."""

    def generate(_: Any, b: Any, __: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()])
        return b.call(cgutils.get_or_insert_function(b.module, kind, "llvm.rint.f32"), args)

    return types.float32(types.float32), generate


@inner
def exp(x: Any) -> Any:
    """`e^x` for x from -87 to 88, to float32, in straight code that vectorizes; below it is 0."""
    y = max(x, _LOWEST)
    n = _rounded(y * _LOG2E)
    r = y - n * _LN2_HIGH - n * _LN2_LOW
    p = _F(1.9875691500e-4)
    p = p * r + _F(1.3981999507e-3)
    p = p * r + _F(8.3334519073e-3)
    p = p * r + _F(4.1665795894e-2)
    p = p * r + _F(1.6666665459e-1)
    p = p * r + _HALF
    p = p * r * r + r + _ONE
    scaled = p * _as_float(np.int32((np.int32(n) + np.int32(127)) << np.int32(23)))
    return scaled if x >= _LOWEST else (_F(0.0) if x < _LOWEST else x)


@inner
def kept(index: Any, low: Any, high: Any, limit: Any) -> Any:
    """Whether element `index` is kept: the hash of `masks.keep_mask`."""
    x = np.uint32(index) ^ low
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15))) ^ high
    x = np.uint32(x * np.uint32(0x846CA68B))
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x9E3779B1))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    return x >= limit


@kernel
def gelu(first: int, end: int, x: Any, y: Any, slope: Any) -> None:
    """Value and slope of gelu. Shapes: flat."""
    x, y, slope = x[first:end], y[first:end], slope[first:end]
    for i in range(x.size):
        v = x[i]
        z = abs(v)
        t = _ONE / (_ONE + _SHARE * z)
        p = ((((((_A7 * t + _A6) * t + _A5) * t + _A4) * t + _A3) * t + _A2) * t + _A1) * t + _A0
        density = exp(-_HALF * v * v) * _DENSITY
        tail = p * density
        below = tail if v < _F(0.0) else _ONE - tail
        y[i] = v * below
        slope[i] = below + v * density


@kernel
def gelu_tanh(first: int, end: int, x: Any, y: Any, slope: Any) -> None:
    """Value and slope of the approximate gelu, with tanh(u) = 1 - 2 / (exp(2 u) + 1). Shapes: flat."""
    x, y, slope = x[first:end], y[first:end], slope[first:end]
    for i in range(x.size):
        v = x[i]
        u = _TANH * (v + _CUBIC * v * v * v)
        u = u if u < _F(40.0) else _F(40.0)
        half = _ONE - _ONE / (exp(u + u) + _ONE)  # (1 + tanh(u)) / 2
        y[i] = v * half
        slope[i] = half + v * _F(2.0) * half * (_ONE - half) * _TANH * (_ONE + _F(3.0) * _CUBIC * v * v)


@kernel
def multiply(first: int, end: int, x: Any, y: Any) -> None:
    """`y *= x`. Shapes: flat."""
    x, y = x[first:end], y[first:end]
    for i in range(x.size):
        y[i] *= x[i]


@kernel
def dropout(first: int, end: int, x: Any, y: Any, factor: Any, low: Any, high: Any, limit: Any, start: Any) -> None:
    """Keep and scale, or zero; element 0 has the number `start`. Shapes: flat."""
    x, y = x[first:end], y[first:end]
    for i in range(x.size):
        y[i] = x[i] * (factor if kept(start + first + i, low, high, limit) else _F(0.0))


@kernel
def add_bias(first: int, end: int, y: Any, bias: Any) -> None:
    """`y += bias`. Shapes: (R, O), (O)."""
    for r in range(first, end):
        for o in range(y.shape[1]):
            y[r, o] += bias[o]


@kernel
def add_rows(ids: Any, rows: Any, table: Any) -> None:
    """`table[ids] += rows`. Shapes: (R), (R, E), (V, E)."""
    for r in range(ids.size):
        for e in range(table.shape[1]):
            table[ids[r], e] += rows[r, e]


@kernel
def layer_norm(
    first: int, end: int, x: Any, gamma: Any, beta: Any, epsilon: Any, y: Any, normal: Any, scales: Any
) -> None:
    """Value, normalized input and scale of each row. Shapes: (R, E), (E), (E); (R)."""
    width = x.shape[1]
    for r in range(first, end):
        s = _F(0.0)
        for e in range(width):
            s += x[r, e]
        mean = s / _F(width)
        s = _F(0.0)
        for e in range(width):
            s += (x[r, e] - mean) * (x[r, e] - mean)
        scale = _ONE / math.sqrt(s / _F(width) + epsilon)
        scales[r] = scale
        for e in range(width):
            n = (x[r, e] - mean) * scale
            normal[r, e] = n
            y[r, e] = n * gamma[e] + beta[e]


@kernel
def layer_norm_slope(
    first: int, end: int, g: Any, gamma: Any, normal: Any, scales: Any, x_slope: Any, sums: Any
) -> None:
    """Gradient of each row, and the rows' sums for gamma and beta. Shapes: (R, E); sums (2, E) of this thread."""
    width = g.shape[1]
    for r in range(first, end):
        a, b = _F(0.0), _F(0.0)
        for e in range(width):
            h = g[r, e] * gamma[e]
            a += h
            b += h * normal[r, e]
        a, b, scale = a / _F(width), b / _F(width), scales[r]
        for e in range(width):
            h = g[r, e] * gamma[e]
            sums[0, e] += g[r, e] * normal[r, e]
            sums[1, e] += g[r, e]
            x_slope[r, e] = (h - a - normal[r, e] * b) * scale


@kernel
def rms_norm(first: int, end: int, x: Any, gain: Any, epsilon: Any, y: Any, normal: Any, scales: Any) -> None:
    """Value, normalized input and scale of each row. Shapes: (R, E), (E); (R)."""
    width = x.shape[1]
    for r in range(first, end):
        s = _F(0.0)
        for e in range(width):
            s += x[r, e] * x[r, e]
        scale = _ONE / math.sqrt(s / _F(width) + epsilon)
        scales[r] = scale
        for e in range(width):
            n = x[r, e] * scale
            normal[r, e] = n
            y[r, e] = n * gain[e]


@kernel
def rms_norm_slope(first: int, end: int, g: Any, gain: Any, normal: Any, scales: Any, x_slope: Any, sums: Any) -> None:
    """Gradient of each row, and the rows' sum for the gain. Shapes: (R, E); sums (E) of this thread."""
    width = g.shape[1]
    for r in range(first, end):
        b = _F(0.0)
        for e in range(width):
            b += g[r, e] * gain[e] * normal[r, e]
        b, scale = b / _F(width), scales[r]
        for e in range(width):
            sums[e] += g[r, e] * normal[r, e]
            x_slope[r, e] = (g[r, e] * gain[e] - normal[r, e] * b) * scale


@kernel
def softmax_slope(first: int, end: int, z: Any, labels: Any, weights: Any, guesses: Any, losses: Any) -> None:
    """Turn logits into `weight (softmax - [label])`; the losses beside. Shapes: (R, V), (R)."""
    size = z.shape[1]
    for r in range(first, end):
        row = z[r]
        highest, wanted, s = row[guesses[r]], row[labels[r]], _F(0.0)
        for v in range(size):
            e = exp(row[v] - highest)
            row[v] = e
            s += e
        factor = weights[r] / s
        for v in range(size):
            row[v] *= factor
        row[labels[r]] -= weights[r]
        losses[r] = math.log(s) + highest - wanted


@kernel
def adam(
    first: int, end: int, w: Any, g: Any, m: Any, v: Any, size: Any, fresh_m: Any, fresh_v: Any, epsilon: Any
) -> None:
    """One step of Adam. Shapes: flat."""
    w, g, m, v = w[first:end], g[first:end], m[first:end], v[first:end]
    for i in range(w.size):
        mi = m[i] + (g[i] - m[i]) * fresh_m
        vi = v[i] + (g[i] * g[i] - v[i]) * fresh_v
        m[i], v[i] = mi, vi
        w[i] -= mi * size / (math.sqrt(vi) + epsilon)
