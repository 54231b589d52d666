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
from refimpl.kernels.layers import layers, project
from refimpl.kernels.samplers import looks_at_states, sampler_of
from refimpl.kernels.short_list import WORTH_A_LIST, ShortList
from refimpl.kernels.thread_pool import Crew, ThreadPool
from refimpl.kernels.weights import Dense, Lines, Model, Rows, Span, Work, typed, work_of

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
        shape = len(weights.decoder.sources), self._columns, 0, self._source.lines.keys.shape[3]
        self._own = Lines(*np.zeros((2, *shape), np.float32))
        self._work: Work | None = None
        self.best_only = False  # whether the sampler looks at nothing but the most probable token
        self._list: ShortList | None = None
        self._looks = 0
        self.reached = index
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
        work = self._fitting(rows * count, int(table.max()) + 1)
        x = self._backbone.embed(self._weights.scope, "decoder", ids, first)
        work.x[:] = x.reshape(rows * count, -1)
        batch, (_, stack, scope) = self._rows(table, first, count), self._weights
        caches = self._own, self._source.lines

        def run(crew: Crew) -> None:
            layers(stack.blocks, stack.kind, batch, caches, work, crew)

        self._pool.run(run, len(work.x) * stack.products, (layers,))
        states = np.array(self._backbone.final_norm(scope, "decoder", work.x))
        logits = self._logits(states) if head else np.empty((len(states), 0), np.float32)
        return logits.reshape(rows, count, logits.shape[1]), states.reshape(rows, count, -1), table

    def _rows(self, table: np.ndarray, first: int, count: int) -> Rows:
        """A row for each sequence and column. Shapes: table (B, T + 1) -> B * count rows."""
        sources, positions = np.repeat(table[:, -1], count), np.tile(np.arange(first, first + count), len(table))
        slots, starts = np.repeat(table[:, :-1], count, axis=0), self._source.starts[sources]
        source = Span(starts, starts + self._source.counts[sources], *self._source.places)
        own = Span(np.zeros_like(positions), positions + 1, slots, np.arange(self._columns))
        return Rows(positions, positions, np.array(table[:, first : first + count]).reshape(-1), (own, source))

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
            project(x, Dense(table), logits, crew)

        self._pool.run(run, x.size * len(table), (project,))
        return logits if cap is None else np.tanh(logits / np.float32(cap)) * np.float32(cap)

    def _fitting(self, rows: int, slots: int) -> Work:
        """Working memory for so many rows; room in the cache for so many slots a position."""
        have = self._own.keys.shape[2]
        if slots > have:
            more = [(0, 0), (0, 0), (0, slots - have), (0, 0)]
            self._own = Lines(np.pad(self._own.keys, more), np.pad(self._own.values, more))
        if self._work is None or len(self._work.x) != rows:
            self._work = work_of(self._weights.decoder, rows, self._pool.most, max(self._columns, self._source.longest))
        return self._work


class CrossCache:
    """Keys and values of all N tokens of all rows, for each decoder layer; which of the N lines are whose; the slot and
    the position of each.

    Shapes: source, mask (B, S) -> lines: two of (layers, N, 1, G); starts, counts (B); places: (1, N) and (N).
    """

    def __init__(self, weights: Model, model: Any, pool: ThreadPool, source: np.ndarray, mask: np.ndarray) -> None:
        backbone = model.backbone
        theirs = replaced(model, ("call_encoder",)) or replaced(backbone, ("encode", "encode_source", "encoder_layer"))
        batch = {backbone.source_key: source, "encoder_padding_mask": mask}
        x, mask = model._encode(source, mask) if theirs else backbone.encode_source(weights.scope, batch)
        self.counts = mask.sum(axis=1)
        self.starts = np.cumsum(self.counts) - self.counts
        self.longest = max(1, int(self.counts.max()))
        at, columns = (np.array(each) for each in np.nonzero(mask))
        self.places = np.zeros((1, len(at)), np.int64), columns
        states = typed(x[at, columns]) if theirs else self._encoded(weights, backbone, pool, x, at)
        decoder = weights.decoder
        shape = (2, len(decoder.sources), len(at), 1, decoder.kind.key_value_heads * decoder.kind.depth)
        self.lines = Lines(*np.zeros(shape, np.float32))

        def run(crew: Crew) -> None:
            for dense, keys, values in zip(decoder.sources, *self.lines, strict=True):
                project(states, dense[0], keys[:, 0], crew)
                project(states, dense[1], values[:, 0], crew)

        pool.run(run, 2 * states.size * shape[4] * shape[1], (project,))

    def _encoded(self, weights: Model, backbone: Any, pool: ThreadPool, x: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The encoder's states of all tokens, by compiled layers. Shapes: x (B, S, E), at (N) -> (N, E)."""
        stack, (slots, columns) = weights.encoder, self.places
        work = work_of(stack, len(at), pool.most, x.shape[1])
        work.x[:] = x[at, columns]
        span = Span(self.starts[at], self.starts[at] + self.counts[at], slots, columns)
        rows = Rows(columns, np.arange(len(at)), slots[0], (span, span))
        own = Lines(*np.zeros((2, 1, len(at), 1, work.projected[2].shape[1]), np.float32))

        def run(crew: Crew) -> None:
            layers(stack.blocks, stack.kind, rows, (own, own), work, crew)

        pool.run(run, stack.products * len(at), (layers,))
        return backbone.final_norm(weights.scope, "encoder", work.x)
