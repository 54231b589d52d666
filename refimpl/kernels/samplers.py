"""Twins of the samplers' loops: rows that have stopped cost nothing, and beams are ranked without a whole sort."""

import copy
from collections.abc import Callable, Iterator, Sequence
from types import MethodType
from typing import Any

import numpy as np

from refimpl.kernels import token_choice
from refimpl.kernels.eligibility import GREEDY, GREEDY_METHODS, replaced
from refimpl.random.draws import log32

Choose = Callable[[Any, np.ndarray, np.ndarray], np.ndarray]

# By module and name of the class whose definition the twin repeats.
CHOICES: dict[tuple[str, str], Choose] = {
    GREEDY: token_choice.greedy,
    ("refimpl.samplers.random_sampler", "RandomSampler"): token_choice.random,
    ("refimpl.samplers.top_k_sampler", "TopKSampler"): token_choice.top_k,
    ("refimpl.samplers.top_p_sampler", "TopPSampler"): token_choice.top_p,
}
_BEAM = ("refimpl.samplers.beam_sampler", "BeamSampler")
_NO_STATES = ("refimpl.samplers.sampler", "refimpl.samplers.beam_sampler")


def sampler_of(sampler: Any, steps: Any) -> Any:
    """The twin of a sampler for these steps, or the sampler itself if it has none.

    A subclass has none, nor has a sampler with replaced methods: what they redefine must be used.
    """
    kind = (type(sampler).__module__, type(sampler).__name__)
    if kind == _BEAM and not replaced(sampler, ("_best", "compute_probabilities")):
        twin = copy.copy(sampler)
        twin._best = MethodType(best_beams, twin)
        return twin
    choose = CHOICES.get(kind)
    if choose is None or replaced(sampler, GREEDY_METHODS):
        return sampler
    return _RowByRow(sampler, choose, steps)


def looks_at_states(sampler: Any) -> bool:
    """Whether a sampler may look at the states of the prompt: only loops of this project are known not to."""
    return getattr(type(sampler).__call__, "__module__", "") not in _NO_STATES


class _RowByRow:
    """The loop of `refimpl.samplers.Sampler`, over the rows that have not stopped."""

    def __init__(self, sampler: Any, choose: Choose, steps: Any) -> None:
        self._sampler, self._choose, self._steps = sampler, choose, steps
        # Greater temperatures make rivals of farther scores than a short list tells apart, negative ones of the lowest.
        steps.best_only = choose is token_choice.greedy and 0.0 <= sampler.temperature <= 1.0

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
        for _column in self.steps(next, prompt, cache, index, mask, stop_token_ids):
            pass
        return prompt

    def steps(
        self,
        _: Any,
        prompt: np.ndarray,
        cache: np.ndarray,
        index: int,
        mask: np.ndarray,
        stop_token_ids: Sequence[int] | None,
    ) -> Iterator[int]:
        """Fill `prompt` in place; gives, after each column, how many columns are filled."""
        live = np.arange(len(prompt))
        for column in range(index, prompt.shape[1]):
            if stop_token_ids is not None:
                live = live[~self._stopped(prompt[live], mask[live], column, stop_token_ids)]
                if not live.size:
                    break
            logits, cache = self._steps.rows(prompt, cache, column, live)
            token = self._choose(self._sampler, logits, live).astype(prompt.dtype)
            prompt[live, column] = np.where(mask[live, column], prompt[live, column], token)
            yield column + 1

    def _stopped(self, prompt: np.ndarray, mask: np.ndarray, column: int, stops: Sequence[int]) -> np.ndarray:
        """Rows with a stop token of their own. Columns that were looked at before need no second look."""
        first = 0 if column == self._steps.start else column - 1
        said = (prompt[:, first:column, None] == np.array(stops)).any(axis=2)
        return (said & ~mask[:, first:column]).any(axis=1)


def best_beams(
    sampler: Any, probabilities: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The twin of `BeamSampler._best`: only what may be among the best of its own beam is ranked.

    Shapes: probabilities (B*K, V), scores (B, K) -> scores (B, K), the beams they came from and tokens, both (B*K,).
    Spec: samplers.beam.score
    """
    rows, beams = scores.shape
    size = probabilities.shape[1]
    if size < beams or np.isnan(probabilities.max()):
        return type(sampler)._best(sampler, probabilities, scores)
    place = size - beams
    least = np.partition(probabilities, place, axis=1)[:, place]
    best, came_from, tokens = (
        np.empty_like(scores),
        np.empty((rows, beams), np.int64),
        np.empty((rows, beams), np.int64),
    )
    for row in range(rows):
        flat, totals = [], []
        for beam in range(beams):
            ids, total = _candidates(probabilities[row * beams + beam], least[row * beams + beam], scores[row, beam])
            flat.append(ids + beam * size)
            totals.append(total)
        ids, total = np.concatenate(flat), np.concatenate(totals)
        order = np.argsort(-total, kind="stable")[:beams]
        best[row], came_from[row], tokens[row] = total[order], ids[order] // size + row * beams, ids[order] % size
    return best, came_from.reshape(-1), tokens.reshape(-1)


def _candidates(probabilities: np.ndarray, least: np.float32, score: np.float32) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of a beam, ascending, that may be among its best, and their totals.

    A total is rounded, so tokens a little less probable than the last of the best may tie with it; then the lower id
    goes first, and they must be among the candidates.

    Shapes: (V,) -> ids (n,), totals (n,) float32.
    """
    worst = log32(np.asarray(least)) + score
    slack = 4.0 * float(np.spacing(np.abs(worst))) + 1e-6 if np.isfinite(worst) else np.inf
    ids = np.flatnonzero(probabilities >= least * np.exp(-slack) * (1.0 - 1e-6))
    return ids, log32(probabilities[ids]) + score
