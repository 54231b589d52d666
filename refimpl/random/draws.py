"""Draws from a distribution, as JAX makes them from a key's random bits.

Logarithms are rounded once, from float64 to float32, so that the noise has the same bits on every machine; XLA's own
polynomial strays from that by one unit in the last place for some arguments.
"""

import numpy as np

from refimpl.random.seed_generator import SeedGenerator
from refimpl.random.threefry import bits_at, random_bits

TINY = np.finfo(np.float32).tiny


def log32(x: np.ndarray) -> np.ndarray:
    """The natural logarithm in float32, `-inf` of zero. Shapes: (...) -> (...) float32."""
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(x, np.float64)).astype(np.float32)


def uniform(key: np.ndarray, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Numbers in `[low, high)` with 23 random bits each. Shapes: key (2,) uint32 -> `shape` float32.

    Spec: samplers.random.uniform
    """
    return _between(random_bits(key, int(np.prod(shape))), low, high).reshape(shape)


def _between(bits: np.ndarray, low: float, high: float) -> np.ndarray:
    fraction = (bits >> np.uint32(9) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
    first, last = np.float32(low), np.float32(high)
    return np.maximum(first, fraction * (last - first) + first)


def gumbel(key: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Gumbel noise: `-log(-log(u))` of `u` in (0, 1). Shapes: key (2,) uint32 -> `shape` float32.

    Spec: samplers.random.gumbel
    """
    return gumbel_at(key, np.arange(int(np.prod(shape)), dtype=np.uint64)).reshape(shape)


def gumbel_at(key: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """The noise at places of the stream. Shapes: key (2,) uint32, counters (...) uint64 -> (...) float32."""
    u = _between(bits_at(key, counters.reshape(-1)), float(TINY), 1.0)
    return -log32(-log32(u)).reshape(counters.shape)


def categorical(log_probabilities: np.ndarray, seed: SeedGenerator) -> np.ndarray:
    """One draw a row: where log probability plus noise is highest. A probability of zero is never drawn.

    Shapes: (B, V) -> (B,) int64.
    Spec: samplers.random.gumbel, samplers.seed.state
    """
    scores = np.asarray(log_probabilities, np.float32)
    return (scores + gumbel(seed.next(), scores.shape)).argmax(axis=-1)
