"""One decoder step for all layers and rows, compiled once for all sizes and run by every thread of a team.

A row is a token at a position of a sequence, so the columns of a prompt are rows of one step as well. Threads share
each stage by columns or by rows, and wait for each other between stages; who computed a number does not change it.

Spec: kernels.step, kernels.order
"""

import numpy as np

from refimpl.kernels.barrier import barrier
from refimpl.kernels.jit import inner, once, whole
from refimpl.kernels.linear import add_parts, padded, part_product, parts_of, product, share
from refimpl.kernels.rows import activate, add_and_norm, add_and_rms_norm, attend, scale_row, times
from refimpl.kernels.unembed import unembed
from refimpl.kernels.vector import get, put

from refimpl.kernels.places import (  # isort: skip
    ROWS, WIDTH, HEADS, DEPTH, INNER, VOCABULARY, LAYERS, POSITIONS, SLOTS, SOURCE, ACTIVATION, SCORES, PANELS, FEW,
    GATED, RMS, OWN_HEAD, SPAN, ORIGIN, TOKEN, POSITION, GAMMA, BETA, HEAD, QUERY, OUT, NORM, CROSS, FIRST, SECOND,
    LAST_NORM, X, N, Q, K, V, MIXED, Y, H, G, S, OWN, OTHER, LOGITS, PARTS, PANEL, BIAS, NUMBERS, EPSILON,
    SCALE, HEAD_SCALE,
)  # fmt: skip


@inner
def multiply(
    sizes: np.ndarray, rank: int, team: int, buffers: np.ndarray, weights: np.ndarray, x: int, inputs: int, place: int,
    count: int, outputs: int, y: int,
) -> None:  # fmt: skip
    """A thread's part of `count` products of the same rows, from `buffers[x]` to `buffers[y]` and the places after it.

    Where rows are few, parts of sums are left in `buffers[PARTS]`, and `finish` adds them, after a barrier.
    """
    once()
    rows = sizes[ROWS]
    if sizes[FEW]:
        parts = parts_of(inputs)
        first, end = share(count * parts, whole(1), rank, team)
        for n in range(first, end):
            kernel, sums = weights[place + n // parts * 2], buffers[PARTS] + n * rows * padded(outputs) * 4
            part_product(buffers[x], rows, inputs, kernel, outputs, n % parts, sums)
    else:
        first, end = share(outputs, whole(16), rank, team)
        panel = buffers[PANEL] + rank * sizes[PANELS] * 4
        for n in range(count):
            kernel, bias = weights[place + n * 2], weights[place + n * 2 + 1]
            product(buffers[x], rows, inputs, kernel, bias, outputs, first, end, buffers[y + n], panel)


@inner
def finish(
    sizes: np.ndarray, buffers: np.ndarray, weights: np.ndarray, inputs: int, place: int, n: int, outputs: int, r: int,
    first: int, end: int, y: int,
) -> None:  # fmt: skip
    """Columns `first` to `end` of row `r` of the product `n` that `multiply` began, to `buffers[y + n]`."""
    once()
    if sizes[FEW]:
        rows = sizes[ROWS]
        sums = buffers[PARTS] + n * parts_of(inputs) * rows * padded(outputs) * 4
        out = buffers[y + n] + r * outputs * 4
        add_parts(sums, rows, inputs, outputs, weights[place + 2 * n + 1], r, first, end, out)


@inner
def join_heads(
    sizes: np.ndarray, rank: int, team: int, sync: int, buffers: np.ndarray, weights: np.ndarray, place: int
) -> None:
    """Project attention's result back, add it to the row and normalize."""
    once()
    inputs = sizes[HEADS] * sizes[DEPTH]
    multiply(sizes, rank, team, buffers, weights, whole(MIXED), inputs, place + OUT, whole(1), sizes[WIDTH], whole(Y))
    barrier(sync, team)
    _norm(sizes, rank, team, buffers, weights, inputs, place + OUT, place + NORM)
    barrier(sync, team)


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
    norm: int,
) -> None:  # fmt: skip
    """A thread's rows of `x + y` and its norm, where y is the product with the weights at `place`."""
    once()
    width = sizes[WIDTH]
    first, end = share(sizes[ROWS], whole(1), rank, team)
    for r in range(first, end):
        finish(sizes, buffers, weights, inputs, place, whole(0), width, r, whole(0), width, whole(Y))
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
def biases_of(sizes: np.ndarray, buffers: np.ndarray, head: int, position: int) -> int:
    """Where the biases of a query at a position begin: there is that of the key at position 0."""
    return buffers[BIAS] + (head * sizes[SPAN] + sizes[ORIGIN] - position) * 4


