"""Sampling from the model's own distribution."""

from typing import Any

import numpy as np

from refimpl.random import SeedGenerator, categorical
from refimpl.random.draws import log32
from refimpl.samplers.sampler import Sampler
from refimpl.samplers.serialization import named


@named("random")
class RandomSampler(Sampler):
    """Each token with its probability.

    Spec: samplers.random.distribution, samplers.seed.state
    """

    def __init__(self, seed: int | None = None, temperature: float = 1.0) -> None:
        super().__init__(temperature)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def get_next_token(self, probabilities: np.ndarray) -> np.ndarray:
        """Shapes: (B, V) -> (B,)."""
        return categorical(log32(probabilities), self.seed_generator)

    def get_distribution(self, probabilities: np.ndarray) -> np.ndarray:
        """The distribution that tokens are drawn from. Shapes: (B, V) -> (B, V)."""
        return np.asarray(probabilities)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes; how many draws were made is not part of it."""
        return {**super().get_config(), "seed": self.seed}
