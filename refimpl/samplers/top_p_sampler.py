"""Top-p (nucleus) sampling."""

from typing import Any

import numpy as np

from refimpl.random import SeedGenerator, categorical
from refimpl.random.draws import log32
from refimpl.samplers.arguments import checked_count, checked_fraction
from refimpl.samplers.ranking import cumulative, top_k
from refimpl.samplers.sampler import Sampler
from refimpl.samplers.serialization import named


@named("top_p")
class TopPSampler(Sampler):
    """One of the most probable tokens that together just exceed `p`, in proportion to their probabilities.

    `k` looks at the `k` most probable tokens only; their probabilities are not scaled up before `p` is applied.

    Spec: samplers.top-p.support, samplers.top-p.boundary, samplers.top-p.first-kept, samplers.top-p.with-k
    Source: Holtzman et al. 2020, section 3.1
    """

    def __init__(self, p: float = 0.1, k: int | None = None, seed: int | None = None, temperature: float = 1.0) -> None:
        super().__init__(temperature)
        self.p = checked_fraction("p", p)
        self.k = None if k is None else checked_count("k", k)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def get_next_token(self, probabilities: np.ndarray) -> np.ndarray:
        """Shapes: (B, V) -> (B,). The draw is over ranks: noise of shape (B, k or V), the highest first."""
        kept, ids = self._kept(probabilities)
        rank = categorical(log32(kept), self.seed_generator)
        return np.take_along_axis(ids, rank[:, None], axis=-1)[:, 0]

    def get_distribution(self, probabilities: np.ndarray) -> np.ndarray:
        """The distribution that tokens are drawn from. Shapes: (B, V) -> (B, V)."""
        kept, ids = self._kept(probabilities)
        found = np.zeros_like(probabilities)
        np.put_along_axis(found, ids, kept / kept.sum(axis=-1, keepdims=True), axis=-1)
        return found

    def _kept(self, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities by rank, zero from where the ranks before hold more than `p`; and the ranks' tokens.

        Shapes: (B, V) -> (B, k or V), (B, k or V).
        Spec: samplers.top-p.boundary, samplers.top-p.first-kept
        """
        highest, ids = top_k(probabilities, self.k or probabilities.shape[-1])
        keep = np.ones(highest.shape, bool)
        keep[:, 1:] = cumulative(highest)[:, :-1] <= np.float32(self.p)
        return np.where(keep, highest, np.float32(0)), ids

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes; how many draws were made is not part of it."""
        return {**super().get_config(), "p": self.p, "k": self.k, "seed": self.seed}
