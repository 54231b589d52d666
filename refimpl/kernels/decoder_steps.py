"""The twin of `refimpl.decoding`'s steps: the same answers to a sampler's questions, from compiled layers.

The cache that samplers see is a table of slots, `table[row, position]`: where that row's keys and values of that
position lie, with the row's source in its last column. A sampler repeats, gathers and keeps its rows as those of any
cache; keys and values stay where they are.

A source is encoded once: all tokens of all rows are rows of one product.

Spec: decoding.cache.equals-uncached, generate.padding-inert
"""

from typing import Any

import numpy as np

from refimpl.kernels.eligibility import replaced
from refimpl.kernels.layers import UNIT, layer
from refimpl.kernels.matmul import matmul
from refimpl.kernels.samplers import looks_at_states, sampler_of
from refimpl.kernels.short_list import WORTH_A_LIST, ShortList
from refimpl.kernels.thread_pool import Crew, ThreadPool, share
from refimpl.kernels.weights import Dense, Lines, Model, Rows, Span, Work, lines_of, products, typed, work_of

_BEFORE_A_LIST = 3  # tokens; a text as short as that is through before a list is made


class DecoderSteps:
    """A batch that was encoded, and its prompt's first `index` columns decoded.

    Shapes: source, source_mask (B, S), prompt (B, T).
    """

    def __init__(
        self, weights: Model, model: Any, source: np.ndarray, source_mask: np.ndarray, prompt: np.ndarray, index: int,
    ) -> None:  # fmt: skip
        self._weights, self._backbone = weights, model.backbone
        rows, self._columns = prompt.shape
        self._pool = ThreadPool()
        self._source = CrossCache(weights, model, self._pool, source, source_mask)
        self._own: list[Lines] = []
        self._products = products(weights.decoder)
        self._work: Work | None = None
        self.best_only = False  # whether the sampler looks at nothing but the most probable token
        self._list: ShortList | None = None
        self._looks = 0
        self.start = self.reached = index
        self.cache = np.repeat(np.arange(rows)[:, None], self._columns + 1, axis=1)
        self.hidden_states = np.zeros((rows, self._columns, weights.decoder.width), np.float32)
        # The first step does column `index - 1`; here only samplers that look at the prompt's states need it.
        columns = max(index, 1) if looks_at_states(model.sampler) else index - 1
        if columns > 0:
            _, states, _ = self._run(prompt, self.cache, 0, columns, False)
            self.hidden_states[:, :columns] = states

    def next(self, prompt: np.ndarray, cache: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits (R, V) and states (R, E) for column `index`, from the token before it."""
        logits, states, cache = self._column(prompt, cache, index, 1)
        return logits[:, 0], states[:, 0], cache

    def verify_next(self, prompt: np.ndarray, cache: np.ndarray, index: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Logits (R, k + 1, V) for the columns from `index` on, in one pass."""
        logits, _, cache = self._column(prompt, cache, index, k + 1)
        return logits, cache

    def sampler_of(self, sampler: Any) -> Any:
        """The sampler's twin, or the sampler itself."""
        return sampler_of(sampler, self)

    def rows(
        self, prompt: np.ndarray, cache: np.ndarray, index: int, live: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits (n, V) for column `index` of the rows `live` (n,), and the cache of all rows."""
        logits, _, updated = self._column(prompt[live], cache[live], index, 1, live)
        cache[live] = updated
        return logits[:, 0], cache

    def _column(
        self, prompt: np.ndarray, cache: np.ndarray, index: int, count: int, slots: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        self.reached = max(self.reached, index + count)
        return self._run(prompt, cache, max(index - 1, 0), count, True, slots)

    def _run(
        self, prompt: np.ndarray, cache: np.ndarray, first: int, count: int, head: bool, slots: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`count` columns from `first` on, kept in slots of their own: as many as there are rows, or those given.

        Shapes: prompt (R, T), cache (R, T + 1), slots (R) -> logits (R, count, V or 0), states (R, count, E), cache.
        """
        ids = prompt[:, first : first + count]
        rows, count = ids.shape
        self._backbone.check_length("decoder", first + count)
        table = cache.copy()
        table[:, first : first + count] = (np.arange(rows) if slots is None else slots)[:, None]
        work, own = self._fitting(rows * count, int(table.max()) + 1)
        x = self._backbone.embed(self._weights.scope, "decoder", ids, first)
        work.x[:] = x.reshape(rows * count, -1)
        caches = list(zip(own, self._source.lines, strict=True))
        logits, states = self._decode(self._rows(table, first, count), work, caches, head)
        return logits.reshape(rows, count, logits.shape[1]), states.reshape(rows, count, -1), table

    def _rows(self, table: np.ndarray, first: int, count: int) -> dict[int, Rows]:
        """A row for each sequence and column, by the reach of layers. Shapes: table (B, T + 1) -> B * count rows."""
        sources, positions = np.repeat(table[:, -1], count), np.tile(np.arange(first, first + count), len(table))
        slots = np.repeat(table[:, :-1], count, axis=0)
        starts, lines = self._source.starts[sources], np.arange(self._source.counts.sum())
        source = Span(starts, starts + self._source.counts[sources], np.zeros_like(lines)[None], lines)
        new, found = np.array(table[:, first : first + count]).reshape(-1), {}
        for reach in {each.reach for each in self._weights.decoder.layers}:
            own = Span(np.maximum(positions - reach, 0), positions + 1, slots, np.arange(self._columns))
            found[reach] = Rows(positions, positions, new, (own, source))
        return found

    def _decode(
        self, rows: dict[int, Rows], work: Work, caches: list[tuple[Lines, Lines]], head: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits (R, V), or none, and states (R, E) of R rows."""
        _, stack, scope = self._weights

        def run(crew: Crew) -> None:
            for each, cache in zip(stack.layers, caches, strict=True):
                layer(each.blocks, stack.kind, rows[each.reach], cache, work, crew)

        self._pool.run(run, len(work.x) * self._products, (layer,))
        states = np.array(self._backbone.final_norm(scope, "decoder", work.x))
        return self._logits(states) if head else np.empty((len(states), 0), np.float32), states

    def _logits(self, states: np.ndarray) -> np.ndarray:
        """Shapes: (R, E) -> (R, V). If the sampler looks for the best of one row alone, others may be too high."""
        cap = self._backbone.logit_cap
        x, table = map(typed, self._backbone.head(self._weights.scope, states))
        if self.best_only and len(x) == 1 and cap is None and table.size >= WORTH_A_LIST:
            self._looks += 1
            if self._looks > _BEFORE_A_LIST:
                self._list = self._list or ShortList(table, self._pool)
                found = self._list.scores(x)
                if found is not None:
                    return found
        logits = np.empty((len(x), len(table)), np.float32)

        def run(crew: Crew) -> None:
            matmul(x, Dense(table), logits, *share(len(table), UNIT, crew))

        self._pool.run(run, x.size * len(table), (share, matmul))
        return logits if cap is None else np.tanh(logits / np.float32(cap)) * np.float32(cap)

    def _fitting(self, rows: int, slots: int) -> tuple[Work, list[Lines]]:
        """Working memory for so many rows, and room in the cache for so many slots a position."""
        stack = self._weights.decoder
        depth = stack.kind.key_value_heads * stack.kind.depth
        have = self._own[0].keys.shape[1] if self._own else 0
        if slots > have:
            larger = [np.zeros((2, self._columns, slots, depth), np.float32) for _ in stack.layers]
            for new, old in zip(larger, self._own, strict=bool(self._own)):
                new[0, :, :have], new[1, :, :have] = old
            self._own = [Lines(*new) for new in larger]
        if self._work is None or len(self._work.x) != rows:
            self._work = work_of(stack, rows, self._pool.most, max(self._columns, self._source.longest))
        return self._work, self._own


class CrossCache:
    """Keys and values of all N tokens of all rows, for each decoder layer; and which of the N lines are whose.

    Shapes: source, mask (B, S) -> lines: for each layer two of (N, 1, G); starts, counts (B).
    """

    def __init__(self, weights: Model, model: Any, pool: ThreadPool, source: np.ndarray, mask: np.ndarray) -> None:
        backbone = model.backbone
        theirs = replaced(model, ("call_encoder",)) or replaced(backbone, ("encode", "encode_source", "encoder_layer"))
        batch = {backbone.source_key: source, "encoder_padding_mask": mask}
        x, mask = model._encode(source, mask) if theirs else backbone.encode_source(weights.scope, batch)
        at, columns = np.nonzero(mask)
        states = typed(x[at, columns]) if theirs else self._encoded(weights, backbone, pool, x, at, columns)
        self.counts = mask.sum(axis=1)
        self.starts = np.cumsum(self.counts) - self.counts
        self.longest = max(1, int(self.counts.max()))
        decoder, count = weights.decoder, int(self.counts.sum())
        shape = (2, count, decoder.kind.key_value_heads * decoder.kind.depth)
        flat = [np.zeros(shape, np.float32) for _ in decoder.layers]
        self.lines = [lines_of(*each) for each in flat]

        def run(crew: Crew) -> None:
            first, end = share(shape[2], UNIT, crew)
            for each, (keys, values) in zip(decoder.layers, flat, strict=True):
                matmul(states, each.source[0], keys, first, end)
                matmul(states, each.source[1], values, first, end)

        pool.run(run, 2 * states.size * shape[2] * len(flat), (share, matmul))

    @staticmethod
    def _encoded(
        weights: Model, backbone: Any, pool: ThreadPool, x: np.ndarray, at: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """The encoder's states of all tokens, from what its layers start from. Shapes: x (B, S, E) -> (N, E)."""
        stack = weights.encoder
        work = work_of(stack, len(at), pool.most, x.shape[1])
        work.x[:] = x[at, columns]
        rows = {each.reach: source_rows(at, np.array(columns), each.reach) for each in stack.layers}
        own = lines_of(*(np.zeros_like(x) for x in work.projected[2:] * 2))

        def run(crew: Crew) -> None:
            for each in stack.layers:
                layer(each.blocks, stack.kind, rows[each.reach], (own, own), work, crew)

        pool.run(run, products(stack) * len(at), (layer,))
        return backbone.final_norm(weights.scope, "encoder", work.x)


def source_rows(at: np.ndarray, columns: np.ndarray, reach: int) -> Rows:
    """A row for each token of the source: its sequence and column, both ascending. Shapes: at, columns (N)."""
    width = int(columns.max(initial=0)) + 1
    lines, reach = at * 2 * width + columns, min(reach, width)  # a sequence's tokens are out of reach of another's
    zeros, ends = np.zeros(len(at), np.int64), (lines - reach, lines + reach + 1)
    starts, stops = np.searchsorted(lines, ends)
    span = Span(starts, stops, zeros[None], columns)
    return Rows(columns, np.arange(len(at)), zeros, (span, span))
