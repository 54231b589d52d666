"""Attention, once for all architectures: what differs between them is a record, and what a query sees a view.

Letters: B batch, S source length, T target length, H heads, K key/value heads, D head width, E hidden.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refimpl.autograd import ops
from refimpl.autograd.dropout import Dropout
from refimpl.models.weights import Scope

Array = Any  # a NumPy array, or a node of the tape that stands for one
KeysValues = tuple[Array, Array]
keep = Dropout()  # no dropout: what inference uses


class View(NamedTuple):
    """What the queries of one attention see.

    Shapes: may_attend (B or 1, 1, T or 1, S), bias (H, T, S), kv two of (B, S, K, D), cache (B, 2, S, K, D).
    """

    may_attend: np.ndarray
    bias: Array | None = None  # added to the scores
    first: int = 0  # the position of the first query
    kv: KeysValues | None = None  # keys and values of another sequence; None: of the queries' own
    cache: np.ndarray | None = None  # where those of the own sequence are kept, and earlier ones stand
    side: str = "encoder"  # the stack whose queries they are

    def within(self, reach: int | None, queries: int) -> "View":
        """The same, of what is at most `reach` positions away; None: of all."""
        if reach is None:
            return self
        near = may_attend_near(queries, self.may_attend.shape[3], self.first, reach)
        return self._replace(may_attend=self.may_attend & near)


@dataclass(frozen=True)
class Attention:
    """Multi-head attention. `names` are those of the four projections.

    `heads` may share fewer `key_value_heads`. As many pairs of numbers of a head as there are `frequencies` are rotated
    by its position: neighbours, or a number of the first half and one of the second.
    """

    heads: int
    head_dim: int
    scale: float
    names: tuple[str, str, str, str] = ("query", "key", "value", "attention_output")
    key_value_heads: int = 0  # 0: as many as heads
    soft_cap: float | None = None
    drops: bool = True  # whether training drops out of what softmax gives
    frequencies: np.ndarray | None = None
    halves: bool = False

    @property
    def cached_heads(self) -> int:
        """The number of heads that keys and values have."""
        return self.key_value_heads or self.heads

    def __call__(self, x: Array, view: View, weights: Scope, drop: Dropout = keep) -> Array:
        """`softmax(scale q k + bias) v`, for each head, then joined by a projection. Shapes: (B, T, E) -> (B, T, E).

        Spec: models.attention.scale, models.attention.mask, models.t5.attention
        Source: Vaswani et al. 2017, section 3.2; Raffel et al. 2020, section 2.1
        """
        query = self._heads(project(x, weights[self.names[0]]), self.heads)
        if view.kv is None:
            query = self._rotated(query, view.first)
        key, value = view.kv or self._kept(self.keys_values(x, weights, view.first), view)
        rate, stream = (drop.rate, drop.stream()) if self.drops else (0.0, 0)
        how = (view.may_attend, view.bias, self.scale, self.soft_cap, rate, stream)
        mixed = ops.attention(query, key, value, *how)  # (B, T, H, D)
        output = weights[self.names[3]]
        if len(output.kernel.shape) == 2:
            mixed = ops.reshape(mixed, (*mixed.shape[:2], self.heads * self.head_dim))
        return project(mixed, output)

    def keys_values(self, y: Array, weights: Scope, first: int | None = None) -> KeysValues:
        """What attention attends to; of its own sequence, keys may be rotated by their positions from `first` on.

        Shapes: y (B, S, E) -> two of (B, S, K, D).
        """
        key, value = (self._heads(project(y, weights[name]), self.cached_heads) for name in self.names[1:3])
        return key if first is None else self._rotated(key, first), value

    def _rotated(self, x: Array, first: int) -> Array:
        """Heads turned as this attention turns them. Shapes: (B, T, H, D) -> (B, T, H, D)."""
        if self.frequencies is None:
            return x
        return rotated(x, first, self.frequencies, ops.rotate if self.halves else ops.rotate_pairs)

    def _kept(self, kv: KeysValues, view: View) -> KeysValues:
        """Keys and values of the own sequence, with those of earlier positions if there is a cache."""
        if view.cache is None:
            return kv
        view.cache[:, :, view.first : view.first + kv[0].shape[1]] = np.stack(kv, axis=1)
        return view.cache[:, 0], view.cache[:, 1]

    def _heads(self, x: Array, heads: int) -> Array:
        """Shapes: (B, T, H * D) or (B, T, H, D) -> (B, T, H, D)."""
        return x if len(x.shape) == 4 else ops.reshape(x, (*x.shape[:2], heads, self.head_dim))


def project(x: Array, weights: Scope) -> Array:
    """`x W`, and `+ b` where there is a bias. The kernel's first axes are those of x after batch and length."""
    if "bias" in weights:
        return ops.linear(x, weights.kernel, weights.bias)
    kernel, inner = weights.kernel, x.shape[2:]
    if len(kernel.shape) == 2:
        return ops.project(x, kernel)
    outer = kernel.shape[len(inner) :]
    flat = ops.reshape(kernel, (math.prod(inner), math.prod(outer)))
    return ops.reshape(ops.project(ops.reshape(x, (*x.shape[:2], -1)), flat), (*x.shape[:2], *outer))


def rotated(x: Array, first: int, frequencies: np.ndarray, turn: Callable[[Array, Array, Array], Array]) -> Array:
    """Heads turned by their positions from `first` on. Angles are products in double precision, in the type of x from
    there on. Shapes: (B, T, H, D) -> (B, T, H, D).

    Spec: models.t5gemma.rotary, models.moonshine.rotary
    """
    angles = np.arange(first, first + x.shape[1])[:, None] * frequencies
    return turn(x, np.cos(angles).astype(x.dtype), np.sin(angles).astype(x.dtype))


def may_attend_tokens(padding_mask: np.ndarray) -> np.ndarray:
    """Every position may attend to every token and to no padding. Shapes: (B, S) -> (B, 1, 1, S) bool."""
    return np.asarray(padding_mask).astype(bool)[:, None, None, :]


def may_attend_past(queries: int, keys: int, first: int) -> np.ndarray:
    """Position `first + t` may attend to the positions up to itself. Shapes: -> (1, 1, queries, keys) bool."""
    return (np.arange(keys) <= first + np.arange(queries)[:, None])[None, None]


def may_attend_near(queries: int, keys: int, first: int, reach: int) -> np.ndarray:
    """A position may attend to those at most `reach` away. Shapes: -> (1, 1, queries, keys) bool.

    Spec: models.t5gemma.window
    """
    return (np.abs(np.arange(keys) - first - np.arange(queries)[:, None]) <= reach)[None, None]
