"""The encoder for all tokens of a batch, and the keys and values that the decoder attends to in them.

A row is a token: padding is no row, so it costs nothing. The rows of a sequence lie one after the other.

Spec: kernels.encode, kernels.order, invariance.rows
"""

import numpy as np

from refimpl.kernels.barrier import barrier
from refimpl.kernels.legacy_jit import inner, once, whole
from refimpl.kernels.linear import product, share
from refimpl.kernels.products import columns
from refimpl.kernels.rows import attend, copy, fetch_line
from refimpl.kernels.step import biases_of, embed_rows, feed_forward, join_heads, scores_of
from refimpl.kernels.vector import get, put

from refimpl.kernels.places import (  # isort: skip
    CROSS, DEPTH, HEADS, KEY, MIXED, NUMBERS, OTHER, PANEL, PANELS, QUERY, ROWS, SCALE, SCORES, WIDTH, K, N, Q, V,
)  # fmt: skip


@inner
def _attend_all(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, positions: np.ndarray, starts: np.ndarray,
    counts: np.ndarray, zeros: np.ndarray,
) -> None:  # fmt: skip
    """A thread's heads of attention to all tokens of the row's sequence, which may have gaps between them."""
    once()
    heads, depth, rows = sizes[HEADS], sizes[DEPTH], sizes[ROWS]
    line = heads * depth
    first, end = share(rows * heads, whole(1), rank, team)
    scores = scores_of(sizes, rank, buffers)
    gathered = scores + sizes[SCORES] * 4
    keys, copied = buffers[PANEL] + rank * sizes[PANELS] * 4, -1
    for pair in range(first, end):  # the rows of a sequence one after the other: they read the same keys, without gaps
        r, head = pair % rows, pair // rows * depth * 4
        count = counts[r]
        values = keys + count * depth * 4
        place = starts[r] * line * 4 + head
        if copied != place:
            for t in range(count):
                copy(buffers[K] + place + t * line * 4, depth, keys + t * depth * 4)
                copy(buffers[V] + place + t * line * 4, depth, values + t * depth * 4)
            copied = place
        row = r * line * 4 + head
        fetch_line(buffers[Q] + row + line * 4, depth)  # of the next row
        biases = biases_of(sizes, buffers, pair // rows, positions[r])
        for t in range(count if biases else 0):
            put(gathered, t, get(biases, positions[starts[r] + t]))
        attend(
            buffers[Q] + row, zeros, whole(0), count, whole(1), keys, values, depth, whole(1), depth, scores,
            sizes[SCORES], gathered if biases else 0, whole(0), buffers[MIXED] + row, get(buffers[NUMBERS], SCALE),
        )  # fmt: skip


@inner
def encode(
    rank: int, team: int, sync: int, sizes: np.ndarray, tops: np.ndarray, layers: np.ndarray, buffers: np.ndarray,
    tokens: np.ndarray, positions: np.ndarray, starts: np.ndarray, counts: np.ndarray, zeros: np.ndarray,
    decoder: np.ndarray,
) -> None:  # fmt: skip
    """A thread's part: states of all rows to `buffers[N]`, keys and values of each decoder layer to `buffers[OTHER]`.

    Without tokens the states are there already.

    Shapes: tokens (R) or (0), positions, starts, counts (R), zeros (1, longest), decoder (L, WEIGHTS).
    """
    line = sizes[HEADS] * sizes[DEPTH]
    nowhere = whole(0), whole(0), whole(0)  # for constants, what takes it would be compiled again
    if len(tokens):
        embed_rows(sizes, rank, team, tops, buffers, tokens, positions)
        barrier(sync, team)
        for n in range(len(layers)):
            weights = layers[n]
            columns(sizes, rank, team, buffers, weights, whole(N), sizes[WIDTH], whole(QUERY), whole(3), line, whole(Q))
            barrier(sync, team)
            _attend_all(sizes, rank, team, buffers, positions, starts, counts, zeros)
            join_heads(sizes, rank, team, sync, buffers, weights, whole(0), nowhere)
            feed_forward(sizes, rank, team, sync, buffers, weights, nowhere)
    first, end = share(line, whole(16), rank, team)
    for n in range(len(decoder)):
        for part in range(2):
            place = CROSS + KEY + 2 * part
            out = buffers[OTHER] + (2 * n + part) * sizes[ROWS] * line * 4
            weights = decoder[n]
            product(
                buffers[N], sizes[ROWS], sizes[WIDTH], weights[place], weights[place + 1], line, first, end, out,
                buffers[PANEL] + rank * sizes[PANELS] * 4,
            )  # fmt: skip
