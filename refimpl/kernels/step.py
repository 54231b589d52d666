"""One decoder step for all layers and rows, compiled once for all sizes and run by every thread of a team.

A row is a token at a position of a sequence, so the columns of a prompt are rows of one step as well. Threads share
each stage by columns or by rows, and wait for each other between stages; who computed a number does not change it.

Spec: kernels.step, kernels.order
"""

import numpy as np

from refimpl.kernels.barrier import barrier, barrier_and_fetch
from refimpl.kernels.legacy_jit import call_at, inner, once, whole
from refimpl.kernels.linear import share
from refimpl.kernels.products import NOWHERE, columns, columns_of, finish, lines_of, multiply, own_lines
from refimpl.kernels.rows import activate, add_and_norm, add_and_rms_norm, attend, copy, scale_row, times
from refimpl.kernels.unembed import unembed
from refimpl.kernels.vector import get, put

from refimpl.kernels.places import (  # isort: skip
    ACTIVATION, BETA, BIAS, CROSS, DEPTH, EPSILON, FIRST, GAMMA, GATED, HEAD, HEAD_SCALE, HEADS, INNER, LAST_NORM,
    LAYERS, LISTED, LOGITS, MIXED, NORM, NUMBERS, ORIGIN, OTHER, OUT, OWN, OWN_HEAD, PARTS, PARTS_OUT, PARTS_SECOND,
    POSITION, POSITIONS, QUERY, RMS, ROWS, SCALE, SCORES, SECOND, SLOTS, SOURCE, SPAN, TOKEN, VOCABULARY, WIDTH, G, H,
    K, N, Q, S, V, X, Y,
)  # fmt: skip


@inner
def join_heads(
    sizes: np.ndarray, rank: int, team: int, sync: int, buffers: np.ndarray, weights: np.ndarray, place: int,
    following: tuple[int, int, int],
) -> None:  # fmt: skip
    """Project attention's result back, add it to the row and normalize. Then the lines `following` will be read."""
    once()
    inputs = sizes[HEADS] * sizes[DEPTH]
    if not own_lines(sizes, team, inputs, sizes[DEPTH]):
        barrier(sync, team)
    multiply(
        sizes, rank, team, buffers, weights, whole(MIXED), inputs, place + OUT, whole(1), sizes[WIDTH], whole(Y),
        whole(PARTS_OUT),
    )  # fmt: skip
    barrier_and_fetch(sync, team, *following)
    _norm(sizes, rank, team, buffers, weights, inputs, place + OUT, place + NORM, whole(PARTS_OUT))
    barrier_and_fetch(sync, team, *following)


@inner
def _norm_row(sizes: np.ndarray, buffers: np.ndarray, r: int, y: int, gain: int, shift: int) -> None:
    """Add `y`, unless its address is 0, to row `r`, and normalize the sum."""
    once()
    width, epsilon = sizes[WIDTH], get(buffers[NUMBERS], EPSILON)
    x = buffers[X] + r * width * 4
    if sizes[RMS]:
        add_and_rms_norm(x, y, gain, width, epsilon, buffers[N] + r * width * 4)
    else:
        add_and_norm(x, y, gain, shift, width, epsilon)


@inner
def _norm(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, weights: np.ndarray, inputs: int, place: int,
    norm: int, parts: int,
) -> None:  # fmt: skip
    """A thread's rows of `x + y` and its norm, where y is the product with the weights at `place`."""
    once()
    width = sizes[WIDTH]
    first, end = share(sizes[ROWS], whole(1), rank, team)
    for r in range(first, end):
        finish(
            sizes, team, buffers, weights, inputs, place, whole(0), whole(1), width, r, whole(0), width, whole(Y), parts
        )
        _norm_row(sizes, buffers, r, buffers[Y] + r * width * 4, weights[norm], weights[norm + 1])


@inner
def embed_rows(
    sizes: np.ndarray, rank: int, team: int, tops: np.ndarray, buffers: np.ndarray, tokens: np.ndarray,
    positions: np.ndarray,
) -> None:  # fmt: skip
    """A thread's rows of token, plus position where there is a table of them, and their norm."""
    once()
    width = sizes[WIDTH]
    first, end = share(sizes[ROWS], whole(1), rank, team)
    for r in range(first, end):
        row = buffers[X] + r * width * 4
        token, position = tops[TOKEN] + tokens[r] * width * 4, tops[POSITION] + positions[r] * width * 4
        for i in range(width):
            put(row, i, get(token, i) + get(position, i) if tops[POSITION] else get(token, i))
        _norm_row(sizes, buffers, r, whole(0), tops[GAMMA], tops[BETA])


