"""The source of a batch: what each decoder layer attends to; and the working memory of a stack, for either.

Spec: kernels.step, kernels.encode, generate.padding-inert
"""

from typing import Any

import numpy as np

from refimpl.kernels.eligibility import replaced
from refimpl.kernels.layers import UNIT, layer
from refimpl.kernels.matmul import matmul
from refimpl.kernels.thread_pool import Crew, ThreadPool, share
from refimpl.kernels.weights import Array, Lines, Model, Rows, Span, Stack, Work


def work_of(stack: Stack, rows: int, threads: int, longest: int) -> Work:
    """Working memory for so many rows, and attention to so many positions."""
    kind = stack.kind
    inner = len(stack.layers[0].blocks[-1].inputs[0].kernel) if stack.layers else 0
    heads, shared = kind.heads * kind.depth, kind.key_value_heads * kind.depth
    x, n, y = (np.zeros((rows, stack.width), np.float32) for _ in range(3))
    one, two, three = (np.zeros((rows, size), np.float32) for size in (max(heads, inner), max(shared, inner), shared))
    span = max(longest - 1, 0)
    scores = np.zeros((threads, longest), np.float32)
    return Work(x, n, y, (one, two, three), scores, stack.bias(span), span, stack.rotary(longest))


def lines_of(keys: Array, values: Array) -> Lines:
    """A line a position. Shapes: (T, G) -> two of (T, 1, G)."""
    return Lines(keys[:, None], values[:, None])


def products(stack: Stack) -> int:
    """How many numbers are multiplied for a row."""
    return sum(array.size for layer in stack.layers for array in _matrices(layer))


def _matrices(part: Any) -> list[Array]:
    """All matrices of a layer."""
    if isinstance(part, tuple):
        return [array for each in part for array in _matrices(each)]
    return [part] if isinstance(part, np.ndarray) and part.ndim == 2 else []


class CrossCache:
    """Keys and values of all N tokens of all rows, for each decoder layer; and which of the N lines are whose.

    Shapes: ids, mask (B, S) -> lines: for each layer two of (N, 1, G); starts, counts (B).
    """

    def __init__(self, weights: Model, model: Any, pool: ThreadPool, ids: np.ndarray, mask: np.ndarray) -> None:
        self.counts = mask.sum(axis=1)
        self.starts = np.cumsum(self.counts) - self.counts
        self.longest = max(1, int(self.counts.max()))
        decoder, count = weights.decoder, int(self.counts.sum())
        shape = (2, count, decoder.kind.key_value_heads * decoder.kind.depth)
        flat = [np.zeros(shape, np.float32) for _ in decoder.layers]
        self.lines = [lines_of(*each) for each in flat]
        states = self._encoded(weights, model, pool, ids, mask)

        def run(crew: Crew) -> None:
            first, end = share(shape[2], UNIT, crew)
            for each, (keys, values) in zip(decoder.layers, flat, strict=True):
                matmul(states, each.source[0], keys, first, end)
                matmul(states, each.source[1], values, first, end)

        pool.run(run, 2 * states.size * shape[2] * len(flat), (share, matmul))

    def _encoded(self, weights: Model, model: Any, pool: ThreadPool, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The encoder's states of all tokens. Shapes: -> (N, E)."""
        stack, backbone = weights.encoder, model.backbone
        at, columns = np.nonzero(mask)
        work = work_of(stack, len(at), pool.most, ids.shape[1])
        if replaced(model, ("call_encoder",)) or replaced(backbone, ("encode", "encode_source", "encoder_layer")):
            work.n[:] = model.call_encoder(token_ids=ids, padding_mask=mask)[at, columns]
            return work.n
        width = int(columns.max()) + 1 if len(columns) else 0
        work.x[:] = backbone.embed(weights.scope, "encoder", ids[:, :width], 0)[at, columns]
        rows = {each.reach: _rows(at, np.array(columns), each.reach) for each in stack.layers}
        own = lines_of(*(np.zeros_like(x) for x in work.projected[2:] * 2))

        def run(crew: Crew) -> None:
            for each in stack.layers:
                layer(each.blocks, stack.kind, rows[each.reach], (own, own), work, crew)

        pool.run(run, products(stack) * len(at), (layer,))
        return backbone.final_norm(weights.scope, "encoder", work.x)


def _rows(at: Array, columns: Array, reach: int) -> Rows:
    """A row for each token of the source: its sequence and column, both ascending. Shapes: at, columns (N)."""
    width = int(columns.max(initial=0)) + 1
    lines, reach = at * 2 * width + columns, min(reach, width)  # a sequence's tokens are out of reach of another's
    zeros, ends = np.zeros(len(at), np.int64), (lines - reach, lines + reach + 1)
    starts, stops = np.searchsorted(lines, ends)
    span = Span(starts, stops, zeros[None], columns)
    return Rows(columns, np.arange(len(at)), zeros, (span, span))
