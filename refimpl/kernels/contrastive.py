"""The twin of contrastive search: over the rows that have not stopped, without sorting whole vocabularies.

Spec: kernels.samplers, kernels.finished-rows
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from refimpl.kernels.choices import highest_of


class ContrastiveTwin:
    """The loop of `refimpl.samplers.ContrastiveSampler`. The lengths of earlier states are kept, not taken again."""

    def __init__(self, sampler: Any) -> None:
        self._sampler, self._k = sampler, sampler.k

    def __call__(
        self,
        next: Any,
        prompt: np.ndarray,
        cache: np.ndarray,
        index: int,
        mask: np.ndarray,
        stop_token_ids: Sequence[int] | None,
        hidden_states: np.ndarray,
        **_: Any,
    ) -> np.ndarray:
        """Fill `prompt` from column `index` on, as the definition does."""
        result, mask = np.array(prompt), np.asarray(mask)
        live, prompt, history = np.arange(len(prompt)), result.copy(), np.array(hidden_states)
        lengths = _lengths(history)
        logits, _, cache = next(prompt, cache, index)
        for column in range(index, prompt.shape[1]):
            if stop_token_ids is not None:
                said = np.isin(prompt[:, :column], stop_token_ids) & ~mask[live, :column]
                if (stopped := said.any(axis=1)).any():
                    result[live[stopped]] = prompt[stopped]
                    rest = ~stopped
                    live, prompt, cache, logits = live[rest], prompt[rest], cache[rest], logits[rest]
                    history, lengths = history[rest], lengths[rest]
            if not live.size:
                break
            probability, token = highest_of(self._sampler.compute_probabilities(logits), self._k)
            tried = np.repeat(prompt, self._k, axis=0)
            forced = np.repeat(mask[live, column], self._k)
            tried[:, column] = np.where(forced, tried[:, column], token.reshape(-1))
            logits, states, cache = next(tried, np.repeat(cache, self._k, axis=0), column + 1)
            states = states.reshape(len(live), self._k, -1)
            alike = _similarity(history[:, :column], lengths[:, :column], states)
            best = self._sampler._score(probability, alike).argmax(axis=-1)
            rows = best + np.arange(len(live)) * self._k
            prompt, logits, cache = tried[rows], logits[rows], cache[rows]
            history[:, column] = states[np.arange(len(live)), best]
            lengths[:, column] = _lengths(history[:, column])
        result[live] = prompt
        return result


def _lengths(states: np.ndarray) -> np.ndarray:
    """Euclidean. Shapes: (..., E) -> (...)."""
    return np.sqrt(np.square(states).sum(axis=-1))


def _similarity(history: np.ndarray, lengths: np.ndarray, states: np.ndarray) -> np.ndarray:
    """What the definition's `similarity` gives. Shapes: history (B, t, E), lengths (B, t), states (B, k, E) -> (B, k).

    Spec: samplers.contrastive.score
    """
    if not history.shape[1]:
        return np.full(states.shape[:2], -1, states.dtype)
    products = np.einsum("bte,bke->btk", history, states)
    together = lengths[:, :, None] * _lengths(states)[:, None]
    return np.asarray((products / np.where(together > 0, together, 1)).max(axis=1))
