"""What kernels take: typed arrays in named tuples. A model's weights are read where they lie.

What an architecture does not have is an empty array. A copy is made only of what lies in another order.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba.typed import List

from refimpl.kernels.jit import jit
from refimpl.loading import LOADING

Array = np.ndarray


def typed(array: Array) -> Array:
    """An array as compiled functions are typed for it: in one piece, aligned, writable. Copied if it is not so."""
    return np.require(array, np.float32, ("C", "A", "W"))


NO_VECTOR, NO_MATRIX = np.zeros(0, np.float32), np.zeros((0, 0), np.float32)


class Dense(NamedTuple):
    """A projection. Shapes: kernel (outputs, inputs), bias (outputs) or (0)."""

    kernel: Array = NO_MATRIX
    bias: Array = NO_VECTOR


OWN, SOURCE, FEED_FORWARD = range(3)  # parts of a layer: attention to its own sequence, to the source, and the last


class Block(NamedTuple):
    """A part of a layer: projections from the rows, then one back to them; norms before it, of what it gives, and of
    its sum with the rows. Attention projects to queries, keys and values, of which those of the source are made once;
    a row sees what is at most `reach` positions from its own.

    A norm has two lines, gain and shift; an RMS norm has a gain alone. Shapes: (2, E), (1, E) or, without, (0, 0).
    """

    part: int
    layer: int
    reach: int
    inputs: tuple[Dense, Dense, Dense]
    output: Dense
    before: Array = NO_MATRIX
    within: Array = NO_MATRIX
    after: Array = NO_MATRIX


class Lines(NamedTuple):
    """Keys and values. Shapes: (layers, T, slots, G) or, of one layer, (T, slots, G)."""

    keys: Array
    values: Array


class Kind(NamedTuple):
    """The sizes and scalars of one stack; the scalars are float32, so that sums are."""

    heads: int
    key_value_heads: int
    depth: int
    activation: int
    scale: np.float32
    epsilon: np.float32
    soft_cap: np.float32 = np.float32(0.0)


class Span(NamedTuple):
    """Which lines a row may attend to, from `starts` to before `stops`, and which slot of each.

    Shapes: starts, stops (R), slots (R or 1, lines), positions (lines), all int64.
    """

    starts: Array
    stops: Array
    slots: Array
    positions: Array


class Rows(NamedTuple):
    """A token at a position of a sequence each; the line and slot where its key and value go; what it attends to.

    Shapes: positions, lines, slots (R) int64; spans: of its own sequence and of the source.
    """

    positions: Array
    lines: Array
    slots: Array
    spans: tuple[Span, Span]


class Work(NamedTuple):
    """Arrays that layers read and write. Letters: E hidden, L = heads * depth, G = key and value heads * depth,
    F intermediate.

    Shapes: x, n, y (R, E); projected: queries or what is activated (R, L or F), keys or gate (R, G or F),
        values (R, G); scores (threads, longest); bias (heads, distances) with distance 0 at `origin`, or (heads, 0);
        rotary (positions, depth) or (0, 0).
    """

    x: Array
    n: Array
    y: Array
    projected: tuple[Array, Array, Array]
    scores: Array
    bias: Array
    origin: int
    rotary: Array


class Stack(NamedTuple):
    """Encoder or decoder: its blocks as `listed` gives them; what makes the source's keys and values for each layer of
    the decoder; E and F; how many numbers are multiplied for a row.

    `bias(span)` gives the biases of the distances from -span to span, (H, 2 span + 1); `rotary(length)` cosines and
    sines of so many positions, (length, D).
    """

    blocks: Any
    sources: list[tuple[Dense, Dense]]
    kind: Kind
    width: int
    inner: int
    products: int
    bias: Callable[[int], Array]
    rotary: Callable[[int], Array]


class Model(NamedTuple):
    """All that kernels read of a model; `scope` is what the definition reads of it, for the ends of each stack."""

    encoder: Stack
    decoder: Stack
    scope: Any


def work_of(stack: Stack, rows: int, threads: int, longest: int) -> Work:
    """Working memory for so many rows, and attention to so many positions."""
    kind, inner = stack.kind, stack.inner
    heads, shared = kind.heads * kind.depth, kind.key_value_heads * kind.depth
    x, n, y = (np.zeros((rows, stack.width), np.float32) for _ in range(3))
    one, two, three = (np.zeros((rows, size), np.float32) for size in (max(heads, inner), max(shared, inner), shared))
    span = max(longest - 1, 0)
    scores = np.zeros((threads, longest), np.float32)
    return Work(x, n, y, (one, two, three), scores, stack.bias(span), span, stack.rotary(longest))


@jit
def _list_of(first: Any) -> Any:
    found = List()
    found.append(first)
    return found


@jit
def _append(found: Any, item: Any) -> None:
    found.append(item)


def listed(items: Sequence[Any]) -> Any:
    """Things of one type as compiled code lists them: it gets the whole list as fast as one array."""
    with LOADING:
        found = _list_of(items[0])
        for item in items[1:]:
            _append(found, item)
    return found
