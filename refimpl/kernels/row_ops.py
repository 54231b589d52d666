"""What decoding and training do to rows of float32 numbers: activations, norms, softmax.

A row has the same bits wherever it stands and whatever stands beside it. So each sum is taken in eight strands, number
n in strand n % 8: its order is written in the code, it runs in vectors, and zeros at its end change nothing.

Shapes: a row (N), of any N, in one piece.
Spec: invariance.rows
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels.jit import jit_inside

RELU, GELU, GELU_TANH, SILU = range(4)
_F, _I = np.float32, np.int32
_ZERO, _HALF, _ONE, _THREE = _F(0.0), _F(0.5), _F(1.0), _F(3.0)
_LOW, _HIGH = _F(-87.0), _F(88.0)  # between them e^x is a normal number
_LOG2E, _LN2_HIGH, _LN2_LOW = _F(1.4426950408889634), _F(0.693359375), _F(-2.12194440e-4)
_ROUND, _ROUND_BITS, _BIAS, _FRACTION = _F(12582912.0), _I(0x4B400000), _I(127), _I(23)
_E2, _E3, _E4 = _F(0.5), _F(1.6666665459e-1), _F(4.1665795894e-2)
_E5, _E6, _E7 = _F(8.3334519073e-3), _F(1.3981999507e-3), _F(1.9875691500e-4)
_DENSITY = _F(math.sqrt(0.5 / math.pi))
# The upper tail of the normal distribution over its density, as a polynomial in 1 / (1 + z / 3): a Chebyshev fit to
# math.erfc (error below 3e-9 after multiplication by the density), lowest power first.
_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7 = (
    _F(a)
    for a in (
        0.0006696569971624607, 0.327443961052818, 0.34526621069760244, 0.3387837394286079,
        -0.035691812007117005, 0.6555690465260487, -0.4816828525841769, 0.10295619397700241,
    )
)  # fmt: skip
# The share between 0 and x over x as a power series in x^2, for x up to 1: the tail would leave two units more near 0.
_B0, _B1, _B2, _B3, _B4, _B5, _B6, _B7 = (
    _F(math.sqrt(0.5 / math.pi) * (-0.5) ** n / math.factorial(n) / (2 * n + 1)) for n in range(8)
)
_SLOPE, _CUBIC = _F(2.0 * math.sqrt(2.0 / math.pi)), _F(0.044715)


@jit_inside
def exp(x: Any) -> Any:
    """`e^x`; 0 below -87, and above 88 what it is there.

    The nearest whole number to x / ln 2 is found by adding 1.5 * 2^23, whose last bit counts ones.
    """
    y = min(max(x, _LOW), _HIGH)
    rounded = y * _LOG2E + _ROUND
    n = rounded - _ROUND
    r = y - n * _LN2_HIGH - n * _LN2_LOW
    p = ((((_E7 * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _E2
    power = _I(_I(_F(rounded).view(np.int32) - _ROUND_BITS + _BIAS) << _FRACTION).view(np.float32)
    value = (p * r * r + r + _ONE) * power
    return value if x >= _LOW else (_ZERO if x < _LOW else x)


@jit_inside
def density(x: Any) -> Any:
    """The density of the normal distribution."""
    return exp(-_HALF * x * x) * _DENSITY


@jit_inside
def below(x: Any) -> Any:
    """The share of the normal distribution that lies below x: `(1 + erf(x / sqrt 2)) / 2`.

    Everything is computed before the choice, as only then a loop over it runs in vectors.
    """
    t = _THREE / (_THREE + abs(x))
    p = ((((((_A7 * t + _A6) * t + _A5) * t + _A4) * t + _A3) * t + _A2) * t + _A1) * t + _A0
    tail = p * density(x)
    y = x * x
    near = ((((((_B7 * y + _B6) * y + _B5) * y + _B4) * y + _B3) * y + _B2) * y + _B1) * y + _B0
    near, far = _HALF + x * near, tail if x < _ZERO else _ONE - tail
    return near if y < _ONE else far


@jit_inside
def sigmoid(x: Any) -> Any:
    """`1 / (1 + e^-x)`."""
    return _ONE / (_ONE + exp(-x))


@jit_inside
def tanh_gate(x: Any) -> Any:
    """`(1 + tanh(u)) / 2` with the `u = sqrt(2 / pi) (x + 0.044715 x^3)` of the approximate gelu: `sigmoid(2 u)`."""
    return sigmoid(_SLOPE * (x + _CUBIC * x * x * x))


@jit_inside
def activate(kind: int, row: Any) -> None:
    """Replace numbers by their activation."""
    if kind == RELU:
        for n in range(row.size):
            row[n] = _ZERO if row[n] < _ZERO else row[n]
    elif kind == GELU:
        for n in range(row.size):
            row[n] *= below(row[n])
    elif kind == GELU_TANH:
        for n in range(row.size):
            row[n] *= tanh_gate(row[n])
    else:
        for n in range(row.size):
            row[n] *= sigmoid(row[n])


@jit_inside
def total(row: Any) -> Any:
    """The sum of a row."""
    a = b = c = d = e = f = g = h = _ZERO
    whole = row.size // 8 * 8
    for n in range(0, whole, 8):
        a, b, c, d = a + row[n], b + row[n + 1], c + row[n + 2], d + row[n + 3]
        e, f, g, h = e + row[n + 4], f + row[n + 5], g + row[n + 6], h + row[n + 7]
    rest = row[whole:]
    a += rest[0] if rest.size > 0 else _ZERO
    b += rest[1] if rest.size > 1 else _ZERO
    c += rest[2] if rest.size > 2 else _ZERO
    d += rest[3] if rest.size > 3 else _ZERO
    e += rest[4] if rest.size > 4 else _ZERO
    f += rest[5] if rest.size > 5 else _ZERO
    g += rest[6] if rest.size > 6 else _ZERO
    return ((a + e) + (c + g)) + ((b + f) + (d + h))


@jit_inside
def highest(row: Any) -> Any:
    """The highest number of a row, minus infinity if it has none; what is no number is passed over."""
    a = b = c = d = _F(-math.inf)
    whole = row.size // 4 * 4
    for n in range(0, whole, 4):
        a, b = max(a, row[n]), max(b, row[n + 1])
        c, d = max(c, row[n + 2]), max(d, row[n + 3])
    for n in range(whole, row.size):
        a = max(a, row[n])
    return max(a, b, c, d)


@jit_inside
def lower(row: Any) -> None:
    """Take the highest number off, so that all are at most 0; what is minus infinity stays so."""
    top = highest(row)
    top = top if top > _F(-math.inf) else _ZERO
    for n in range(row.size):
        row[n] -= top


@jit_inside
def normalize(row: Any) -> None:
    """Divide a row by its sum, unless that is 0."""
    s = total(row)
    inverse = _ONE / s if s != _ZERO else _ZERO
    for n in range(row.size):
        row[n] *= inverse


@jit_inside
def softmax(row: Any) -> None:
    """Scores become weights. A score of minus infinity gets 0, and nothing but such scores gives zeros."""
    lower(row)
    for n in range(row.size):
        row[n] = exp(row[n])
    normalize(row)


@jit_inside
def rms_norm(row: Any, gain: Any, epsilon: Any, out: Any) -> Any:
    """`out = row / sqrt(mean of row^2 + epsilon) * gain`; returns the inverse of that root.

    Source: Zhang & Sennrich 2019, equation 4
    """
    for n in range(row.size):
        out[n] = row[n] * row[n]
    scale = _ONE / np.sqrt(total(out) / _F(row.size) + _F(epsilon))
    for n in range(row.size):
        out[n] = row[n] * scale * gain[n]
    return scale


@jit_inside
def layer_norm(row: Any, gamma: Any, beta: Any, epsilon: Any, out: Any) -> Any:
    """`out = (row - mean) / sqrt(variance + epsilon) * gamma + beta`; returns mean and inverse of that root.

    Source: Ba et al. 2016, equation 3
    """
    mean = total(row) / _F(row.size)
    for n in range(row.size):
        out[n] = (row[n] - mean) * (row[n] - mean)
    scale = _ONE / np.sqrt(total(out) / _F(row.size) + _F(epsilon))
    for n in range(row.size):
        out[n] = (row[n] - mean) * scale * gamma[n] + beta[n]
    return mean, scale
