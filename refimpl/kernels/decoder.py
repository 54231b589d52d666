"""The cache and the step of one batch, between NumPy and the compiled step.

The cache that samplers see is a table of slots, `table[row, position]`: where that row's keys and values of that
position lie. A sampler may repeat, gather and reorder its rows as it would those of any cache; keys and values stay
where they are.

Spec: kernels.step, decoding.cache.equals-uncached
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from refimpl.kernels import greedy_loop, places
from refimpl.kernels.architecture import Architecture
from refimpl.kernels.entries import decode, quantize_head, shortlist
from refimpl.kernels.greedy_loop import Ask
from refimpl.kernels.memory import Addresses, Scratch, aligned, integers
from refimpl.kernels.source import Source
from refimpl.kernels.team import Team

_FEW = 16  # rows up to which a step waits for memory rather than for arithmetic
_STEPS = (places.GO, places.GIVEN)  # tasks by whose time threads are judged


class Decoder:
    """One batch: its source, the cache of what was said in `positions` columns, and the weights where they lie."""

    def __init__(
        self, architecture: Architecture, backbone: Any, weights: Addresses, team: Team, source: Source, positions: int
    ) -> None:
        self._architecture, self._backbone, self._weights = architecture, backbone, weights
        self._team, self._source, self._positions = team, source, positions
        line = backbone.num_heads * backbone.head_dim
        self._own = np.empty((backbone.num_layers, 2, positions, 0, line), np.float32)
        self._bias = None
        if architecture.relative:
            self._bias = backbone.position_bias(backbone.scope, "decoder", 1, positions, positions - 1)
        self._longest = max(positions, int(source.counts.max()))
        self._zeros = np.zeros((1, self._longest), np.int64)
        self._scratch: Scratch | None = None

    def run(
        self, tokens: np.ndarray, positions: np.ndarray, table: np.ndarray, sources: np.ndarray, head: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits (R, V), or none, and states (R, E) of R rows: a token at a position of a sequence each.

        Shapes: tokens, positions, sources (R), table (R, T).
        """
        rows = len(tokens)
        scratch = self._fitting(rows, int(table.max()) + 1)
        logits = np.empty((rows, self._backbone.vocabulary_size if head else 0), np.float32)
        scratch.buffers[places.LOGITS] = logits.ctypes.data if head else 0
        starts, counts = self._source.starts[sources], self._source.counts[sources]
        self._decode(
            scratch, rows, head, (tokens, positions, table, starts, counts), (places.ONE_STEP, *places.NOTHING)
        )
        return logits, scratch.states.copy()

    def greedy(
        self, ids: np.ndarray, forced: np.ndarray, index: int, stops: np.ndarray, temperature: float, ask: Ask,
        at_once: int,
    ) -> Iterator[int]:  # fmt: skip
        """Fill `ids` from column `index` on with the likeliest tokens; gives how many columns there are, now and then.

        `ask` gives the tokens for logits where the choice is not sure.

        Shapes: ids, forced (B, T), stops (n), all as compiled functions take them.
        Spec: kernels.loop
        """
        rows, columns = ids.shape
        scratch = self._fitting(rows, rows)
        logits = np.empty((rows, self._backbone.vocabulary_size), np.float32)
        scratch.buffers[places.LOGITS] = logits.ctypes.data
        table = np.repeat(np.arange(rows)[:, None], columns, axis=1)
        given = (ids[:, index - 1], np.full(rows, index - 1), table, self._source.starts, self._source.counts)
        arrays = [np.array(array, np.int64) for array in given]  # the loop moves their rows
        state, chosen = np.array([places.GO, index, 0]), np.empty(rows, np.int64)
        more = (state, ids, forced, np.arange(rows), stops, chosen, float(temperature))
        scratch.set_temperature(temperature)

        def run(task: int) -> None:
            state[places.TASK] = task
            self._decode(scratch, int(scratch.sizes[places.ROWS]), True, arrays, more, task in _STEPS)

        quantize = partial(self._quantize_head, scratch)
        loop = greedy_loop.GreedyLoop(run, quantize, scratch.sizes, state, chosen, logits)
        yield from loop.fill(columns, at_once, ask, not self._architecture.own_head)
        self._scratch = None  # for another number of rows

    def _quantize_head(self, scratch: Scratch) -> None:
        """Make steps choose from short lists, as long as this scratch is used. Spec: kernels.shortlist"""
        code = shortlist.address(*["int"] * 6)  # before the copy takes memory: LLVM takes some as well, for a moment
        scratch.make_list_room(self._team.most)
        self._team.run(quantize_head, None, scratch.sizes, self._weights.decoder, scratch.buffers)
        scratch.sizes[places.LISTED] = code

    def _decode(
        self, scratch: Scratch, rows: int, head: bool, arrays: Sequence[np.ndarray], more: Any, steps: bool = True
    ) -> None:
        """Run the compiled loop; `arrays` are tokens, positions, table, starts and counts."""
        work = self._work(rows, head) if steps else None
        self._team.run(
            decode, work, scratch.sizes, self._weights.decoder, self._weights.decoder_layers, scratch.buffers,
            *(integers(array) for array in arrays), self._zeros, *more,
        )  # fmt: skip

    def _work(self, rows: int, head: bool) -> int:
        """The products of a step."""
        model = self._backbone
        layer = model.hidden_dim * (6 * self._own.shape[-1] + (2 + self._architecture.gated) * model.intermediate_dim)
        work = model.num_layers * layer + (model.vocabulary_size * model.hidden_dim if head else 0)
        return rows * work

    def _fitting(self, rows: int, slots: int) -> Scratch:
        """Scratch for so many rows, and room in the cache for so many slots a position."""
        model, have = self._backbone, self._own.shape[3]
        if slots > have:
            own = aligned(*self._own.shape[:3], slots, self._own.shape[4])
            own[:, :, :, :have] = self._own
            self._own = own
        if self._scratch is None or len(self._scratch.states) != rows:
            self._scratch = Scratch(self._architecture, model, rows)
            self._scratch.set_bias(self._bias, self._positions - 1)
            self._scratch.make_room(self._team.most, self._longest, _FEW)
            self._scratch.set(places.OTHER, self._source.lines)
            self._scratch.sizes[places.POSITIONS] = self._positions
            self._scratch.sizes[places.SOURCE] = self._source.lines.shape[2]
        self._scratch.sizes[places.SLOTS] = self._own.shape[3]
        self._scratch.set(places.OWN, self._own)
        return self._scratch
