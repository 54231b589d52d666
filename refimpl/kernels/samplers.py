"""Twins of samplers: the same tokens, without sorting whole vocabularies, and rows that have stopped cost nothing.

What is skipped cannot be chosen, and what remains is computed as the definition computes it. Where a shortcut is not
sure, the definition is asked.
"""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refimpl.kernels.eligibility import replaced
from refimpl.kernels.jit import jit, jit_inside
from refimpl.loading import call
from refimpl.random.draws import TINY, gumbel_at, log32
from refimpl.random.threefry import rounds
from refimpl.samplers import ranking

Choose = Callable[[Any, np.ndarray, np.ndarray], np.ndarray]

_ENOUGH = 64  # ranks that top-p looks at first
jit_inside(rounds)  # the definition, compiled where a kernel calls it
_ONE, _TINY = np.float32(1.0), np.float32(TINY)
_ROW_METHODS, _BEAM_METHODS = ("get_next_token", "compute_probabilities", "steps"), ("_best", "compute_probabilities")
_BEAM = ("refimpl.samplers.beam_sampler", "BeamSampler")
_NO_STATES = ("refimpl.samplers.sampler", "refimpl.samplers.beam_sampler")


def sampler_of(sampler: Any, steps: Any) -> Any:
    """The twin of a sampler for these steps, or the sampler itself if it has none.

    A subclass has none, nor has a sampler with replaced methods: what they redefine must be used.
    """
    kind = (type(sampler).__module__, type(sampler).__name__)
    choose = CHOICES.get(kind)
    if (choose is None and kind != _BEAM) or replaced(sampler, _ROW_METHODS if choose else _BEAM_METHODS):
        return sampler
    twin = copy.copy(sampler)
    if choose is None:
        twin._best = functools.partial(best_beams, twin)
    else:
        # Greater temperatures make rivals of farther scores than a short list tells apart, negative ones of the lowest.
        steps.best_only = choose is greedy and 0.0 <= sampler.temperature <= 1.0
        twin.steps = functools.partial(_row_by_row, choose, sampler, steps)
    return twin


def looks_at_states(sampler: Any) -> bool:
    """Whether a sampler may look at the states of the prompt: only loops of this project are known not to."""
    return getattr(type(sampler).__call__, "__module__", "") not in _NO_STATES


def _row_by_row(
    choose: Choose, sampler: Any, steps: Any, _: Any, prompt: np.ndarray, cache: np.ndarray, index: int,
    mask: np.ndarray, stop_token_ids: Sequence[int] | None,
) -> Iterator[int]:  # fmt: skip
    """The loop `refimpl.samplers.Sampler.steps` over the rows that have not stopped."""
    live = np.arange(len(prompt))
    for column in range(index, prompt.shape[1]):
        if stop_token_ids is not None:
            first = 0 if column == index else column - 1  # columns that were looked at need no second look
            said = np.isin(prompt[live, first:column], stop_token_ids) & ~mask[live, first:column]
            live = live[~said.any(axis=1)]
            if not live.size:
                break
        logits, cache = steps.rows(prompt, cache, column, live)
        token = choose(sampler, logits, live).astype(prompt.dtype)
        prompt[live, column] = np.where(mask[live, column], prompt[live, column], token)
        yield column + 1


@np.errstate(invalid="ignore")
def best_beams(
    sampler: Any, probabilities: np.ndarray, scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The twin of `BeamSampler._best`: only what may be among the best of its own beam is ranked.

    Shapes: probabilities (B*K, V), scores (B, K) -> scores (B, K), the beams they came from and tokens, both (B*K,).
    Spec: samplers.beam.score
    """
    rows, beams = scores.shape
    before, last = scores.reshape(-1), probabilities.shape[1] - beams
    if last < 0 or np.isnan(probabilities.max()):
        return type(sampler)._best(sampler, probabilities, scores)
    # A total is rounded, so a token a little less probable than the last of the best may tie with it; then the lower
    # id goes first.
    least = np.partition(probabilities, last, axis=1)[:, last]
    worst = log32(least) + before
    slack = np.where(np.isfinite(worst), 4.0 * np.spacing(np.abs(worst)) + 1e-6, np.inf)
    beam, token = np.nonzero(probabilities >= (least * np.exp(-slack) * (1.0 - 1e-6))[:, None])
    total = log32(probabilities[beam, token]) + before[beam]
    order = np.lexsort((-total, beam // beams))  # by row, then the best first, of equals the lower beam and token
    found = order[np.searchsorted(beam, np.arange(rows) * beams)[:, None] + np.arange(beams)]
    return total[found], beam[found].reshape(-1), token[found].reshape(-1)


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
        return np.asarray(sampler.get_next_token(sampler.compute_probabilities(logits)))
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
    call(bounds, key, noise_rows.astype(np.int64), probabilities, found)
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


# By module and name of the class whose definition the twin repeats.
CHOICES: dict[tuple[str, str], Choose] = {
    ("refimpl.samplers.greedy_sampler", "GreedySampler"): greedy,
    ("refimpl.samplers.random_sampler", "RandomSampler"): random,
    ("refimpl.samplers.top_k_sampler", "TopKSampler"): top_k,
    ("refimpl.samplers.top_p_sampler", "TopPSampler"): top_p,
}
