"""Greedy search."""

import numpy as np

from refimpl.samplers.sampler import Sampler


class GreedySampler(Sampler):
    """Always the most probable token; of equals the one with the lowest id.

    Spec: samplers.greedy.argmax, samplers.greedy.ties
    """

    def get_next_token(self, probabilities: np.ndarray) -> np.ndarray:
        """Shapes: (B, V) -> (B,)."""
        return np.asarray(probabilities).argmax(axis=-1)
