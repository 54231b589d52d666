"""What is done to a row at a time: norms, activations, attention over the cache.

Each sum is taken in one order, whatever stands beside the row.

Spec: kernels.order, invariance.rows
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels.functions import erf, exp
from refimpl.kernels.jit import inner, once
from refimpl.kernels.linear import dot
from refimpl.kernels.vector import (
    LANES,
    add,
    div,
    fetch,
    fma,
    fma1,
    get,
    load,
    mul,
    positive,
    put,
    splat,
    store,
    total,
    zero,
)

RELU, GELU, GELU_TANH, SILU = range(4)
_HALF, _ONE, _ROOT = np.float32(0.5), np.float32(1.0), np.float32(math.sqrt(0.5))
_CUBIC, _TANH = np.float32(0.044715), np.float32(-2.0 * math.sqrt(2.0 / math.pi))
_LOWEST = np.float32(-math.inf)
_AHEAD = 8  # positions: keys of one head lie far apart, so the CPU does not guess which comes next


@inner
def activate(kind: int, x: int, size: int, spare: int) -> None:
    """Replace numbers by their activation; `spare` has room for sixteen.

    Source: Hendrycks & Gimpel 2016, section 2, for the exact gelu
    """
    once()
    whole = size // LANES * LANES
    for i in range(0, whole, LANES):
        store(x, i, _activated(kind, load(x, i)))
    if whole < size:
        for i in range(whole, size):
            put(spare, i - whole, get(x, i))
        for i in range(size - whole, LANES):
            put(spare, i, np.float32(0.0))
        store(spare, 0, _activated(kind, load(spare, 0)))
        for i in range(whole, size):
            put(x, i, get(spare, i - whole))


@inner
def _activated(kind: int, a: Any) -> Any:
    """The activation of sixteen numbers. Half of 1 + tanh(u) is 1 / (1 + exp(-2 u))."""
    if kind == GELU:
        return mul(mul(splat(_HALF), a), add(splat(_ONE), erf(mul(a, splat(_ROOT)))))
    if kind == GELU_TANH:
        cube = mul(mul(a, a), a)
        return div(a, add(splat(_ONE), exp(mul(splat(_TANH), fma(splat(_CUBIC), cube, a)))))
    if kind == SILU:
        return div(a, add(splat(_ONE), exp(mul(splat(-_ONE), a))))
    return positive(a)


@inner
def times(x: int, y: int, size: int) -> None:
    """`x *= y`, number by number."""
    once()
    whole = size // LANES * LANES
    for i in range(0, whole, LANES):
        store(x, i, mul(load(x, i), load(y, i)))
    for i in range(whole, size):
        put(x, i, get(x, i) * get(y, i))


@inner
def scale_row(x: int, scale: float, size: int, y: int) -> None:
    """`y = scale x`."""
    once()
    for i in range(size):
        put(y, i, get(x, i) * scale)


@inner
def add_and_rms_norm(x: int, y: int, gain: int, size: int, epsilon: float, out: int) -> None:
    """`x = x + y` and `out = norm(x)` of one row: by the root of the mean square. Address 0 for `y` adds nothing.

    Source: Zhang & Sennrich 2019, equation 4
    """
    once()
    whole = size // LANES * LANES
    sums = zero()
    for i in range(0, whole, LANES):
        if y:
            store(x, i, add(load(x, i), load(y, i)))
        sums = fma(load(x, i), load(x, i), sums)
    s = total(sums)
    for i in range(whole, size):
        if y:
            put(x, i, get(x, i) + get(y, i))
        s = fma1(get(x, i), get(x, i), s)
    scale = _ONE / np.float32(math.sqrt(s / np.float32(size) + np.float32(epsilon)))
    for i in range(0, whole, LANES):
        store(out, i, mul(mul(load(x, i), splat(scale)), load(gain, i)))
    for i in range(whole, size):
        put(out, i, get(x, i) * scale * get(gain, i))


@inner
def add_and_norm(x: int, y: int, gamma: int, beta: int, size: int, epsilon: float) -> None:
    """`x = norm(x + y)` of one row: layer norm over population variance. Address 0 for `y` adds nothing.

    Source: Ba et al. 2016, equation 3
    """
    once()
    whole = size // LANES * LANES
    sums = zero()
    for i in range(0, whole, LANES):
        if y:
            store(x, i, add(load(x, i), load(y, i)))
        sums = add(sums, load(x, i))
    s = total(sums)
    for i in range(whole, size):
        if y:
            put(x, i, get(x, i) + get(y, i))
        s += get(x, i)
    mean = s / np.float32(size)
    sums = zero()
    for i in range(0, whole, LANES):
        centred = add(load(x, i), splat(-mean))
        sums = fma(centred, centred, sums)
    s = total(sums)
    for i in range(whole, size):
        s = fma1(get(x, i) - mean, get(x, i) - mean, s)
    scale = _ONE / np.float32(math.sqrt(s / np.float32(size) + np.float32(epsilon)))
    for i in range(0, whole, LANES):
        normed = mul(add(load(x, i), splat(-mean)), splat(scale))
        store(x, i, fma(normed, load(gamma, i), load(beta, i)))
    for i in range(whole, size):
        put(x, i, fma1((get(x, i) - mean) * scale, get(gamma, i), get(beta, i)))


@inner
def _fetch_line(address: int, size: int) -> None:
    """Bring a head's key or value nearer."""
    for i in range(0, size, LANES):
        fetch(address, i)


