"""The twin of `refimpl.decoding`'s steps: the same answers to a sampler's questions, from the compiled step.

Spec: kernels.twin, kernels.step
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from refimpl.kernels.architecture import Architecture
from refimpl.kernels.choices import defined
from refimpl.kernels.decoder import Decoder
from refimpl.kernels.greedy_loop import COLUMNS
from refimpl.kernels.memory import Addresses
from refimpl.kernels.samplers import looks_at_states, sampler_of
from refimpl.kernels.source import Source
from refimpl.kernels.team import Team


class DecoderSteps:
    """A batch that was encoded, and its prompt's first `index` columns decoded.

    `cache` is a table of where each row's keys and values lie, with the row's source in its last column; samplers
    repeat, gather and keep its rows as those of any cache.

    `threads` bounds the threads.

    Shapes: ids, source_mask (B, S), prompt (B, T).
    """

    def __init__(
        self, architecture: Architecture, model: Any, ids: np.ndarray, source_mask: np.ndarray, prompt: np.ndarray,
        index: int, threads: int | None = None,
    ) -> None:  # fmt: skip
        backbone = self._backbone = model.backbone
        rows, width = prompt.shape
        team, weights = Team(threads), Addresses(architecture, backbone.params, backbone.num_layers)
        source = Source(architecture, model, weights, team, ids, source_mask)
        self._decoder = Decoder(architecture, backbone, weights, team, source, width)
        self.start = self.reached = index
        self.cache = np.repeat(np.arange(rows)[:, None], width + 1, axis=1)
        self.hidden_states = np.zeros((rows, width, backbone.hidden_dim), np.float32)
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

    def greedy(
        self, prompt: np.ndarray, index: int, forced: np.ndarray, stops: Sequence[int] | None, sampler: Any,
        at_once: int = COLUMNS,
    ) -> Iterator[int]:  # fmt: skip
        """Fill the prompt as `GreedySampler` does; gives how many columns are filled, after so many at once.

        Spec: kernels.loop
        """
        ids = np.array(prompt, np.int64, order="C")
        said = [stop for stop in stops or () if 0 <= stop < self._backbone.vocabulary_size]  # others are never chosen
        forced, stop_ids, ask = np.array(forced, bool, order="C"), np.array(said, np.int64), partial(defined, sampler)
        for filled in self._decoder.greedy(ids, forced, index, stop_ids, sampler.temperature, ask, at_once):
            prompt[:, index:filled] = ids[:, index:filled]
            index = self.reached = filled
            yield filled

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
        self._check(ids, first)
        table = cache.copy()
        table[:, first : first + count] = (np.arange(rows) if slots is None else slots)[:, None]
        logits, states = self._decoder.run(
            tokens=np.arange(self._backbone.vocabulary_size)[ids.reshape(-1)],  # as NumPy indexes the embedding table
            positions=np.tile(np.arange(first, first + count), rows),
            table=np.repeat(table[:, :-1], count, axis=0),
            sources=np.repeat(table[:, -1], count),
            head=head,
        )
        return logits.reshape(rows, count, logits.shape[1]), states.reshape(rows, count, -1), table

    def _check(self, ids: np.ndarray, first: int) -> None:
        """Positions must exist: the definition says so in its own words."""
        self._backbone.check_length("decoder", first + ids.shape[1])
