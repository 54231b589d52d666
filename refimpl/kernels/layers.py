"""A layer of the encoder or decoder, run by every thread of a crew at once.

Its blocks have one form: norm, projections, what is done to them (attention, or activation and gate), projection back,
sum. A row is a token at a position of a sequence, so the columns of a prompt are rows of one step as well, and padding
is no row. Threads share each stage by heads, columns or rows and wait for each other between stages; who computed a
number does not change it.
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels.jit import jit, jit_in_any_order, jit_inside
from refimpl.kernels.matmul import matmul
from refimpl.kernels.row_ops import activate, layer_norm, rms_norm, softmax
from refimpl.kernels.thread_pool import Crew, share, wait
from refimpl.kernels.weights import FEED_FORWARD, OWN, SOURCE, Array, Block, Dense, Kind, Lines, Rows, Work

UNIT = 16  # columns that one thread has at least: a cache line


@jit
def layers(blocks: list[Block], kind: Kind, rows: Rows, caches: tuple[Lines, Lines], work: Work, crew: Crew) -> None:
    """All blocks of all layers, the result in `work.x`. The encoder's layers share one cache.

    Shapes: rows.positions (R), work.x (R, E).
    """
    count = len(rows.positions)
    for n in range(len(blocks)):
        block = blocks[n]
        part = block.part
        first, end = share(count, 1, crew)
        for r in range(first, end):
            normalize(work.x[r], block.before, kind.epsilon, work.n[r])
        wait(crew)
        first, end = share(len(block.inputs[0].kernel), UNIT, crew)
        if part != FEED_FORWARD:
            first, end = share(kind.key_value_heads, 1, crew)
        for i in range(1 if part == SOURCE else len(block.inputs)):
            width = 1 if part == FEED_FORWARD else len(block.inputs[i].kernel) // kind.key_value_heads
            if len(block.inputs[i].kernel):
                matmul(work.n, block.inputs[i], work.projected[i], first * width, end * width)
        if part == FEED_FORWARD:
            _activate(block, kind, count, work, first, end)
        else:
            keys, values = caches[part]
            kept = block.layer % len(keys)
            _attend(part, block.reach, kind, rows, Lines(keys[kept], values[kept]), work, crew)
        wait(crew)
        project(work.projected[0], block.output, work.y, crew)
        wait(crew)
        first, end = share(count, 1, crew)
        for r in range(first, end):
            _add(block, kind, work, r)


@jit
def project(x: Array, dense: Dense, out: Array, crew: Crew) -> None:
    """A thread's share of the outputs. Shapes: x (R, K or more) -> out (R, N)."""
    first, end = share(len(dense.kernel), UNIT, crew)
    matmul(x, dense, out, first, end)


@jit_inside
def normalize(x: Array, norm: Array, epsilon: Any, out: Array) -> None:
    """Layer norm, RMS norm or none, by how many lines it has. Shapes: x, out (E), norm (2 or 1, E) or (0, 0)."""
    if len(norm) == 2:
        layer_norm(x, norm[0], norm[1], epsilon, out)
    elif len(norm) == 1:
        rms_norm(x, norm[0], epsilon, out)
    else:
        for e in range(len(x)):
            out[e] = x[e]


@jit_inside
def _add(block: Block, kind: Kind, work: Work, r: int) -> None:
    """Add what a block gave to a row, with the norms of either."""
    normalize(work.y[r], block.within, kind.epsilon, work.n[r])
    for e in range(work.x.shape[1]):
        work.y[r, e] = work.x[r, e] + work.n[r, e]
    normalize(work.y[r], block.after, kind.epsilon, work.x[r])


@jit_inside
def _activate(block: Block, kind: Kind, count: int, work: Work, first: int, end: int) -> None:
    """Activate a thread's columns, and multiply them by the gate if there is one."""
    inner, gate = work.projected[0], work.projected[1]
    for r in range(count):
        activate(kind.activation, inner[r, first:end])
        for f in range(first, end if len(block.inputs[1].kernel) else first):
            inner[r, f] *= gate[r, f]


