"""Top-k sampling."""

from typing import Any

import numpy as np

from refimpl.random import SeedGenerator, categorical
from refimpl.random.draws import log32
from refimpl.samplers.arguments import checked_count
from refimpl.samplers.ranking import top_k
from refimpl.samplers.sampler import Sampler
from refimpl.samplers.serialization import named


@named("top_k")
class TopKSampler(Sampler):
    """One of the `k` most probable tokens, in proportion to their probabilities.

    Spec: samplers.top-k.support, samplers.top-k.order, samplers.seed.state
    Source: Fan et al. 2018, section 5.4
    """

    def __init__(self, k: int = 5, seed: int | None = None, temperature: float = 1.0) -> None:
        super().__init__(temperature)
        self.k = checked_count("k", k)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def get_next_token(self, probabilities: np.ndarray) -> np.ndarray:
        """Shapes: (B, V) -> (B,). The draw is over ranks: noise of shape (B, k), the highest probability first."""
        highest, ids = top_k(probabilities, self.k)
        rank = categorical(log32(highest), self.seed_generator)
        return np.take_along_axis(ids, rank[:, None], axis=-1)[:, 0]

    def get_distribution(self, probabilities: np.ndarray) -> np.ndarray:
        """The distribution that tokens are drawn from. Shapes: (B, V) -> (B, V)."""
        highest, ids = top_k(probabilities, self.k)
        kept = np.zeros_like(probabilities)
        np.put_along_axis(kept, ids, highest / highest.sum(axis=-1, keepdims=True), axis=-1)
        return kept

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes; how many draws were made is not part of it."""
        return {**super().get_config(), "k": self.k, "seed": self.seed}