@inner
def attend(
    query: int,
    slots: np.ndarray,
    row: int,
    count: int,
    stride: int,
    keys: int,
    values: int,
    line: int,
    depth: int,
    scores: int,
    out: int,
    scale: Any,
    biased: int,
) -> None:
    """`softmax(scale q k) v` of one head and row. What may not be attended to is not among the `count`.

    Position t has its key and value at the line `t * stride + slots[row, t]`. No position at all gives zeros. If it is
    `biased`, what stands in `scores` is added.

    Shapes: query, out (D), keys and values lines of `line` numbers of which D belong to the head, scores (count).
    Source: Vaswani et al. 2017, section 3.2
    """  # fmt: skip
    once()
    highest = _LOWEST
    for t in range(count):
        ahead = min(t + _AHEAD, count - 1)
        _fetch_line(keys + (ahead * stride + slots[row, ahead]) * line * 4, depth)
        _fetch_line(values + (t * stride + slots[row, t]) * line * 4, depth)
        s = dot(query, keys + (t * stride + slots[row, t]) * line * 4, depth) * scale
        if biased:
            s += get(scores, t)
        put(scores, t, s)
        highest = max(highest, s)
    if not math.isfinite(highest):
        highest = np.float32(0.0)
    for t in range(count, (count + 15) // 16 * 16):
        put(scores, t, highest)
    for t in range(0, count, 16):
        store(scores, t, exp(add(load(scores, t), splat(-highest))))
    s = np.float32(0.0)
    for t in range(count):
        s += get(scores, t)
    if s != 0.0:
        for t in range(0, count, 16):
            store(scores, t, div(load(scores, t), splat(s)))
    _mix(slots, row, count, stride, values, line, depth, scores, out)


@inner
def _mix(
    slots: np.ndarray, row: int, count: int, stride: int, values: int, line: int, depth: int, scores: int, out: int
) -> None:
    """The weighted sum of values, from the first position to the last. Shapes: out (D)."""
    once()
    fours, whole = depth // 64 * 64, depth // LANES * LANES
    for i in range(0, fours, 64):
        m0, m1, m2, m3 = zero(), zero(), zero(), zero()
        for t in range(count):
            weight, place = splat(get(scores, t)), values + (t * stride + slots[row, t]) * line * 4
            m0, m1 = fma(weight, load(place, i), m0), fma(weight, load(place, i + 16), m1)
            m2, m3 = fma(weight, load(place, i + 32), m2), fma(weight, load(place, i + 48), m3)
        store(out, i, m0)
        store(out, i + 16, m1)
        store(out, i + 32, m2)
        store(out, i + 48, m3)
    for i in range(fours, whole, LANES):
        m0 = zero()
        for t in range(count):
            place = values + (t * stride + slots[row, t]) * line * 4
            m0 = fma(splat(get(scores, t)), load(place, i), m0)
        store(out, i, m0)
    for i in range(whole, depth):
        m = np.float32(0.0)
        for t in range(count):
            m = fma1(get(scores, t), get(values + (t * stride + slots[row, t]) * line * 4, i), m)
        put(out, i, m)