@jit_inside
def _attend(part: int, reach: int, kind: Kind, rows: Rows, cache: Lines, work: Work, crew: Crew) -> None:
    """A thread's heads of attention, queries replaced by what they found. Keys and values are kept first if they are
    the rows' own.
    """
    first, end = share(kind.key_value_heads, 1, crew)
    depth, group = kind.depth, kind.heads // kind.key_value_heads
    queries, keys, values = work.projected
    for r in range(len(rows.positions) if part == OWN else 0):
        if len(work.rotary):
            _rotate(queries[r, first * group * depth : end * group * depth], work.rotary[rows.positions[r]], depth)
            _rotate(keys[r, first * depth : end * depth], work.rotary[rows.positions[r]], depth)
        for c in range(first * depth, end * depth):
            cache.keys[rows.lines[r], rows.slots[r], c] = keys[r, c]
            cache.values[rows.lines[r], rows.slots[r], c] = values[r, c]
    span, biased = rows.spans[part], part == OWN and work.bias.shape[1] > 0  # spec: models.t5.position-bias
    for r in range(len(rows.positions)):
        start, stop, position = span.starts[r], span.stops[r], rows.positions[r]
        while start < stop and position - span.positions[start] > reach:
            start += 1
        while start < stop and span.positions[stop - 1] - position > reach:
            stop -= 1
        lines = Lines(cache.keys[start:stop], cache.values[start:stop])
        slots, scores = span.slots[r % len(span.slots), start:stop], work.scores[crew.rank, : stop - start]
        for head in range(first * group, end * group):
            for t in range(stop - start):
                distance = span.positions[start + t] - position
                scores[t] = work.bias[head, work.origin + distance] if biased else np.float32(0.0)
            query = queries[r, head * depth : (head + 1) * depth]
            _attend_head(query, lines, slots, scores, kind, head // group * depth)


@jit_in_any_order
def _dot(x: Array, y: Array) -> Any:
    """The sum of products. Shapes: both (D)."""
    s = np.float32(0.0)
    for d in range(len(x)):
        s += x[d] * y[d]
    return s


@jit_inside
def _attend_head(query: Array, lines: Lines, slots: Array, scores: Array, kind: Kind, column: int) -> None:
    """Replace a query by `softmax(cap(scale q k) + scores) v`; `scores` holds the bias of each position, or 0.

    Position t has its key and value in the line `slots[t]` of position t, from `column` on. What may not be attended to
    is not among them; no position at all gives zeros.

    Shapes: query (D), lines two of (T, slots, G), slots and scores (T).
    Source: Vaswani et al. 2017, section 3.2; Gemma Team 2024 for the cap
    """
    end = column + len(query)
    for t in range(len(scores)):
        s = kind.scale * _dot(query, lines.keys[t, slots[t], column:end])
        if kind.soft_cap > 0.0:
            s = kind.soft_cap * np.float32(math.tanh(s / kind.soft_cap))
        scores[t] += s
    softmax(scores)
    for d in range(len(query)):
        query[d] = 0.0
    for t in range(len(scores)):
        weight, value = scores[t], lines.values[t, slots[t], column:end]
        for d in range(len(query)):
            query[d] += weight * value[d]


@jit_inside
def _rotate(x: Array, rotary: Array, depth: int) -> None:
    """Turn the halves of each head by the position's angles. Shapes: x (G), rotary (D): cosines, then sines.

    Source: Su et al. 2021, equation 34
    """
    half = depth // 2
    for c in range(0, len(x), depth):
        for d in range(half):
            a, b = x[c + d], x[c + half + d]
            x[c + d] = a * rotary[d] - b * rotary[half + d]
            x[c + half + d] = b * rotary[d] + a * rotary[half + d]
