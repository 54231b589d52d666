"""Primitives that move numbers and compute nothing, and what undoes a broadcast."""

from __future__ import annotations

import numpy as np

from refimpl.autograd.tape import Pull, primitive

Array = np.ndarray


@primitive
def reshape(x: Array, shape: tuple[int, ...]) -> Array:
    """The same numbers in another shape."""
    return x.reshape(shape)


@reshape.vjp
def _(_wants: list[bool], x: Array, shape: tuple[int, ...]) -> tuple[Array, Pull]:
    """`x'` is `g` in the shape of x."""
    return x.reshape(shape), lambda g: [g.reshape(x.shape), None]


@primitive
def transpose(x: Array, axes: tuple[int, ...]) -> Array:
    """The same numbers with their axes in another order: axis n of the result is axis `axes[n]` of x."""
    return x.transpose(axes)


@transpose.vjp
def _(_wants: list[bool], x: Array, axes: tuple[int, ...]) -> tuple[Array, Pull]:
    """`x'` is `g` with its axes put back."""
    return x.transpose(axes), lambda g: [g.transpose(np.argsort(axes)), None]


@primitive
def windows(x: Array, size: int, stride: int) -> Array:
    """What a convolution sees: `size` columns at every `stride`-th place where so many are left.

    Shapes: x (B, T, C) -> (B, (T - size) // stride + 1, size, C).
    """
    return np.lib.stride_tricks.sliding_window_view(x, size, axis=1)[:, ::stride].transpose(0, 1, 3, 2)


@windows.vjp
def _(_wants: list[bool], x: Array, size: int, stride: int) -> tuple[Array, Pull]:
    """A column gets the sum of what it is given in all windows that see it."""

    def pull(g: Array) -> list[Array | None]:
        slope, end = np.zeros_like(x), stride * (g.shape[1] - 1) + 1
        for n in range(size):
            slope[:, n : n + end : stride] += g[:, :, n]
        return [slope, None, None]

    return windows.plain(x, size, stride), pull


def summed_to(g: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an argument of `shape` that was broadcast to the shape of `g`."""
    if g.shape == shape:
        return g
    aligned = (1,) * (g.ndim - len(shape)) + shape
    repeated = tuple(n for n, size in enumerate(aligned) if size != g.shape[n])
    return g.sum(axis=repeated, keepdims=True).reshape(shape)
