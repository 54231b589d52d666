"""What is done to a row at a time: norms, activations, attention over the cache.

Each sum is taken in one order, whatever stands beside the row.

Spec: kernels.order, invariance.rows
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels.block import four_dots
from refimpl.kernels.functions import erf, exp
from refimpl.kernels.legacy_jit import inner, once
from refimpl.kernels.vector import (
    LANES,
    add,
    div,
    fetch,
    fma,
    fma1,
    get,
    higher,
    load,
    mul,
    peak,
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
def copy(x: int, size: int, y: int) -> None:
    """`y = x`."""
    once()
    whole = size // LANES * LANES
    for i in range(0, whole, LANES):
        store(y, i, load(x, i))
    for i in range(whole, size):
        put(y, i, get(x, i))


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
def attend(
    query: int, slots: np.ndarray, row: int, count: int, stride: int, keys: int, values: int, line: int, heads: int,
    depth: int, scores: int, room: int, biases: int, span: int, out: int, scale: Any,
) -> None:  # fmt: skip
    """`softmax(scale q k + bias) v` of some heads of a row. What may not be attended to is not among the `count`.

    Position t has its keys and values at the line `t * stride + slots[row, t]`. No position at all gives zeros.

    Shapes: query, out (heads, D), keys and values lines of `line` numbers of which the first belong to these heads,
    scores (heads, room), biases (heads, span) or address 0.
    Source: Vaswani et al. 2017, section 3.2
    """
    once()
    last = max(count - 1, 0)
    for t in range(0, count, 4):
        for n in range(t, min(t + 4, count) if line > heads * depth else t):  # those of a few heads have gaps
            fetch_line(keys + _line_of(slots, row, min(n + _AHEAD, last), stride) * line * 4, heads * depth)
            fetch_line(values + _line_of(slots, row, n, stride) * line * 4, heads * depth)
        a = keys + _line_of(slots, row, t, stride) * line * 4
        b = keys + _line_of(slots, row, min(t + 1, last), stride) * line * 4
        c = keys + _line_of(slots, row, min(t + 2, last), stride) * line * 4
        d = keys + _line_of(slots, row, min(t + 3, last), stride) * line * 4
        for head in range(heads):
            i = head * depth * 4
            _four_scores(query + i, a + i, b + i, c + i, d + i, depth, scores + (head * room + t) * 4)
    for head in range(heads):
        own = scores + head * room * 4
        _softmax(own, count, scale, biases + head * span * 4 if biases else 0)
        i = head * depth * 4
        _mix(slots, row, count, stride, values + i, line, depth, own, out + i)


@inner
def _line_of(slots: np.ndarray, row: int, t: int, stride: int) -> int:
    return t * stride + slots[row, t]


@inner
def fetch_line(address: int, size: int) -> None:
    """Bring the numbers nearer."""
    for i in range(0, size, LANES):
        fetch(address, i)


@inner
def _four_scores(x: int, a: int, b: int, c: int, d: int, size: int, y: int) -> None:
    """`dot` of a query with four keys."""
    whole = size // LANES * LANES
    four_dots(x, a, b, c, d, whole, y)
    for k in range(whole, size):
        put(y, 0, fma1(get(x, k), get(a, k), get(y, 0)))
        put(y, 1, fma1(get(x, k), get(b, k), get(y, 1)))
        put(y, 2, fma1(get(x, k), get(c, k), get(y, 2)))
        put(y, 3, fma1(get(x, k), get(d, k), get(y, 3)))


@inner
def _softmax(scores: int, count: int, scale: Any, biases: int) -> None:
    """`softmax(scale scores + bias)` in place; vectors are filled with scores that get no weight."""
    once()
    highest = splat(_LOWEST)
    for t in range(0, count, LANES):
        s = mul(load(scores, t), splat(scale))
        store(scores, t, add(s, load(biases, t)) if biases else s)
        if t + LANES > count:
            for n in range(count, t + LANES):
                put(scores, n, _LOWEST)
        highest = higher(load(scores, t), highest)
    top = peak(highest)
    if not math.isfinite(top):
        top = np.float32(0.0)
    sums = zero()
    for t in range(0, count, LANES):
        weights = exp(add(load(scores, t), splat(-top)))
        store(scores, t, weights)
        sums = add(sums, weights)
    s = total(sums)
    if s != 0.0:
        for t in range(0, count, LANES):
            store(scores, t, div(load(scores, t), splat(s)))


@inner
def _mix(
    slots: np.ndarray, row: int, count: int, stride: int, values: int, line: int, depth: int, scores: int, out: int
) -> None:
    """The weighted sum of values: of even and of odd positions, each from the first to the last. Shapes: out (D)."""
    once()
    fours, whole, pairs = depth // 64 * 64, depth // LANES * LANES, count // 2 * 2
    for i in range(0, fours, 64):
        m0, m1, m2, m3, n0, n1, n2, n3 = zero(), zero(), zero(), zero(), zero(), zero(), zero(), zero()
        for t in range(0, pairs, 2):
            weight, place = splat(get(scores, t)), values + _line_of(slots, row, t, stride) * line * 4
            m0, m1 = fma(weight, load(place, i), m0), fma(weight, load(place, i + 16), m1)
            m2, m3 = fma(weight, load(place, i + 32), m2), fma(weight, load(place, i + 48), m3)
            weight, place = splat(get(scores, t + 1)), values + _line_of(slots, row, t + 1, stride) * line * 4
            n0, n1 = fma(weight, load(place, i), n0), fma(weight, load(place, i + 16), n1)
            n2, n3 = fma(weight, load(place, i + 32), n2), fma(weight, load(place, i + 48), n3)
        if pairs < count:
            weight, place = splat(get(scores, pairs)), values + _line_of(slots, row, pairs, stride) * line * 4
            m0, m1 = fma(weight, load(place, i), m0), fma(weight, load(place, i + 16), m1)
            m2, m3 = fma(weight, load(place, i + 32), m2), fma(weight, load(place, i + 48), m3)
        store(out, i, add(m0, n0))
        store(out, i + 16, add(m1, n1))
        store(out, i + 32, add(m2, n2))
        store(out, i + 48, add(m3, n3))
    for i in range(fours, whole, LANES):
        m0 = zero()
        for t in range(count):
            place = values + _line_of(slots, row, t, stride) * line * 4
            m0 = fma(splat(get(scores, t)), load(place, i), m0)
        store(out, i, m0)
    for i in range(whole, depth):
        m = np.float32(0.0)
        for t in range(count):
            m = fma1(get(scores, t), get(values + _line_of(slots, row, t, stride) * line * 4, i), m)
        put(out, i, m)
