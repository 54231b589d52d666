"""Greedy search."""

import numpy as np

from refimpl.samplers.sampler import Sampler, all_on_one
from refimpl.samplers.serialization import named


@named("greedy")
class GreedySampler(Sampler):
    """Always the most probable token; of equals the one with the lowest id.

    Spec: samplers.greedy.argmax, samplers.greedy.ties
    """

    def get_next_token(self, probabilities: np.ndarray) -> np.ndarray:
        """Shapes: (B, V) -> (B,)."""
        return np.asarray(probabilities).argmax(axis=-1)

    def get_distribution(self, probabilities: np.ndarray) -> np.ndarray:
        """All on the token that is taken. Shapes: (B, V) -> (B, V)."""
        return all_on_one(self.get_next_token(probabilities), probabilities.shape[-1])
