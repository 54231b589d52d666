"""Samplers: probabilities -> token. They know no model."""

from refimpl.samplers.beam_sampler import BeamSampler
from refimpl.samplers.contrastive_sampler import ContrastiveSampler
from refimpl.samplers.greedy_sampler import GreedySampler
from refimpl.samplers.random_sampler import RandomSampler
from refimpl.samplers.sampler import Sampler
from refimpl.samplers.serialization import deserialize, get, serialize
from refimpl.samplers.speculative_sampler import SpeculativeSampler
from refimpl.samplers.top_k_sampler import TopKSampler
from refimpl.samplers.top_p_sampler import TopPSampler

__all__ = [
    "BeamSampler",
    "ContrastiveSampler",
    "GreedySampler",
    "RandomSampler",
    "Sampler",
    "SpeculativeSampler",
    "TopKSampler",
    "TopPSampler",
    "deserialize",
    "get",
    "serialize",
]
