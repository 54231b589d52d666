"""Samplers: probabilities -> token. They know no model."""

from refimpl.samplers.greedy_sampler import GreedySampler
from refimpl.samplers.sampler import Sampler
from refimpl.samplers.serialization import get

__all__ = ["GreedySampler", "Sampler", "get"]
