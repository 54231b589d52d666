"""The encoder for all tokens of a batch, and the keys and values that the decoder attends to in them.

A row is a token: padding is no row, so it costs nothing. The rows of a sequence lie one after the other.

Spec: kernels.encode, kernels.order, invariance.rows
"""

import numpy as np

from refimpl.kernels.barrier import barrier
from refimpl.kernels.jit import inner, once, whole
from refimpl.kernels.linear import product, share
from refimpl.kernels.rows import attend
from refimpl.kernels.step import biases_of, embed_rows, feed_forward, join_heads, multiply
from refimpl.kernels.vector import get, put

from refimpl.kernels.places import (  # isort: skip
    CROSS, DEPTH, HEADS, KEY, MIXED, NUMBERS, OTHER, PANEL, PANELS, QUERY, ROWS, SCALE, SCORES, SPAN, WIDTH, K, N,
    Q, S, V,
)  # fmt: skip


@inner
def _attend_all(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, positions: np.ndarray, starts: np.ndarray,
    counts: np.ndarray, zeros: np.ndarray,
) -> None:  # fmt: skip
    """A thread's heads of attention to all tokens of the row's sequence, which may have gaps between them."""
    once()
    heads, depth = sizes[HEADS], sizes[DEPTH]
    line = heads * depth
    first, end = share(sizes[ROWS] * heads, whole(1), rank, team)
    scores = buffers[S] + rank * sizes[SCORES] * 4
    for pair in range(first, end):
        r, head = pair // heads, pair % heads * depth * 4
        place = starts[r] * line * 4 + head
        row = r * line * 4 + head
        biases = biases_of(sizes, buffers, pair % heads, positions[r])
        for t in range(counts[r] if sizes[SPAN] else 0):
            put(scores, t, get(biases, positions[starts[r] + t]))
        attend(
            buffers[Q] + row, zeros, whole(0), counts[r], whole(1), buffers[K] + place, buffers[V] + place, line, depth,
            scores, buffers[MIXED] + row, get(buffers[NUMBERS], SCALE), sizes[SPAN],
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
    if len(tokens):
        embed_rows(sizes, rank, team, tops, buffers, tokens, positions)
        barrier(sync, team)
        for n in range(len(layers)):
            weights = layers[n]
            multiply(
                sizes, rank, team, buffers, weights, whole(N), sizes[WIDTH], whole(QUERY), whole(3), line, whole(Q)
            )
            barrier(sync, team)
            _attend_all(sizes, rank, team, buffers, positions, starts, counts, zeros)
            barrier(sync, team)
            join_heads(sizes, rank, team, sync, buffers, weights, whole(0))
            feed_forward(sizes, rank, team, sync, buffers, weights)
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
