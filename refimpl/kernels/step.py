"""One decoder step for all layers and rows, compiled once for all sizes and run by every thread of a team.

A row is a token at a position of a sequence, so the columns of a prompt are rows of one step as well. Threads share
each stage by columns or by rows, and wait for each other between stages; who computed a number does not change it.

Spec: kernels.step, kernels.order
"""

import numpy as np

from refimpl.kernels.barrier import barrier
from refimpl.kernels.jit import entry, inner, once, whole
from refimpl.kernels.linear import linear, share, unembed
from refimpl.kernels.rows import activate, add_and_norm, attend
from refimpl.kernels.vector import get, put

# Places in `sizes`.
ROWS, WIDTH, HEADS, DEPTH, INNER, VOCABULARY, LAYERS, POSITIONS, SLOTS, SOURCE, ACTIVATION, SCORES, SIZES = range(13)
# Places in `tops` and in the rows of `layers`: addresses of weights.
TOKEN, POSITION, GAMMA, BETA, HEAD = range(5)
QUERY, KEY, VALUE, OUT, NORM = 0, 2, 4, 6, 8  # kernel and bias, or gamma and beta; self-attention
CROSS, FIRST, SECOND, LAST_NORM, WEIGHTS = 10, 20, 22, 24, 26
# Places in `buffers`: addresses of what the step reads and writes.
X, Q, K, V, MIXED, Y, H, S, OWN, OTHER, LOGITS, PACKED, BUFFERS = range(13)
_EPSILON = 1e-5


@inner
def packed_of(sizes: np.ndarray, rank: int, buffers: np.ndarray) -> int:
    """A thread's own room for the rows of a product."""
    return buffers[PACKED] + rank * sizes[ROWS] * max(sizes[INNER], sizes[WIDTH], sizes[HEADS] * sizes[DEPTH]) * 4


@inner
def project(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, weights: np.ndarray, place: int, y: int
) -> None:
    """A thread's columns of a projection from the model's width to all heads."""
    once()
    outputs = sizes[HEADS] * sizes[DEPTH]
    first, end = share(outputs, whole(16), rank, team)
    packed = packed_of(sizes, rank, buffers)
    linear(
        buffers[X], sizes[ROWS], sizes[WIDTH], weights[place], weights[place + 1], outputs, first, end, y, packed
    )  # fmt: skip


@inner
def join_heads(
    sizes: np.ndarray, rank: int, team: int, sync: int, buffers: np.ndarray, weights: np.ndarray, place: int
) -> None:
    """Project attention's result back, add it to the row and normalize."""
    once()
    inputs = sizes[HEADS] * sizes[DEPTH]
    first, end = share(sizes[WIDTH], whole(16), rank, team)
    linear(
        buffers[MIXED], sizes[ROWS], inputs, weights[place + OUT], weights[place + OUT + 1], sizes[WIDTH],
        first, end, buffers[Y], packed_of(sizes, rank, buffers),
    )  # fmt: skip
    barrier(sync, team)
    _norm(sizes, rank, team, buffers, weights[place + NORM], weights[place + NORM + 1])
    barrier(sync, team)


@inner
def _norm(sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, gamma: int, beta: int) -> None:
    """A thread's rows of `x = norm(x + y)`."""
    once()
    width = sizes[WIDTH]
    first, end = share(sizes[ROWS], whole(1), rank, team)
    for r in range(first, end):
        add_and_norm(buffers[X] + r * width * 4, buffers[Y] + r * width * 4, gamma, beta, width, _EPSILON)


@inner
def embed_rows(
    sizes: np.ndarray, rank: int, team: int, tops: np.ndarray, x: int, tokens: np.ndarray, positions: np.ndarray
) -> None:
    """A thread's rows of token plus position, normalized."""
    once()
    width = sizes[WIDTH]
    first, end = share(sizes[ROWS], whole(1), rank, team)
    for r in range(first, end):
        row = x + r * width * 4
        token, position = tops[TOKEN] + tokens[r] * width * 4, tops[POSITION] + positions[r] * width * 4
        for i in range(width):
            put(row, i, get(token, i) + get(position, i))
        add_and_norm(row, whole(0), tops[GAMMA], tops[BETA], width, _EPSILON)


@inner
def _remember(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, layer: int, positions: np.ndarray, table: np.ndarray
) -> None:
    """Copy a thread's columns of the new keys and values to the cache."""
    once()
    line = sizes[HEADS] * sizes[DEPTH]
    first, end = share(line, whole(16), rank, team)
    half = sizes[POSITIONS] * sizes[SLOTS] * line * 4
    keys = buffers[OWN] + 2 * layer * half
    for r in range(sizes[ROWS]):
        place = (positions[r] * sizes[SLOTS] + table[r, positions[r]]) * line
        for i in range(first, end):
            put(keys, place + i, get(buffers[K], r * line + i))
            put(keys + half, place + i, get(buffers[V], r * line + i))


