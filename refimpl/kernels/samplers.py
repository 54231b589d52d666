"""Twins of the samplers: the same tokens from logits, and rows that have stopped cost nothing.

Spec: kernels.samplers, kernels.finished-rows
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refimpl.kernels.twin import replaced

Choose = Callable[[Any, np.ndarray], np.ndarray]


def sampler_of(sampler: Any, steps: Any) -> Any:
    """The twin of a sampler for these steps, or the sampler itself if it has none.

    A subclass has none, nor has a sampler with replaced methods: what they redefine must be used.
    """
    cls = type(sampler)
    choose = CHOICES.get((cls.__module__, cls.__name__))
    if choose is None or replaced(sampler, ("get_next_token", "compute_probabilities")):
        return sampler
    return _RowByRow(sampler, choose, steps)


class _RowByRow:
    """The loop of `refimpl.samplers.Sampler`, over the rows that have not stopped."""

    def __init__(self, sampler: Any, choose: Choose, steps: Any) -> None:
        self._sampler, self._choose, self._steps = sampler, choose, steps

    def __call__(
        self,
        next: Any,
        prompt: np.ndarray,
        cache: np.ndarray,
        index: int,
        mask: np.ndarray,
        stop_token_ids: Sequence[int] | None,
        **_: Any,
    ) -> np.ndarray:
        """Fill `prompt` from column `index` on, as the definition does."""
        prompt = np.array(prompt)
        live = np.arange(len(prompt))
        for column in range(index, prompt.shape[1]):
            if stop_token_ids is not None:
                live = live[~self._stopped(prompt[live], mask[live], column, stop_token_ids)]
                if not live.size:
                    break
            logits, cache = self._steps.rows(prompt, cache, column, live)
            token = self._choose(self._sampler, logits).astype(prompt.dtype)
            prompt[live, column] = np.where(mask[live, column], prompt[live, column], token)
        return prompt

    def _stopped(self, prompt: np.ndarray, mask: np.ndarray, column: int, stops: Sequence[int]) -> np.ndarray:
        """Rows with a stop token of their own. Columns that were looked at before need no second look."""
        first = 0 if column == self._steps.start else column - 1
        return (np.isin(prompt[:, first:column], stops) & ~mask[:, first:column]).any(axis=1)


def greedy(sampler: Any, logits: np.ndarray) -> np.ndarray:
    """The most probable token. Where others come near it, rounding decides, and the definition is asked.

    Spec: samplers.greedy.argmax, samplers.greedy.ties
    """
    token = logits.argmax(axis=1)
    highest = logits[np.arange(len(logits)), token]
    near = 1e-6 * sampler.temperature + 1e-6 * np.abs(highest)
    rivals = np.count_nonzero(logits >= (highest - near).astype(np.float32)[:, None], axis=1)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        unsure = np.flatnonzero((rivals != 1) | ~np.isfinite(highest / sampler.temperature))
    if unsure.size:
        token[unsure] = sampler.get_next_token(sampler.compute_probabilities(logits[unsure]))
    return token


CHOICES: dict[tuple[str, str], Choose] = {("refimpl.samplers.greedy_sampler", "GreedySampler"): greedy}
