"""Attention as one primitive: scores, softmax, dropout and mix, so that the tape keeps one array of weights."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import numpy as np

from refimpl.autograd.masks import keep_mask
from refimpl.autograd.tape import Pull, primitive

Array = np.ndarray
# Who is shown the weights (B, H, T, S) of each forward pass, if anybody looks: `explain` does.
watcher: ContextVar[Callable[[Array], None] | None] = ContextVar("watcher", default=None)


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


def attention_scores(query: Array, key: Array, scale: float) -> Array:
    """`scale q k`. Shapes: query (B, T, H, D), key (B, S, H, D) -> (B, H, T, S)."""
    return np.einsum("bthd,bshd->bhts", query * query.dtype.type(scale), key)


def attention_mix(weights: Array, value: Array) -> Array:
    """`sum over s of weight v`. Shapes: weights (B, H, T, S), value (B, S, H, D) -> (B, T, H, D)."""
    return np.einsum("bhts,bshd->bthd", weights, value)


@primitive
def attention(
    query: Array, key: Array, value: Array, may_attend: Array, bias: Array | None, scale: float,
    soft_cap: float | None, rate: float, stream: int,
) -> Array:  # fmt: skip
    """`dropout(softmax(c tanh(scale q k / c) + bias)) v` for each head; without the soft cap c, `scale q k + bias`.

    K may be a divisor of H: then H / K heads one after the other share a key and a value.

    Shapes: query (B, T, H, D), key and value (B, S, K, D), may_attend (B or 1, 1, T or 1, S), bias (H, T, S) or None
        -> (B, T, H, D).
    Spec: models.attention.scale, models.attention.mask, models.t5.attention
    Source: Vaswani et al. 2017, section 3.2.1; bias: Raffel et al. 2020, section 2.1; shared keys: Ainslie et al. 2023;
        soft cap: Gemma Team 2024, "Gemma 2", section 2
    """
    heads = query.shape[2]
    scores = attention_scores(query, for_heads(key, heads), scale)
    if soft_cap is not None:
        scores = np.tanh(scores / scores.dtype.type(soft_cap)) * scores.dtype.type(soft_cap)
    weights = softmax(scores if bias is None else scores + bias, may_attend)
    if (watch := watcher.get()) is not None:
        watch(weights)
    used = weights if rate == 0.0 else weights * _factors(weights, rate, stream)
    return attention_mix(used, for_heads(value, heads))


@attention.vjp
def _(
    wants: list[bool], query: Array, key: Array, value: Array, may_attend: Array, bias: Array | None, scale: float,
    soft_cap: float | None, rate: float, stream: int,
) -> tuple[Array, Pull]:  # fmt: skip
    """With `a_nts = scale q_nt k_ns`, `u = tanh(a / c)` and scores `s_nts = c u_nts + b_ts`:

    `b'_ts = sum over n of s'_nts`, `a' = s' (1 - u^2)`, `q'_t = scale a'_ts k_s`, `k'_s = scale a'_ts q_t`.
    A key or value that heads share gets the sum of what each of them gives.
    """
    heads, number = query.shape[2], query.dtype.type
    q, k = _heads_first(query), _heads_first(for_heads(key, heads))
    scores = np.matmul(q, k.swapaxes(-1, -2))
    scores *= number(scale)
    bent = None if soft_cap is None else np.tanh(scores / number(soft_cap))
    if bent is not None:
        scores = bent * number(soft_cap)
    if bias is not None:
        scores += bias
    mixed, pull_scores = _softmax_and_mix(scores, for_heads(value, heads), may_attend, rate, stream)

    def pull(g: Array) -> list[Array | None]:
        slope, value_slope = pull_scores(g)
        bias_slope = slope.sum(axis=0) if wants[4] else None
        if bent is not None:
            slope *= number(1.0) - bent * bent
        slope *= number(scale)
        query_slope = np.matmul(slope, k).transpose(0, 2, 1, 3)
        key_slope = np.matmul(slope.swapaxes(-1, -2), q).transpose(0, 2, 1, 3)
        shared = [summed_heads(x, key.shape[2]) for x in (key_slope, value_slope)]
        return [query_slope, *shared, None, bias_slope, None, None, None, None]

    return mixed, pull


def for_heads(x: Array, heads: int) -> Array:
    """The key or value of each head. Shapes: (B, S, K, D) -> (B, S, H, D)."""
    return x if x.shape[2] == heads else np.repeat(x, heads // x.shape[2], axis=2)


def summed_heads(g: Array, heads: int) -> Array:
    """What undoes `for_heads` for gradients. Shapes: (B, S, H, D) -> (B, S, K, D)."""
    return g if g.shape[2] == heads else g.reshape(*g.shape[:2], heads, -1, g.shape[3]).sum(axis=3)


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


def _heads_first(x: Array) -> Array:
    """Shapes: (B, T, H, D) -> (B, H, T, D)."""
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3))


def _factors(weights: Array, rate: float, stream: int) -> Array:
    """The dropout mask, scaled. Shapes: (B, H, T, S)."""
    return keep_mask(weights.shape, rate, stream) * weights.dtype.type(1.0 / (1.0 - rate))
