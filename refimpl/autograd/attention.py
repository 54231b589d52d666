"""Attention as one primitive: scores, softmax, dropout and mix, so that the tape keeps one array of weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refimpl.autograd.masks import keep_mask
from refimpl.autograd.tape import Pull, primitive

Array = np.ndarray


def softmax(scores: Array, may_attend: Array) -> Array:
    """`exp(s) / sum exp(s)` over the positions that may be attended to; the others get exactly 0.

    A row that may attend to nothing gives zeros, not NaN.

    Shapes: scores (..., S), may_attend broadcast to it -> (..., S).
    Spec: models.attention.mask, models.attention.nothing-to-attend
    """
    masked = np.where(may_attend, scores, -np.inf)
    highest = masked.max(axis=-1, keepdims=True)
    weights = np.exp(masked - np.where(np.isfinite(highest), highest, 0.0).astype(scores.dtype))
    total = np.add.accumulate(weights, axis=-1)[..., -1:]  # one after the other: zeros at the end change nothing
    return weights / np.where(total > 0.0, total, 1.0).astype(scores.dtype)


def attention_scores(query: Array, key: Array) -> Array:
    """`q k / sqrt(D)`. Shapes: query (B, T, H, D), key (B, S, H, D) -> (B, H, T, S)."""
    scale = query.dtype.type(1.0 / np.sqrt(query.shape[-1]))
    return np.einsum("bthd,bshd->bhts", query * scale, key)


def attention_mix(weights: Array, value: Array) -> Array:
    """`sum over s of weight v`. Shapes: weights (B, H, T, S), value (B, S, H, D) -> (B, T, H, D)."""
    return np.einsum("bhts,bshd->bthd", weights, value)


@primitive
def attention(query: Array, key: Array, value: Array, may_attend: Array, rate: float, stream: int) -> Array:
    """`dropout(softmax(q k / sqrt(D))) v` for each head.

    Shapes: query (B, T, H, D), key and value (B, S, H, D), may_attend (B or 1, 1, T or 1, S) -> (B, T, H, D).
    Spec: models.attention.scale, models.attention.mask
    Source: Vaswani et al. 2017, section 3.2.1
    """
    weights = softmax(attention_scores(query, key), may_attend)
    return attention_mix(weights if rate == 0.0 else weights * _factors(weights, rate, stream), value)


@attention.vjp
def _(
    _wants: list[bool], query: Array, key: Array, value: Array, may_attend: Array, rate: float, stream: int
) -> tuple[Array, Pull]:
    """With `c = 1 / sqrt(D)`, scores `s_ts = c q_t k_s`: `q'_t = c s'_ts k_s` and `k'_s = c s'_ts q_t`."""
    scale = query.dtype.type(1.0 / np.sqrt(query.shape[-1]))
    scores = np.matmul(_heads_first(query), _heads_first(key).swapaxes(-1, -2)) * scale
    mixed, pull_scores = _softmax_and_mix(scores, value, may_attend, rate, stream)

    def pull(g: Array) -> list[Array | None]:
        slope, value_slope = pull_scores(g)
        slope *= scale
        return [*_products(slope, query, key), value_slope, None, None, None]

    return mixed, pull


@primitive
def relative_attention(
    query: Array, key: Array, value: Array, bias: Array | None, may_attend: Array, rate: float, stream: int
) -> Array:
    """`dropout(softmax(q k + bias)) v` for each head: scores without a scale, and a number added for each distance.

    Shapes: query (B, T, H, D), key and value (B, S, H, D), bias (H, T, S) or None, may_attend (B or 1, 1, T or 1, S)
        -> (B, T, H, D).
    Spec: models.t5.attention, models.attention.mask
    Source: Raffel et al. 2020, section 2.1; Shaw et al. 2018
    """
    scores = np.einsum("bthd,bshd->bhts", query, key)
    weights = softmax(scores if bias is None else scores + bias, may_attend)
    return attention_mix(weights if rate == 0.0 else weights * _factors(weights, rate, stream), value)


@relative_attention.vjp
def _(
    wants: list[bool],
    query: Array,
    key: Array,
    value: Array,
    bias: Array | None,
    may_attend: Array,
    rate: float,
    stream: int,
) -> tuple[Array, Pull]:
    """With scores `s_nts = q_nt k_ns + b_ts`: `q'_t = s'_ts k_s`, `k'_s = s'_ts q_t`, `b'_ts = sum of s'_nts`."""
    scores = np.matmul(_heads_first(query), _heads_first(key).swapaxes(-1, -2))
    if bias is not None:
        scores += bias
    mixed, pull_scores = _softmax_and_mix(scores, value, may_attend, rate, stream)

    def pull(g: Array) -> list[Array | None]:
        slope, value_slope = pull_scores(g)
        bias_slope = slope.sum(axis=0) if wants[3] else None
        return [*_products(slope, query, key), value_slope, bias_slope, None, None, None]

    return mixed, pull


def _softmax_and_mix(
    scores: Array, value: Array, may_attend: Array, rate: float, stream: int
) -> tuple[Array, Callable[[Array], tuple[Array, Array]]]:
    """With `p = softmax(s)`, `w = m p` and `o_t = w_ts v_s`: the result, and from its gradient those of s and v.

    `v'_s = w_ts g_t`, `w'_ts = g_t v_s`, `p' = m w'`. As `dp_ts = p_ts (ds_ts - p_tu ds_tu)`,
    `s'_ts = p_ts (p'_ts - p_tu p'_tu)`. Where p is 0, s' is 0: what is masked gets no gradient, and a row that may
    attend to nothing gets none at all.

    Shapes: scores (B, H, T, S), value (B, S, H, D) -> (B, T, H, D).
    """
    v = _heads_first(value)
    weights = softmax(scores, may_attend)
    factors = _factors(weights, rate, stream) if rate else None
    mixed = np.matmul(weights if factors is None else weights * factors, v)

    def pull(g: Array) -> tuple[Array, Array]:
        g = _heads_first(g)
        factors = _factors(weights, rate, stream) if rate else None  # drawn again, not kept
        used = weights if factors is None else weights * factors
        slope = np.matmul(g, v.swapaxes(-1, -2))
        if factors is not None:
            slope *= factors
        slope -= np.einsum("bhts,bhts->bht", slope, weights)[..., None]
        slope *= weights
        return slope, np.matmul(used.swapaxes(-1, -2), g).transpose(0, 2, 1, 3)

    return mixed.transpose(0, 2, 1, 3), pull


def _products(slope: Array, query: Array, key: Array) -> list[Array]:
    """The gradients of query and key, from those of the scores (B, H, T, S)."""
    products = (np.matmul(slope, _heads_first(key)), np.matmul(slope.swapaxes(-1, -2), _heads_first(query)))
    return [x.transpose(0, 2, 1, 3) for x in products]


def _heads_first(x: Array) -> Array:
    """Shapes: (B, T, H, D) -> (B, H, T, D)."""
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3))


def _factors(weights: Array, rate: float, stream: int) -> Array:
    """The dropout mask, scaled. Shapes: (B, H, T, S)."""
    return keep_mask(weights.shape, rate, stream) * weights.dtype.type(1.0 / (1.0 - rate))
