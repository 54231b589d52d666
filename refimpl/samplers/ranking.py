"""Which tokens come first: descending order, and sums along it."""

import numpy as np

from refimpl.errors import ConfigError

BLOCK = 16


def top_k(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` highest values in descending order, equals by ascending index, and their indices.

    Shapes: (B, V) -> (B, k), (B, k).
    Raises: ConfigError if there are fewer than `k`.
    Spec: samplers.top-k.order, samplers.top-k.over-vocabulary
    """
    if k > values.shape[-1]:
        raise ConfigError(
            f"k={k} was passed, and the vocabulary has {values.shape[-1]} tokens.",
            "k must not be over the size of the vocabulary.",
            "Pass a smaller k; for the whole vocabulary use the sampler 'random', or 'top_p' without k.",
            "samplers.top-k.over-vocabulary",
        )
    order = np.stack([_highest(row, k) for row in values])
    return np.take_along_axis(values, order, axis=-1), order


def _highest(values: np.ndarray, k: int) -> np.ndarray:
    """Indices of the `k` highest values; only those that are not below the k-th are sorted. Shapes: (V,) -> (k,)."""
    candidates = np.flatnonzero(~(values < np.partition(values, -k)[-k]))
    return candidates[np.argsort(-values[candidates], kind="stable")[:k]]


def cumulative(values: np.ndarray) -> np.ndarray:
    """Running sums in float32: within blocks of 16 first, then the sums of the blocks before are added.

    The order of additions decides the last bit, and so which token is the last one under a threshold. This is XLA's
    order; the result is the same bit for bit.

    Shapes: (B, V) -> (B, V).
    Spec: samplers.top-p.cumulative
    """
    rows, width = values.shape
    if width <= BLOCK:
        return np.add.accumulate(values, axis=-1, dtype=np.float32)
    blocks = -(-width // BLOCK)
    padded = np.zeros((rows, blocks * BLOCK), np.float32)
    padded[:, :width] = values
    within = np.add.accumulate(padded.reshape(rows, blocks, BLOCK), axis=-1)
    within[:, 1:] += cumulative(within[..., -1])[:, :-1, None]
    return within.reshape(rows, -1)[:, :width]
