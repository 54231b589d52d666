"""Random numbers for fresh weights: one process-wide generator that `set_random_seed` restarts."""

import random as python_random

import numpy as np

_generator = np.random.default_rng()


def set_random_seed(seed: int) -> None:
    """Restart what fresh weights and samplers without a seed draw from, so that both can be repeated.

    Python's own generator is seeded too, as Keras does: a sampler without a seed takes its seed from there.

    Spec: models.weights.initializers, samplers.seed.none
    """
    global _generator
    _generator = np.random.default_rng(seed)
    python_random.seed(seed)


def truncated_normal(shape: tuple[int, ...], stddev: float) -> np.ndarray:
    """Normal numbers of mean 0, redrawn until they lie within two standard deviations, as Keras's initializer does.

    Shapes: returns `shape`, float64.
    """
    x = _generator.standard_normal(shape)
    while (outside := np.abs(x) > 2.0).any():
        x[outside] = _generator.standard_normal(int(outside.sum()))
    return x * stddev


def random_normal(shape: tuple[int, ...], stddev: float) -> np.ndarray:
    """Normal numbers of mean 0, however far out, as Keras's initializer of that name gives. Shapes: returns `shape`."""
    return _generator.standard_normal(shape) * stddev


def draw_seed() -> int:
    """A seed for random numbers that must be drawn again and again: dropout masks, the order of samples."""
    return int(_generator.integers(2**63))
