"""Activations beside the exact gelu, and the product that gates them; each is followed by its derivative."""

from __future__ import annotations

import numpy as np

from refimpl.autograd.shapes import summed_to
from refimpl.autograd.tape import Pull, primitive

Array = np.ndarray
_ROOT, _CUBIC = float(np.sqrt(2.0 / np.pi)), 0.044715


@primitive
def relu(x: Array) -> Array:
    """`max(x, 0)`."""
    return np.maximum(x, x.dtype.type(0.0))


@relu.vjp
def _(_wants: list[bool], x: Array) -> tuple[Array, Pull]:
    """`x' = g` where x is above 0, else 0."""
    return relu.plain(x), lambda g: [g * (x > 0.0)]


def _sigmoid(x: Array) -> Array:
    """`1 / (1 + exp(-x))` without overflow, and without the digits that `1 + tanh(x / 2)` loses below 0."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0.0, e, 1.0) / (1.0 + e)


@primitive
def gelu_tanh(x: Array) -> Array:
    """`x/2 (1 + tanh(u)) = x sigmoid(2 u)`, `u = sqrt(2 / pi) (x + 0.044715 x^3)`; in float32 at least, for its x^3.

    Source: Hendrycks & Gimpel 2016, section 2
    """
    return _gelu_tanh(x)[0].astype(x.dtype)


def _gelu_tanh(x: Array) -> tuple[Array, Array, Array]:
    """The value, x as it was computed with, and the sigmoid."""
    x = x.astype(np.result_type(x.dtype, np.float32), copy=False)
    s = _sigmoid(2.0 * _ROOT * (x + _CUBIC * x * x * x))
    return x * s, x, s


@gelu_tanh.vjp
def _(_wants: list[bool], x: Array) -> tuple[Array, Pull]:
    """With `s = sigmoid(2 u)`: `x' = g s (1 + 2 x (1 - s) u')`."""
    value, x, s = _gelu_tanh(x)
    slope = s * (1.0 + 2.0 * x * (1.0 - s) * _ROOT * (1.0 + 3.0 * _CUBIC * x * x))
    return value, lambda g: [g * slope]


@primitive
def silu(x: Array) -> Array:
    """`x / (1 + exp(-x))`.

    Source: Elfwing et al. 2018, equation 3
    """
    return x * _sigmoid(x)


@silu.vjp
def _(_wants: list[bool], x: Array) -> tuple[Array, Pull]:
    """With `s = 1 / (1 + exp(-x))`: `x' = g s (1 + x (1 - s))`."""
    s = _sigmoid(x)
    return x * s, lambda g: [g * s * (1.0 + x * (1.0 - s))]


@primitive
def swiglu(x: Array) -> Array:
    """`a silu(g)`, of which x holds `a` before `g`. Shapes: (..., 2 F) -> (..., F).

    Source: Shazeer 2020, "GLU Variants Improve Transformer", section 2
    """
    a, g = np.split(x, 2, axis=-1)
    return a * silu.plain(g)


@swiglu.vjp
def _(_wants: list[bool], x: Array) -> tuple[Array, Pull]:
    """`a' = y' silu(g)`, and `g' = y' a` times the derivative of silu."""
    a, g = np.split(x, 2, axis=-1)
    bent, back = silu.taped([True], g)  # type: ignore[misc]
    return a * bent, lambda slope: [np.concatenate([slope * bent, *back(slope * a)], axis=-1)]


@primitive
def multiply(x: Array, y: Array) -> Array:
    """`x y`, element by element, broadcast as NumPy does."""
    return x * y


@multiply.vjp
def _(wants: list[bool], x: Array, y: Array) -> tuple[Array, Pull]:
    """`x' = g y` and `y' = g x`; an argument that was broadcast gets the sum over its repetitions."""

    def pull(g: Array) -> list[Array | None]:
        return [summed_to(g * y, x.shape) if wants[0] else None, summed_to(g * x, y.shape) if wants[1] else None]

    return x * y, pull
