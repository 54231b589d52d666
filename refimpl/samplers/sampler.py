"""The loop that all samplers share: from logits to probabilities to the next token, until every row has stopped."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import numpy as np

from refimpl.errors import InputError, NotANumberWarning, NotImplementedByModelError
from refimpl.samplers.arguments import built, checked_temperature

Next = Callable[[np.ndarray, Any, int], tuple[np.ndarray, Any, Any]]


class Sampler:
    """Chooses tokens. Subclasses define `get_next_token`; everything else may be left as it is.

    Raises: ConfigError for a temperature below 0.
    Spec: samplers.loop.temperature, samplers.temperature.range, samplers.custom
    """

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = checked_temperature(temperature)

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
        """Fill `prompt` from column `index` on; columns that `mask` marks as prompt keep their token.

        `next(prompt, cache, index)` gives logits (B, V), hidden states (B, E) and the cache for column `index`.

        Shapes: prompt (B, T) ids, mask (B, T) bool -> (B, T), a new array.
        Spec: samplers.loop.prompt-kept, samplers.loop.stop
        """
        prompt, mask = own_copies(prompt, mask)
        for _ in self.steps(next, prompt, cache, int(index), mask, stop_token_ids):
            pass
        return prompt

    def steps(
        self,
        next: Next,
        prompt: np.ndarray,
        cache: Any,
        index: int,
        mask: np.ndarray,
        stop_token_ids: Sequence[int] | None,
    ) -> Iterator[int]:
        """Fill `prompt` in place and give, after each column, how many columns are filled."""
        for column in range(index, prompt.shape[1]):
            if all_stopped(prompt[:, :column], mask[:, :column], stop_token_ids):
                break
            logits, _, cache = next(prompt, cache, column)
            token = self._checked_token(self.get_next_token(self.compute_probabilities(logits)), len(prompt))
            prompt[:, column] = np.where(mask[:, column], prompt[:, column], token.astype(prompt.dtype))
            yield column + 1

    def get_next_token(self, probabilities: np.ndarray) -> np.ndarray:
        """The next token of each row. Shapes: (B, V) -> (B,)."""
        raise NotImplementedByModelError(
            f"{type(self).__name__} has no get_next_token().",
            "A sampler must define get_next_token(probabilities) -> token ids.",
            "Define it, or use a sampler by name: compile(sampler='greedy').",
            "samplers.custom",
        )

    def compute_probabilities(self, logits: np.ndarray) -> np.ndarray:
        """`softmax(logits / temperature)`, in float32 whatever the model computes in.

        At temperature 0 the most probable token, of equals the one with the lowest id, has all probability.

        Shapes: (B, V) -> (B, V) float32.
        Spec: samplers.loop.temperature, samplers.temperature.zero, samplers.not-a-number
        """
        scores, temperature = np.asarray(logits, np.float32), np.float32(self.temperature)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            scaled = scores / temperature
            highest = (scaled if temperature else scores).max(axis=-1, keepdims=True)
            weights = np.exp((scaled - highest).astype(np.float64)).astype(np.float32)
            found = weights / weights.sum(axis=-1, keepdims=True, dtype=np.float64).astype(np.float32)
        if np.isnan(highest).any():
            _warn_of_nan()
        # A temperature of 0, or as good as 0 for these logits: the limit, as infinities can't be told apart.
        sure = np.isinf(highest) if temperature else np.ones_like(highest, bool)
        return np.where(sure, all_on_one(scores.argmax(axis=-1), scores.shape[-1]), found)

    def _checked_token(self, token: Any, rows: int) -> np.ndarray:
        """A user's `get_next_token` must give one id a row (spec: samplers.custom)."""
        ids = np.asarray(token)
        if ids.shape != (rows,):
            raise InputError(
                f"get_next_token() of {type(self).__name__} gave an array of shape {ids.shape} for {rows} rows.",
                "It must give one token id a row, shape (batch,).",
                "Reduce over the vocabulary, for example probabilities.argmax(axis=-1).",
                "samplers.custom",
            )
        return ids

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes. Spec: samplers.config.round-trip"""
        return {"temperature": self.temperature}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build from `get_config()`'s dictionary. Spec: samplers.config.round-trip"""
        return built(cls, config)


def _warn_of_nan() -> None:
    """KerasHub goes on without a word; what follows is no model's text."""
    warnings.warn(
        "The model's logits are not numbers (NaN). Tokens chosen from them mean nothing. "
        "Look for NaN in the weights: refimpl inspect shows their spread. [samplers.not-a-number]",
        NotANumberWarning,
        stacklevel=3,
    )


def all_on_one(tokens: np.ndarray, size: int) -> np.ndarray:
    """The distribution that is sure. Shapes: (B,) -> (B, size) float32, a single 1 in each row."""
    return (np.arange(size) == np.asarray(tokens)[:, None]).astype(np.float32)


def all_stopped(generated: np.ndarray, is_prompt: np.ndarray, stop_token_ids: Sequence[int] | None) -> bool:
    """Whether every row has said a stop token; what the prompt holds does not count.

    Shapes: both (B, t), the columns so far.
    Spec: samplers.loop.stop
    """
    if stop_token_ids is None:
        return False
    said = np.isin(generated, stop_token_ids) & ~is_prompt
    return bool(said.any(axis=-1).all())


def own_copies(prompt: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The prompt as an array of its own, and the mask as bool: no mask means no prompt, 1 means True.

    Spec: samplers.loop.integer-mask, samplers.loop.float-prompt
    """
    ids = np.array(prompt)
    return ids, np.zeros(ids.shape, bool) if mask is None else np.asarray(mask).astype(bool)
