"""Rotation by the position, and the soft cap; each is followed by its derivative."""

from __future__ import annotations

import numpy as np

from refimpl.autograd.tape import Pull, primitive

Array = np.ndarray


@primitive
def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Turn the pair of numbers (x_i, x_(i + D/2)) by an angle, for each i.

    Shapes: x (B, T, H, D), cos and sin of the angles (T, D/2) -> (B, T, H, D).
    Spec: models.t5gemma.rotary
    Source: Su et al. 2021, "RoFormer", section 3.4.2, with the halves in place of neighbours
    """
    left, right = np.split(x, 2, axis=-1)
    cos, sin = cos[:, None], sin[:, None]
    return np.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)


@rotate.vjp
def _(_wants: list[bool], x: Array, cos: Array, sin: Array) -> tuple[Array, Pull]:
    """A rotation's derivative turns back: `x'` is `g` turned by the negative angle."""
    return rotate.plain(x, cos, sin), lambda g: [rotate.plain(g, cos, -sin), None, None]


@primitive
def rotate_pairs(x: Array, cos: Array, sin: Array) -> Array:
    """Turn the pair of neighbours (x_2i, x_(2i + 1)) by an angle, for each angle; what is behind them stays.

    Shapes: x (B, T, H, D), cos and sin of the angles (T, R/2) -> (B, T, H, D).
    Spec: models.moonshine.rotary
    Source: Su et al. 2021, "RoFormer", equation 34
    """
    end, cos, sin = 2 * cos.shape[1], cos[:, None], sin[:, None]
    left, right, turned = x[..., 0:end:2], x[..., 1:end:2], x.copy()
    turned[..., 0:end:2] = left * cos - right * sin
    turned[..., 1:end:2] = right * cos + left * sin
    return turned


@rotate_pairs.vjp
def _(_wants: list[bool], x: Array, cos: Array, sin: Array) -> tuple[Array, Pull]:
    """As of `rotate`: `x'` is `g` turned by the negative angle."""
    return rotate_pairs.plain(x, cos, sin), lambda g: [rotate_pairs.plain(g, cos, -sin), None, None]


@primitive
def soft_cap(x: Array, cap: float) -> Array:
    """`c tanh(x / c)`: nearly x where it is small, never beyond c. Source: Gemma Team 2024, "Gemma 2", section 2"""
    return np.tanh(x / x.dtype.type(cap)) * x.dtype.type(cap)


@soft_cap.vjp
def _(_wants: list[bool], x: Array, cap: float) -> tuple[Array, Pull]:
    """With `y = c tanh(x / c)`: `x' = g (1 - (y / c)^2)`."""
    value = soft_cap.plain(x, cap)
    return value, lambda g: [g * (1.0 - np.square(value / value.dtype.type(cap))), None]
