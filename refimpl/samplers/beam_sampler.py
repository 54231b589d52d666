"""Beam search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refimpl.random.draws import log32
from refimpl.samplers.arguments import checked_count
from refimpl.samplers.cache_rows import repeated, taken
from refimpl.samplers.ranking import top_k
from refimpl.samplers.sampler import Next, Sampler, all_stopped, own_copies
from refimpl.samplers.serialization import named

NOT_LIVE = np.float32(-1e9)  # the score of a beam that is still a copy of the first one


@named("beam")
class BeamSampler(Sampler):
    """The sequence with the highest sum of log probabilities among the `num_beams` that are followed.

    A beam that has said a stop token is extended and scored like any other; there is no length penalty.

    Spec: samplers.beam.score, samplers.beam.first-step, samplers.beam.cache-follows, samplers.beam.finished-go-on,
        samplers.beam.forced-columns, samplers.beam.stop
    """

    def __init__(self, num_beams: int = 5, return_all_beams: bool = False, temperature: float = 1.0) -> None:
        super().__init__(temperature)
        self.num_beams = checked_count("num_beams", num_beams)
        self.return_all_beams = return_all_beams

    def __call__(  # type: ignore[override]
        self,
        next: Next,
        prompt: np.ndarray,
        cache: Any = None,
        index: int = 0,
        mask: np.ndarray | None = None,
        stop_token_ids: Sequence[int] | None = None,
        hidden_states: np.ndarray | None = None,
        model: Any = None,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """The best beam of each row; with `return_all_beams` all of them and their scores, the best first.

        Shapes: prompt and mask (B, T), with K beams -> (B, T), or (B, K, T) and (B, K) float32.
        Spec: samplers.beam.best, samplers.beam.return-all
        """
        prompt, mask = own_copies(prompt, mask)
        rows, width = prompt.shape
        prompt, mask, cache = repeated(prompt, self.num_beams), repeated(mask, self.num_beams), self._beams(cache)
        scores = np.tile(np.where(np.arange(self.num_beams) == 0, np.float32(0), NOT_LIVE), (rows, 1))
        for column in range(int(index), width):
            if all_stopped(prompt[:, :column], mask[:, :column], stop_token_ids):
                break
            logits, _, cache = next(prompt, cache, column)
            scores, came_from, token = self._best(self.compute_probabilities(logits), scores)
            prompt, cache = prompt[came_from], taken(cache, came_from)
            prompt[:, column] = np.where(mask[:, column], prompt[:, column], token.astype(prompt.dtype))
        prompt = prompt.reshape(rows, self.num_beams, width)
        if self.return_all_beams:
            order = np.argsort(-scores, axis=-1, kind="stable")
            return np.take_along_axis(prompt, order[..., None], axis=1), np.take_along_axis(scores, order, axis=1)
        return prompt[np.arange(rows), scores.argmax(axis=-1)]

    def _beams(self, cache: Any) -> Any:
        """The cache of each row once for every beam. Shapes: (B, ...) -> (B*K, ...)."""
        return repeated(cache, self.num_beams)

    def _best(self, probabilities: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The `K` best of all continuations of a row's beams; equals by beam, then by token id.

        Shapes: probabilities (B*K, V), scores (B, K) -> scores (B, K), the beam each came from, as a row number of
            B*K, and its token, both (B*K,).
        Spec: samplers.beam.score
        """
        rows, beams = scores.shape
        size = probabilities.shape[-1]
        candidates = (log32(probabilities) + scores.reshape(-1, 1)).reshape(rows, beams * size)
        scores, chosen = top_k(candidates, beams)
        came_from = chosen // size + beams * np.arange(rows)[:, None]
        return scores, came_from.reshape(-1), (chosen % size).reshape(-1)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return {**super().get_config(), "num_beams": self.num_beams, "return_all_beams": self.return_all_beams}
