"""Twins of `get_next_token(compute_probabilities(logits))`: the same tokens, without sorting whole vocabularies.

What is skipped cannot be chosen, and what remains is computed as the definition computes it. Where a shortcut is not
sure, the definition is asked.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from refimpl.kernels.jit import jit
from refimpl.random import threefry2x32
from refimpl.random.draws import TINY, log32
from refimpl.random.threefry import rounds
from refimpl.samplers import ranking

_ENOUGH = 64  # ranks that top-p looks at first
register_jitable(rounds)  # the definition, compiled where a kernel calls it
_ONE, _TINY = np.float32(1.0), np.float32(TINY)


def defined(sampler: Any, logits: np.ndarray) -> np.ndarray:
    """The definition."""
    return np.asarray(sampler.get_next_token(sampler.compute_probabilities(logits)))


def greedy(sampler: Any, logits: np.ndarray, _: np.ndarray) -> np.ndarray:
    """The most probable token. Where others come near it, rounding decides, and the definition is asked.

    Spec: samplers.greedy.argmax, samplers.greedy.ties
    """
    token = logits.argmax(axis=1)
    highest = logits[np.arange(len(logits)), token]
    near = 1e-6 * sampler.temperature + 1e-6 * np.abs(highest)
    rivals = np.count_nonzero(logits >= (highest - near).astype(np.float32)[:, None], axis=1)
    scaled = highest / np.float32(sampler.temperature or 1.0)
    if (rivals != 1).any() or sampler.temperature < 0 or not np.isfinite(scaled).all():
        return defined(sampler, logits)
    return token


def top_k(sampler: Any, logits: np.ndarray, noise_rows: np.ndarray) -> np.ndarray:
    """One of the `k` most probable tokens. Spec: samplers.top-k.support, samplers.top-k.order"""
    highest, ids = ranking.top_k(sampler.compute_probabilities(logits), sampler.k)
    return _drawn(sampler, highest, ids, noise_rows, sampler.k)


def top_p(sampler: Any, logits: np.ndarray, noise_rows: np.ndarray) -> np.ndarray:
    """One of the most probable tokens that together exceed `p`. Ranks beyond cannot be drawn and need no noise.

    Spec: samplers.top-p.support, samplers.top-p.boundary
    """
    probabilities = sampler.compute_probabilities(logits)
    width = sampler.k or probabilities.shape[1]
    looked_at = min(width, _ENOUGH)
    while True:
        highest, ids = ranking.top_k(probabilities, looked_at)
        sums = ranking.cumulative(highest)  # of a prefix: the same bits as the prefix of all sums
        if looked_at == width or (sums[:, -1] > np.float32(sampler.p)).all():
            break
        looked_at = min(width, looked_at * 8)
    keep = np.ones(highest.shape, bool)
    keep[:, 1:] = sums[:, :-1] <= np.float32(sampler.p)
    return _drawn(sampler, np.where(keep, highest, np.float32(0)), ids, noise_rows, width)


def random(sampler: Any, logits: np.ndarray, noise_rows: np.ndarray) -> np.ndarray:
    """A draw over the whole vocabulary. Exact scores are computed of the tokens that may have the highest one.

    Spec: samplers.random.gumbel, samplers.random.distribution
    """
    probabilities = sampler.compute_probabilities(logits)
    rows, size = probabilities.shape
    key, found = sampler.seed_generator.next(), np.empty((rows, size), np.float32)
    bounds(key, noise_rows.astype(np.int64), probabilities, found)
    tokens = np.empty(rows, np.int64)
    for row in range(rows):
        start, likely = int(noise_rows[row]) * size, int(found[row].argmax())
        # In the best bound's own score lies what the winner must reach; rounding moves a score by 1e-5 at most.
        least = np.exp(_score(probabilities[row, [likely]], key, np.array([start + likely]))[0] - np.float32(1e-4))
        ids = np.flatnonzero(~(found[row] < least))
        tokens[row] = ids[_score(probabilities[row, ids], key, start + ids).argmax()]
    return tokens


def _score(probabilities: np.ndarray, key: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """The definition's score of some tokens, whose noise is at these places. Shapes: both (n) -> (n)."""
    return log32(probabilities) + gumbel_at(key, counters.astype(np.uint64))


def _drawn(sampler: Any, probabilities: np.ndarray, ids: np.ndarray, noise_rows: np.ndarray, width: int) -> np.ndarray:
    """A draw over ranks, with the noise that these rows have in a batch whose noise is `width` wide.

    Shapes: probabilities, ids (n, ranks), noise_rows (n) -> (n).
    Spec: samplers.random.gumbel, samplers.seed.state
    """
    counters = noise_rows[:, None].astype(np.uint64) * np.uint64(width) + np.arange(ids.shape[1], dtype=np.uint64)
    scores = log32(probabilities) + gumbel_at(sampler.seed_generator.next(), counters)
    return np.take_along_axis(ids, scores.argmax(axis=1)[:, None], axis=1)[:, 0]


def gumbel_at(key: np.ndarray, counters: np.ndarray) -> np.ndarray:
    """Gumbel noise at places of the stream: what `refimpl.random.gumbel` has there.

    Shapes: key (2,), counters (...) uint64 -> (...) float32.
    """
    flat = counters.reshape(-1)
    low, high = (flat & np.uint64(0xFFFFFFFF)).astype(np.uint32), (flat >> np.uint64(32)).astype(np.uint32)
    x, y = threefry2x32(key, high, low)
    fraction = ((x ^ y) >> np.uint32(9) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)
    u = np.maximum(TINY, fraction * (np.float32(1) - TINY) + TINY)
    return -log32(-log32(u)).reshape(counters.shape)


@jit
def bounds(key: np.ndarray, rows: np.ndarray, probabilities: np.ndarray, found: np.ndarray) -> None:
    """For each token a number that `p / -log(u)` does not exceed: `p / (1 - u)`.

    The token with the highest `log(p) + noise` is the one with the highest `p / -log(u)`, the noise being
    `-log(-log(u))`. Row n has the counters that the row `rows[n]` of a whole batch has.

    Shapes: key (2,) uint32, rows (n,) int64, probabilities (n, V) float32 -> found (n, V).
    """
    size = probabilities.shape[1]
    for n in range(len(rows)):
        start = rows[n] * size
        for i in range(size):
            counter = start + i
            x, y = rounds(key[0], key[1], np.uint32(counter >> 32), np.uint32(counter))
            bits = np.uint32(np.uint32((x ^ y) >> np.uint32(9)) | np.uint32(0x3F800000))
            u = max(_TINY, bits.view(np.float32) - _ONE)
            found[n, i] = probabilities[n, i] / (_ONE - u)