@inner
def _attend_own(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, layer: int, positions: np.ndarray, table: np.ndarray
) -> None:
    """A thread's heads of attention to what was said: positions up to the row's own."""
    once()
    heads, depth = sizes[HEADS], sizes[DEPTH]
    line = heads * depth
    half = sizes[POSITIONS] * sizes[SLOTS] * line * 4
    keys = buffers[OWN] + 2 * layer * half
    first, end = share(sizes[ROWS] * heads, whole(1), rank, team)
    scores = buffers[S] + rank * sizes[SCORES] * 4
    for pair in range(first, end):
        r, head = pair // heads, pair % heads * depth * 4
        row = r * line * 4 + head
        attend(
            buffers[Q] + row, table, r, positions[r] + 1, sizes[SLOTS], keys + head, keys + half + head, line, depth,
            scores, buffers[MIXED] + row,
        )  # fmt: skip


@inner
def _attend_source(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, layer: int, starts: np.ndarray, counts: np.ndarray,
    zeros: np.ndarray,
) -> None:  # fmt: skip
    """A thread's heads of attention to the source's tokens, which lie without gaps."""
    once()
    heads, depth = sizes[HEADS], sizes[DEPTH]
    line = heads * depth
    block = sizes[SOURCE] * line * 4
    first, end = share(sizes[ROWS] * heads, whole(1), rank, team)
    scores = buffers[S] + rank * sizes[SCORES] * 4
    for pair in range(first, end):
        r, head = pair // heads, pair % heads * depth * 4
        row = r * line * 4 + head
        keys = buffers[OTHER] + 2 * layer * block + starts[r] * line * 4 + head
        attend(
            buffers[Q] + row, zeros, whole(0), counts[r], whole(1), keys, keys + block, line, depth, scores,
            buffers[MIXED] + row,
        )  # fmt: skip


@inner
def feed_forward(sizes: np.ndarray, rank: int, team: int, sync: int, buffers: np.ndarray, weights: np.ndarray) -> None:
    """Widen, activate, narrow, add and normalize."""
    once()
    rows, width, inner = sizes[ROWS], sizes[WIDTH], sizes[INNER]
    packed = packed_of(sizes, rank, buffers)
    first, end = share(inner, whole(16), rank, team)
    linear(buffers[X], rows, width, weights[FIRST], weights[FIRST + 1], inner, first, end, buffers[H], packed)
    for r in range(rows):
        activate(sizes[ACTIVATION], buffers[H] + (r * inner + first) * 4, end - first, packed)
    barrier(sync, team)
    first, end = share(width, whole(16), rank, team)
    linear(buffers[H], rows, inner, weights[SECOND], weights[SECOND + 1], width, first, end, buffers[Y], packed)
    barrier(sync, team)
    _norm(sizes, rank, team, buffers, weights[LAST_NORM], weights[LAST_NORM + 1])
    barrier(sync, team)


@entry
def step(
    rank: int, team: int, sync: int, sizes: np.ndarray, tops: np.ndarray, layers: np.ndarray, buffers: np.ndarray,
    tokens: np.ndarray, positions: np.ndarray, table: np.ndarray, starts: np.ndarray, counts: np.ndarray,
    zeros: np.ndarray,
) -> None:  # fmt: skip
    """The thread `rank`'s part of a step: states of all rows to `buffers[X]`, logits if there is a place for them.

    `starts` and `counts` say which lines of `buffers[OTHER]` are the row's source.

    Shapes: tokens, positions, starts, counts (R), table (R, T), zeros (1, longest), layers (L, WEIGHTS).
    """
    embed_rows(sizes, rank, team, tops, buffers[X], tokens, positions)
    barrier(sync, team)
    for n in range(sizes[LAYERS]):
        weights = layers[n]
        project(sizes, rank, team, buffers, weights, whole(QUERY), buffers[Q])
        project(sizes, rank, team, buffers, weights, whole(KEY), buffers[K])
        project(sizes, rank, team, buffers, weights, whole(VALUE), buffers[V])
        _remember(sizes, rank, team, buffers, n, positions, table)
        barrier(sync, team)
        _attend_own(sizes, rank, team, buffers, n, positions, table)
        barrier(sync, team)
        join_heads(sizes, rank, team, sync, buffers, weights, whole(0))
        project(sizes, rank, team, buffers, weights, whole(CROSS), buffers[Q])
        barrier(sync, team)
        _attend_source(sizes, rank, team, buffers, n, starts, counts, zeros)
        barrier(sync, team)
        join_heads(sizes, rank, team, sync, buffers, weights, whole(CROSS))
        feed_forward(sizes, rank, team, sync, buffers, weights)
    if buffers[LOGITS]:
        rows, width, vocabulary = sizes[ROWS], sizes[WIDTH], sizes[VOCABULARY]
        first, end = share(vocabulary, whole(4), rank, team)
        unembed(buffers[X], rows, width, tops[HEAD], vocabulary, first, end, buffers[LOGITS])
