"""The twin of attention; one of the files of `fused`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refimpl.autograd import compiled_attention, compiled_heads
from refimpl.autograd.compiled_tile import WIDE, is_worth_it
from refimpl.autograd.masks import first_element, threshold
from refimpl.autograd.sharing import share, share_sums
from refimpl.autograd.tape import PRIMITIVES, Pull

Array = np.ndarray
Wants = list[bool]
_F = np.float32


def draws(rate: float, stream: int, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """What a kernel needs for the mask of an array of that shape."""
    words = np.uint32(stream & 0xFFFFFFFF), np.uint32(stream >> 32)
    return (_F(1.0 / (1.0 - rate)) if rate else _F(0.0), *words, threshold(rate), first_element(shape, stream))


def attention(
    wants: Wants, query: Array, key: Array, value: Array, may_attend: Array, bias: Array | None, scale: float,
    soft_cap: float | None, rate: float, stream: int,
) -> tuple[Array, Pull]:  # fmt: skip
    """Nothing of the size of the scores but the weights themselves; soft caps and shared keys are left to NumPy."""
    if soft_cap is not None or key.shape[2] != query.shape[2]:
        taped = PRIMITIVES["attention"].taped
        assert taped is not None
        return taped(wants, query, key, value, may_attend, bias, scale, soft_cap, rate, stream)
    mixed, pull_all = _attention(query, key, value, bias, may_attend, _F(scale), rate, stream)

    def pull(g: Array) -> list[Array | None]:
        *slopes, bias_slope = pull_all(g)
        return [*slopes, None, bias_slope, None, None, None, None]

    return mixed, pull


def _attention(
    query: Array, key: Array, value: Array, bias: Array | None, may_attend: Array, scale: Any, rate: float, stream: int
) -> tuple[Array, Callable[[Array], list[Array | None]]]:
    """The result, and from its gradient those of query, key, value and bias."""
    q, k, v = (np.ascontiguousarray(x) for x in (query, key, value))
    may = np.ascontiguousarray(may_attend[:, 0]).astype(np.bool_)
    shift = np.zeros((0, 0, 0), np.float32) if bias is None else np.ascontiguousarray(bias)
    weights = np.empty((len(q), q.shape[2], q.shape[1], k.shape[1]), q.dtype)
    mixed = np.empty_like(q)
    work = weights.size * q.shape[-1]
    random = draws(rate, stream, weights.shape)
    fits_tiles = q.shape[-1] % WIDE == 0 and k.shape[1] > WIDE // 2
    kernels = compiled_heads if is_worth_it and fits_tiles else compiled_attention
    share(kernels.attention, len(q), work, q, k, v, may, scale, shift, *random, weights, mixed)

    def pull(g: Array) -> list[Array | None]:
        slopes = [np.empty_like(x) for x in (q, k, v)]
        args = (q, k, v, scale, *random, weights, np.ascontiguousarray(g), *slopes)
        summed = share_sums(kernels.attention_slope, len(q), work, shift.shape, *args)
        return [*slopes, None if bias is None else summed]

    return mixed, pull
