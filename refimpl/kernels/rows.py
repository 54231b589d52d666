"""What is done to a row at a time: norms, activations, attention over the cache.

Each sum is taken in one order, whatever stands beside the row.

Spec: kernels.order, invariance.rows
"""

import math

import numpy as np

from refimpl.kernels.jit import inner, once
from refimpl.kernels.linear import dot
from refimpl.kernels.vector import LANES, add, fma, fma1, get, load, mul, put, splat, store, total, zero

RELU, GELU = 0, 1
_HALF, _ONE, _ROOT = np.float32(0.5), np.float32(1.0), np.float32(math.sqrt(0.5))
_LOWEST = np.float32(-math.inf)

# `erf(z) / z` as a polynomial in `z * z / 8 - 1`, for z up to 4; beyond, erf is 1 in float32. Interpolated at the
# Chebyshev nodes from `math.erf`; a test measures the error, which is below 1e-9.
_ERF = (
    9.403816578637098e-05, -0.0002464220145300619, 0.0001732295034487736, -0.00032551962727953547,
    0.0014101528932398749, -0.0029097129559724944, 0.0047749462205666495, -0.008384044276092753,
    0.014381038744396328, -0.022562558293108114, 0.033053291696067265, -0.04574431267502724,
    0.05988782958300683, -0.07473048679705468, 0.09020894134279632, -0.10771029288641266,
    0.13167511777582963, -0.17657623580039228, 0.3535309956434049,
)  # fmt: skip


@inner
def erf(x: float) -> float:
    """The error function, exact to float32."""
    z = float(min(abs(x), 4.0))
    v = z * z * 0.125 - 1.0
    p = 0.0
    for i in range(len(_ERF)):
        p = p * v + _ERF[i]
    return math.copysign(p * z, x)


@inner
def activate(kind: int, x: int, size: int) -> None:
    """Replace numbers by their activation. Source: Hendrycks & Gimpel 2016, section 2, for the exact gelu."""
    once()
    for i in range(size):
        a = get(x, i)
        if kind == GELU:
            put(x, i, _HALF * a * (_ONE + np.float32(erf(a * _ROOT))))
        else:
            put(x, i, max(a, np.float32(0.0)))


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
) -> None:
    """`softmax(q k / sqrt(D)) v` of one head and row. What may not be attended to is not among the `count`.

    Position t has its key and value at the line `t * stride + slots[row, t]`. No position at all gives zeros.

    Shapes: query, out (D), keys and values lines of `line` numbers of which D belong to the head, scores (count).
    Source: Vaswani et al. 2017, section 3.2
    """  # fmt: skip
    once()
    scale = np.float32(1.0 / math.sqrt(depth))
    highest = _LOWEST
    for t in range(count):
        s = dot(query, keys + (t * stride + slots[row, t]) * line * 4, depth) * scale
        put(scores, t, s)
        highest = max(highest, s)
    if not math.isfinite(highest):
        highest = np.float32(0.0)
    s = np.float32(0.0)
    for t in range(count):
        e = np.float32(math.exp(get(scores, t) - highest))
        put(scores, t, e)
        s += e
    for t in range(count):
        put(scores, t, get(scores, t) / (s if s != 0.0 else _ONE))
    whole = depth // LANES * LANES
    for i in range(0, whole, LANES):
        mixed = zero()
        for t in range(count):
            place = values + (t * stride + slots[row, t]) * line * 4
            mixed = fma(splat(get(scores, t)), load(place, i), mixed)
        store(out, i, mixed)
    for i in range(whole, depth):
        m = np.float32(0.0)
        for t in range(count):
            m = fma1(get(scores, t), get(values + (t * stride + slots[row, t]) * line * 4, i), m)
        put(out, i, m)
