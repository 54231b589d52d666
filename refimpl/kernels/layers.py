"""A layer of the encoder or decoder, run by every thread of a crew at once.

Its blocks have one form: norm, projections, what is done to them (attention, or activation and gate), projection back,
sum. A row is a token at a position of a sequence, so the columns of a prompt are rows of one step as well, and padding
is no row. Threads share each stage by heads, columns or rows and wait for each other between stages; who computed a
number does not change it.
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels.jit import jit
from refimpl.kernels.matmul import matmul
from refimpl.kernels.row_ops import activate, layer_norm, rms_norm, softmax
from refimpl.kernels.thread_pool import Crew, share, wait
from refimpl.kernels.weights import Array, Block, Kind, Lines, Norm, Rows, Work

OWN, SOURCE, FEED_FORWARD = range(3)
UNIT = 16  # columns that one thread has at least: a cache line


@jit
def layer(
    blocks: tuple[Block, ...], kind: Kind, rows: Rows, cache: tuple[Lines, Lines], work: Work, crew: Crew
) -> None:
    """All blocks of a layer, the result in `work.x`. The encoder's has none for the source.

    Shapes: blocks (3), rows.positions (R), work.x (R, E).
    """
    count = len(rows.positions)
    for part in range(len(blocks)):
        block = blocks[part]
        if len(block.output.kernel):
            first, end = share(count, 1, crew)
            for r in range(first, end):
                normalize(work.x[r], block.before, kind.epsilon, work.n[r])
            wait(crew)
            first, end = share(len(block.inputs[0].kernel), UNIT, crew)
            if part != FEED_FORWARD:
                first, end = share(kind.key_value_heads, 1, crew)
            for n in range(len(block.inputs)):
                width = 1 if part == FEED_FORWARD else len(block.inputs[n].kernel) // kind.key_value_heads
                if len(block.inputs[n].kernel):
                    matmul(work.n, block.inputs[n], work.projected[n], first * width, end * width)
            if part == FEED_FORWARD:
                _activate(block, kind, count, work, first, end)
            else:
                _attend(part, kind, rows, cache, work, crew)
            wait(crew)
            first, end = share(work.y.shape[1], UNIT, crew)
            matmul(work.projected[0], block.output, work.y, first, end)
            wait(crew)
            first, end = share(count, 1, crew)
            for r in range(first, end):
                _add(block, kind, work, r)


@jit
def normalize(x: Array, norm: Norm, epsilon: Any, out: Array) -> None:
    """A norm without a shift is an RMS norm; one without a gain is none. Shapes: (E)."""
    if len(norm.shift):
        layer_norm(x, norm.gain, norm.shift, epsilon, out)
    elif len(norm.gain):
        rms_norm(x, norm.gain, epsilon, out)
    else:
        for e in range(len(x)):
            out[e] = x[e]


@jit
def _add(block: Block, kind: Kind, work: Work, r: int) -> None:
    """Add what a block gave to a row, with the norms of either."""
    normalize(work.y[r], block.within, kind.epsilon, work.n[r])
    for e in range(work.x.shape[1]):
        work.y[r, e] = work.x[r, e] + work.n[r, e]
    normalize(work.y[r], block.after, kind.epsilon, work.x[r])


@jit
def _activate(block: Block, kind: Kind, count: int, work: Work, first: int, end: int) -> None:
    """Activate a thread's columns, and multiply them by the gate if there is one."""
    inner, gate = work.projected[0], work.projected[1]
    for r in range(count):
        activate(kind.activation, inner[r, first:end])
        for f in range(first, end if len(block.inputs[1].kernel) else first):
            inner[r, f] *= gate[r, f]


@jit
def _attend(part: int, kind: Kind, rows: Rows, cache: tuple[Lines, Lines], work: Work, crew: Crew) -> None:
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
            cache[OWN].keys[rows.lines[r], rows.slots[r], c] = keys[r, c]
            cache[OWN].values[rows.lines[r], rows.slots[r], c] = values[r, c]
    span, distances = rows.spans[part], work.bias.shape[1] if part == OWN else 0
    for r in range(len(rows.positions)):
        start, stop = span.starts[r], span.stops[r]
        lines = Lines(cache[part].keys[start:stop], cache[part].values[start:stop])
        slots, scores = span.slots[r % len(span.slots), start:stop], work.scores[crew.rank, : stop - start]
        for head in range(first * group, end * group):
            bias = work.bias[head, :distances]
            _begin_scores(scores, bias, work.origin, span.positions[start:stop], rows.positions[r])
            query = queries[r, head * depth : (head + 1) * depth]
            _attend_head(query, lines, slots, scores, kind, head // group * depth)


@jit(any_order=True)
def _dot(x: Array, y: Array) -> Any:
    """The sum of products. Shapes: both (D)."""
    s = np.float32(0.0)
    for d in range(len(x)):
        s += x[d] * y[d]
    return s


@jit
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


@jit
def _begin_scores(scores: Array, bias: Array, origin: int, positions: Array, position: int) -> None:
    """Begin the scores of a query with the biases of its distances; without any, with 0.

    Shapes: bias (span) with that of distance 0 at `origin`, or (0); positions of the keys and scores (T).
    Spec: models.t5.position-bias
    """
    for t in range(len(scores)):
        scores[t] = bias[positions[t] - position + origin] if len(bias) else np.float32(0.0)


@jit
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
