"""Contrastive search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refimpl.errors import InputError
from refimpl.samplers.arguments import checked_count, checked_fraction
from refimpl.samplers.cache_rows import repeated, taken
from refimpl.samplers.ranking import top_k
from refimpl.samplers.sampler import Next, Sampler, all_stopped, own_copies
from refimpl.samplers.serialization import named


@named("contrastive")
class ContrastiveSampler(Sampler):
    """Of the `k` most probable tokens the one that is probable and unlike what was said before.

    The score is `(1 - alpha) * probability - alpha * similarity`, the similarity being the highest cosine between the
    token's hidden state and that of any earlier position.

    Spec: samplers.contrastive.score, samplers.contrastive.candidates, samplers.contrastive.hidden-states
    Source: Su et al. 2022, "A contrastive framework for neural text generation", equation 5
    """

    def __init__(self, k: int = 5, alpha: float = 0.6, temperature: float = 1.0) -> None:
        super().__init__(temperature)
        self.k = checked_count("k", k)
        self.alpha = checked_fraction("alpha", alpha)

    def __call__(
        self,
        next: Next,
        prompt: np.ndarray,
        cache: Any = None,
        index: int = 0,
        mask: np.ndarray | None = None,
        stop_token_ids: Sequence[int] | None = None,
        hidden_states: np.ndarray | None = None,
        model: Any = None,
    ) -> np.ndarray:
        """Fill `prompt` from column `index` on. `hidden_states` holds the decoder's states of the columns before.

        Shapes: prompt and mask (B, T), hidden_states (B, T, E) -> (B, T).
        Raises: InputError without hidden states.
        Spec: samplers.contrastive.hidden-states, samplers.loop.prompt-kept, samplers.loop.stop
        """
        prompt, mask = own_copies(prompt, mask)
        history = _checked_states(hidden_states)
        first_of_row = np.arange(len(prompt)) * self.k
        logits, _, cache = next(prompt, cache, int(index))
        for column in range(int(index), prompt.shape[1]):
            if all_stopped(prompt[:, :column], mask[:, :column], stop_token_ids):
                break
            probability, token = top_k(self.compute_probabilities(logits), self.k)
            tried = repeated(prompt, self.k)
            tried[:, column] = np.where(repeated(mask[:, column], self.k), tried[:, column], token.reshape(-1))
            logits, states, cache = next(tried, repeated(cache, self.k), column + 1)
            states = _checked_states(states)
            alike = similarity(history[:, :column], states.reshape(len(prompt), self.k, -1))
            best = self._score(probability, alike).argmax(axis=-1) + first_of_row
            prompt, logits, cache = tried[best], logits[best], taken(cache, best)
            history[:, column] = states[best]
        return prompt

    def _score(self, probability: np.ndarray, alike: np.ndarray) -> np.ndarray:
        """What the best token has most of. Shapes: both (B, k) -> (B, k) float32.

        Spec: samplers.contrastive.score
        """
        alpha = np.float32(self.alpha)
        return np.float32(1 - self.alpha) * probability - alpha * alike.astype(np.float32)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return {**super().get_config(), "k": self.k, "alpha": self.alpha}


def similarity(history: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The highest cosine between a candidate's state and an earlier one; -1 if there is none, 0 with a zero vector.

    Shapes: history (B, t, E), states (B, k, E) -> (B, k).
    Spec: samplers.contrastive.score
    """
    if not history.shape[1]:
        return np.full(states.shape[:2], -1, states.dtype)
    products = np.einsum("bte,bke->btk", history, states)
    lengths = np.sqrt(np.square(history).sum(axis=-1))[:, :, None] * np.sqrt(np.square(states).sum(axis=-1))[:, None]
    return (products / np.where(lengths > 0, lengths, 1)).max(axis=1)


def _checked_states(hidden_states: np.ndarray | None) -> np.ndarray:
    """An own copy of the hidden states, which there must be (spec: samplers.contrastive.hidden-states)."""
    if hidden_states is None:
        raise InputError(
            "`ContrastiveSampler` requires passing `hidden_states`, but received `None`.",
            "It compares hidden states: the prompt's must be passed, and `next` must give the new ones.",
            "Pass hidden_states of shape (batch, length, hidden_dim), or use another sampler.",
            "samplers.contrastive.hidden-states",
        )
    return np.array(hidden_states)