@inner
def scores_of(sizes: np.ndarray, rank: int, buffers: np.ndarray) -> int:
    """Where a thread keeps attention's weights: a line for each head, and one more."""
    return buffers[S] + rank * (sizes[HEADS] + 1) * sizes[SCORES] * 4


@inner
def biases_of(sizes: np.ndarray, buffers: np.ndarray, head: int, position: int) -> int:
    """Where the biases of a query at a position begin: there is that of the key at position 0. Address 0 if none."""
    if not sizes[SPAN]:
        return 0
    return buffers[BIAS] + (head * sizes[SPAN] + sizes[ORIGIN] - position) * 4


@inner
def _remember(
    sizes: np.ndarray, buffers: np.ndarray, keys: int, half: int, r: int, slot: int, first: int, end: int
) -> None:
    """Copy columns of a row's new key and value to the cache."""
    once()
    line = sizes[HEADS] * sizes[DEPTH]
    new, place = (r * line + first) * 4, (slot * line + first) * 4
    copy(buffers[K] + new, end - first, keys + place)
    copy(buffers[V] + new, end - first, keys + half + place)


@inner
def _attend_own(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, weights: np.ndarray, layer: int,
    positions: np.ndarray, table: np.ndarray,
) -> None:  # fmt: skip
    """A thread's heads of attention to what was said: positions up to the row's own, whose key and value are kept."""
    once()
    depth = sizes[DEPTH]
    line = sizes[HEADS] * depth
    half = sizes[POSITIONS] * sizes[SLOTS] * line * 4
    keys = buffers[OWN] + 2 * layer * half
    first, end = share(line, depth, rank, team)
    for r in range(sizes[ROWS]):
        for n in range(3):
            finish(
                sizes, team, buffers, weights, sizes[WIDTH], whole(QUERY), n, whole(3), line, r, first, end, whole(Q),
                whole(PARTS),
            )  # fmt: skip
        slot = positions[r] * sizes[SLOTS] + table[r, positions[r]]
        _remember(sizes, buffers, keys, half, r, slot, first, end)
    keys += first * 4
    for r in range(sizes[ROWS]):
        row = (r * line + first) * 4
        attend(
            buffers[Q] + row, table, r, positions[r] + 1, sizes[SLOTS], keys, keys + half, line, (end - first) // depth,
            depth, scores_of(sizes, rank, buffers), sizes[SCORES],
            biases_of(sizes, buffers, first // depth, positions[r]), sizes[SPAN], buffers[MIXED] + row,
            get(buffers[NUMBERS], SCALE),
        )  # fmt: skip


@inner
def _attend_source(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, weights: np.ndarray, layer: int, starts: np.ndarray,
    counts: np.ndarray, zeros: np.ndarray,
) -> None:  # fmt: skip
    """A thread's heads of attention to the source's tokens, which lie without gaps."""
    once()
    depth = sizes[DEPTH]
    line = sizes[HEADS] * depth
    block = sizes[SOURCE] * line * 4
    first, end = share(line, depth, rank, team)
    for r in range(sizes[ROWS]):
        finish(
            sizes, team, buffers, weights, sizes[WIDTH], whole(CROSS), whole(0), whole(1), line, r, first, end,
            whole(Q), whole(PARTS),
        )  # fmt: skip
        row = (r * line + first) * 4
        keys = buffers[OTHER] + 2 * layer * block + (starts[r] * line + first) * 4
        attend(
            buffers[Q] + row, zeros, whole(0), counts[r], whole(1), keys, keys + block, line, (end - first) // depth,
            depth, scores_of(sizes, rank, buffers), sizes[SCORES], whole(0), whole(0), buffers[MIXED] + row,
            get(buffers[NUMBERS], SCALE),
        )  # fmt: skip


@inner
def feed_forward(
    sizes: np.ndarray, rank: int, team: int, sync: int, buffers: np.ndarray, weights: np.ndarray,
    following: tuple[int, int, int],
) -> None:  # fmt: skip
    """Widen, activate, multiply by the gate if there is one, narrow, add and normalize."""
    once()
    width, inner = sizes[WIDTH], sizes[INNER]
    columns(sizes, rank, team, buffers, weights, whole(N), width, whole(FIRST), 1 + sizes[GATED], inner, whole(H))
    first, end = share(inner, whole(16), rank, team)
    for r in range(sizes[ROWS]):
        place = (r * inner + first) * 4
        activate(sizes[ACTIVATION], buffers[H] + place, end - first, scores_of(sizes, rank, buffers))
        if sizes[GATED]:
            times(buffers[H] + place, buffers[G] + place, end - first)
    if not own_lines(sizes, team, inner, whole(16)):
        barrier(sync, team)
    multiply(
        sizes, rank, team, buffers, weights, whole(H), inner, whole(SECOND), whole(1), width, whole(Y),
        whole(PARTS_SECOND),
    )  # fmt: skip
    barrier_and_fetch(sync, team, *following)
    _norm(sizes, rank, team, buffers, weights, inner, whole(SECOND), whole(LAST_NORM), whole(PARTS_SECOND))
    barrier_and_fetch(sync, team, *following)


@inner
def score(
    sizes: np.ndarray, rank: int, team: int, sync: int, tops: np.ndarray, buffers: np.ndarray, all_tokens: int
) -> None:
    """A thread's tokens of the logits; or what may be chosen of them, if tokens are chosen from a short list."""
    once()
    rows, width, vocabulary = sizes[ROWS], sizes[WIDTH], sizes[VOCABULARY]
    states, scale = buffers[N], get(buffers[NUMBERS], HEAD_SCALE)
    if scale != 1.0:
        first, end = share(rows, whole(1), rank, team)
        for r in range(first, end):
            scale_row(states + r * width * 4, scale, width, buffers[Y] + r * width * 4)
        barrier(sync, team)
        states = buffers[Y]
    if sizes[OWN_HEAD]:
        columns(sizes, rank, team, buffers, tops, whole(N), width, whole(HEAD), whole(1), vocabulary, whole(LOGITS))
    elif sizes[LISTED] and not all_tokens:
        call_at(sizes[LISTED], rank, team, sizes.ctypes.data, tops.ctypes.data, buffers.ctypes.data, states)
    else:
        first, end = share(vocabulary, whole(4), rank, team)
        unembed(states, rows, width, tops[HEAD], vocabulary, first, end, buffers[LOGITS])


@inner
def step(
    rank: int, team: int, sync: int, sizes: np.ndarray, tops: np.ndarray, layers: np.ndarray, buffers: np.ndarray,
    tokens: np.ndarray, positions: np.ndarray, table: np.ndarray, starts: np.ndarray, counts: np.ndarray,
    zeros: np.ndarray,
) -> None:  # fmt: skip
    """The thread `rank`'s part of a step: states of all rows to `buffers[N]`, logits if there is a place for them.

    `starts` and `counts` say which lines of `buffers[OTHER]` are the row's source.

    Shapes: tokens, positions, starts, counts (R), table (R, T), zeros (1, longest), layers (L, WEIGHTS).
    """
    width, line = sizes[WIDTH], sizes[HEADS] * sizes[DEPTH]
    embed_rows(sizes, rank, team, tops, buffers, tokens, positions)
    barrier(sync, team)
    for n in range(sizes[LAYERS]):
        weights = layers[n]
        multiply(
            sizes, rank, team, buffers, weights, whole(N), width, whole(QUERY), whole(3), line, whole(Q), whole(PARTS)
        )
        barrier_and_fetch(sync, team, *lines_of(sizes, rank, team, weights, whole(OUT), line, whole(1), width))
        _attend_own(sizes, rank, team, buffers, weights, n, positions, table)
        following = lines_of(sizes, rank, team, weights, whole(CROSS), width, whole(1), line)
        join_heads(sizes, rank, team, sync, buffers, weights, whole(0), following)
        multiply(
            sizes, rank, team, buffers, weights, whole(N), width, whole(CROSS), whole(1), line, whole(Q), whole(PARTS)
        )
        barrier_and_fetch(sync, team, *lines_of(sizes, rank, team, weights, whole(CROSS + OUT), line, whole(1), width))
        _attend_source(sizes, rank, team, buffers, weights, n, starts, counts, zeros)
        following = columns_of(sizes, rank, team, weights, whole(FIRST), sizes[INNER])
        join_heads(sizes, rank, team, sync, buffers, weights, whole(CROSS), following)
        following = NOWHERE
        if n + 1 < sizes[LAYERS]:
            following = lines_of(sizes, rank, team, layers[n + 1], whole(QUERY), width, whole(3), line)
        feed_forward(sizes, rank, team, sync, buffers, weights, following)
    if buffers[LOGITS]:
        score(sizes, rank, team, sync, tops, buffers, whole(0))