@inner
def _remember(
    sizes: np.ndarray, buffers: np.ndarray, keys: int, half: int, r: int, slot: int, first: int, end: int
) -> None:
    """Copy columns of a row's new key and value to the cache."""
    once()
    line = sizes[HEADS] * sizes[DEPTH]
    for i in range(first, end):
        put(keys, slot * line + i, get(buffers[K], r * line + i))
        put(keys + half, slot * line + i, get(buffers[V], r * line + i))


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
    scores = buffers[S] + rank * sizes[SCORES] * 4
    for r in range(sizes[ROWS]):
        for n in range(3):
            finish(sizes, buffers, weights, sizes[WIDTH], whole(QUERY), n, line, r, first, end, whole(Q))
        slot = positions[r] * sizes[SLOTS] + table[r, positions[r]]
        _remember(sizes, buffers, keys, half, r, slot, first, end)
    for r in range(sizes[ROWS]):
        for i in range(first, end, depth):
            row, head = (r * line + i) * 4, i * 4
            biases = biases_of(sizes, buffers, i // depth, positions[r])
            for t in range(positions[r] + 1 if sizes[SPAN] else 0):
                put(scores, t, get(biases, t))
            attend(
                buffers[Q] + row, table, r, positions[r] + 1, sizes[SLOTS], keys + head, keys + half + head, line,
                depth, scores, buffers[MIXED] + row, get(buffers[NUMBERS], SCALE), sizes[SPAN],
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
    scores = buffers[S] + rank * sizes[SCORES] * 4
    for r in range(sizes[ROWS]):
        finish(sizes, buffers, weights, sizes[WIDTH], whole(CROSS), whole(0), line, r, first, end, whole(Q))
        for i in range(first, end, depth):
            row = (r * line + i) * 4
            keys = buffers[OTHER] + 2 * layer * block + (starts[r] * line + i) * 4
            attend(
                buffers[Q] + row, zeros, whole(0), counts[r], whole(1), keys, keys + block, line, depth, scores,
                buffers[MIXED] + row, get(buffers[NUMBERS], SCALE), whole(0),
            )  # fmt: skip


@inner
def feed_forward(sizes: np.ndarray, rank: int, team: int, sync: int, buffers: np.ndarray, weights: np.ndarray) -> None:
    """Widen, activate, multiply by the gate if there is one, narrow, add and normalize."""
    once()
    width, inner = sizes[WIDTH], sizes[INNER]
    multiply(sizes, rank, team, buffers, weights, whole(N), width, whole(FIRST), 1 + sizes[GATED], inner, whole(H))
    if sizes[FEW]:
        barrier(sync, team)
    first, end = share(inner, whole(16), rank, team)
    for r in range(sizes[ROWS]):
        finish(sizes, buffers, weights, width, whole(FIRST), whole(0), inner, r, first, end, whole(H))
        spare = buffers[S] + rank * sizes[SCORES] * 4
        place = (r * inner + first) * 4
        activate(sizes[ACTIVATION], buffers[H] + place, end - first, spare)
        if sizes[GATED]:
            finish(sizes, buffers, weights, width, whole(FIRST), whole(1), inner, r, first, end, whole(H))
            times(buffers[H] + place, buffers[G] + place, end - first)
    barrier(sync, team)
    multiply(sizes, rank, team, buffers, weights, whole(H), inner, whole(SECOND), whole(1), width, whole(Y))
    barrier(sync, team)
    _norm(sizes, rank, team, buffers, weights, inner, whole(SECOND), whole(LAST_NORM))
    barrier(sync, team)


@inner
def _score(sizes: np.ndarray, rank: int, team: int, sync: int, tops: np.ndarray, buffers: np.ndarray) -> None:
    """A thread's tokens of the logits."""
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
        multiply(sizes, rank, team, buffers, tops, whole(N), width, whole(HEAD), whole(1), vocabulary, whole(LOGITS))
        if sizes[FEW]:
            barrier(sync, team)
        first, end = share(vocabulary, whole(16), rank, team)
        for r in range(rows):
            finish(sizes, buffers, tops, width, whole(HEAD), whole(0), vocabulary, r, first, end, whole(LOGITS))
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
        multiply(sizes, rank, team, buffers, weights, whole(N), width, whole(QUERY), whole(3), line, whole(Q))
        barrier(sync, team)
        _attend_own(sizes, rank, team, buffers, weights, n, positions, table)
        barrier(sync, team)
        join_heads(sizes, rank, team, sync, buffers, weights, whole(0))
        multiply(sizes, rank, team, buffers, weights, whole(N), width, whole(CROSS), whole(1), line, whole(Q))
        barrier(sync, team)
        _attend_source(sizes, rank, team, buffers, weights, n, starts, counts, zeros)
        barrier(sync, team)
        join_heads(sizes, rank, team, sync, buffers, weights, whole(CROSS))
        feed_forward(sizes, rank, team, sync, buffers, weights)
    if buffers[LOGITS]:
        _score(sizes, rank, team, sync, tops, buffers)
