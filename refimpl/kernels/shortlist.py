"""Greedy choice without reading all of the head's table: maximum inner product search in a quantized copy.

A copy of six bits a number, a fifth of the bytes, gives estimates of all scores; the candidates, whose scores may be
the highest, are ranked again by scores from the table itself. Such searches are approximate as a rule (Guo, Chen).
This one is exact, as the VA-file is: quantize.py bounds how far an estimate is from the score that `unembed` computes,
so no token that could be chosen is left out; and the scores that are compared are `unembed`'s own, bit by bit. Where
candidates are too many, or two scores too close, the choice is left open.

The order to read: codes.py (six bits), quantize.py (copy and bound), this file (one step), greedy_loop.py (when).

Spec: kernels.shortlist
Source: Guo et al. 2020, Accelerating Large-Scale Inference with Anisotropic Vector Quantization: search in quantized
    vectors. Chen et al. 2019, Learning to Screen for Fast Softmax Inference on Large Vocabulary Neural Networks: first
    candidates, then their scores. Weber, Schek and Blott 1998, A Quantitative Analysis and Performance Study for
    Similarity-Search Methods in High-Dimensional Spaces: the VA-file, whose bounds leave no neighbor out.
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels import places
from refimpl.kernels.codes import estimates_of
from refimpl.kernels.legacy_jit import entry, inner, once, whole, words_at
from refimpl.kernels.likeliest import UNSURE, certain, highest, rival
from refimpl.kernels.linear import dot, share
from refimpl.kernels.quantize import groups_of, quantize_row
from refimpl.kernels.rows import fetch_line
from refimpl.kernels.vector import fma, get, load, not_below, put, splat

from refimpl.kernels.places import (  # isort: skip
    BUFFERS, COPY_NORMS, FOUND, HEAD, HIGH_BITS, LINE_SCALES, LIST_ROOM, LISTS, LOGITS, LOW_BITS, NUMBERS, RESIDUALS,
    ROWS, SIZES, TEMPERATURE, VOCABULARY, WIDTH,
)  # fmt: skip

_LOWEST, _NAN = np.float32(-math.inf), np.float32(math.nan)
_TRIPLE = 3  # numbers that a thread finds for a row
most_candidates = inner(places.most_candidates)
_eight_rows, _one_row = estimates_of(8, 2), estimates_of(1, 4)


@entry
def shortlist(rank: int, team: int, size_of: int, top_of: int, buffer_of: int, states: int) -> None:
    """Each row's best token among a thread's, its score and the next one's, to `buffers[FOUND]`.

    A token lies in `found` as a float32, which is exact up to 2^24. The step calls this by its address, and gives the
    addresses of `sizes`, `tops` and `buffers`: so it is compiled apart, and a first run of a small model does not wait.

    Shapes: states (rows, width), found (team, rows, 3).
    """
    sizes, tops, buffers = words_at(size_of, SIZES), words_at(top_of, HEAD + 1), words_at(buffer_of, BUFFERS)
    rows, width, size = sizes[ROWS], sizes[WIDTH], sizes[VOCABULARY]
    groups, eights = groups_of(width), (rows + 7) // 8 * 8
    rounded = buffers[LISTS] + rank * sizes[LIST_ROOM] * 4
    scales = rounded + groups * 128 * eights
    offsets, norms, residuals = scales + eights * 4, scales + 2 * eights * 4, scales + 3 * eights * 4
    spare = residuals + eights * 4
    for r in range(rows):
        scale, offset, norm, residual = quantize_row(states + r * width * 4, width, spare, rounded + r * groups * 128)
        put(norms, r, norm)
        put(residuals, r, residual)
        for n in range(r, r + 1 if r + 1 < rows else eights):
            put(scales, n, scale)
            put(offsets, n, offset)
    first, end = share(size, whole(16), rank, team)
    stop = first + (end - first) // 16 * 16
    estimate(rows, groups, rounded, scales, offsets, buffers, first, stop, size)
    for r in range(rows):
        x, estimates = states + r * width * 4, buffers[LOGITS] + r * size * 4
        threshold = _threshold(x, width, estimates, tops[HEAD], first, stop, get(buffers[NUMBERS], TEMPERATURE))
        count = _candidates(get(norms, r), get(residuals, r), buffers, estimates, first, stop, end, threshold, spare)
        _rerank(x, width, tops[HEAD], spare, count, buffers[FOUND] + (rank * rows + r) * _TRIPLE * 4)


@inner
def estimate(
    rows: int, groups: int, rounded: int, scales: int, offsets: int, buffers: np.ndarray, first: int, end: int,
    size: int,
) -> None:  # fmt: skip
    """Estimates of the scores of the tokens `first` to `end`, a multiple of four in number, of all rows."""
    once()
    count = 4 if rows == 1 else 2  # streams of the copy that are read at the same time
    each = (end - first) // count
    for v in range(first, first + each):
        low, high = buffers[LOW_BITS] + v * groups * 64, buffers[HIGH_BITS] + v * groups * 32
        line_scales, out = buffers[LINE_SCALES] + v * 4, buffers[LOGITS] + v * 4
        if rows == 1:
            _one_row(rounded, rows, groups, scales, offsets, low, high, each, whole(1), line_scales, out, size)
        for r in range(0, rows if rows > 1 else 0, 8):
            ahead = 0 if r else 2
            _eight_rows(
                rounded + r * groups * 128, min(8, rows - r), groups, scales + r * 4, offsets + r * 4, low, high, each,
                ahead, line_scales, out + r * size * 4, size,
            )  # fmt: skip


@inner
def _threshold(x: int, width: int, estimates: int, table: int, first: int, stop: int, temperature: float) -> Any:
    """What a score must reach to be the best or a rival of it.

    The best score is not below that of the token with the highest estimate, so its rivals are not below the rival of
    that; twice the margin is for the rounding of this difference.
    """
    once()
    if first == stop:
        return _LOWEST
    token, most = first, highest(estimates + first * 4, stop - first)
    for i in range(first, stop, 16):
        if not_below(load(estimates, i), splat(most)):
            for n in range(i, i + 16):
                token = n if get(estimates, n) == most else token
            break
    score = dot(x, table + token * width * 4, width)
    return score - np.float32(2.0) * (score - rival(score, temperature))


@inner
def _candidates(
    norm: float, residual: float, buffers: np.ndarray, estimates: int, first: int, stop: int, end: int,
    threshold: float, ids: int,
) -> int:  # fmt: skip
    """Write the tokens whose scores may reach `threshold`, also all from `stop` to `end`, which have no estimates.

    Gives how many they are, or -1 if they are too many or the row's norm is no number.
    """
    once()
    if not norm > 0.0:
        return -1
    count, limit = 0, most_candidates(stop - first)
    for i in range(first, stop, 16):
        bound = fma(load(buffers[COPY_NORMS], i), splat(residual), load(estimates, i))
        bits, n = not_below(fma(load(buffers[RESIDUALS], i), splat(norm), bound), splat(threshold)), i
        while bits:
            if bits & 1:
                put(ids, count, np.float32(n))
                count += 1
            bits, n = bits >> 1, n + 1
        if count > limit:
            return -1
    for n in range(stop, end):
        put(ids, count, np.float32(n))
        count += 1
    return count


@inner
def _rerank(x: int, width: int, table: int, ids: int, count: int, found: int) -> None:
    """Find the best candidate, its score and the next one's.

    A best score that is NaN says that the choice is open; so does a `count` below zero.
    """
    once()
    best: Any = _LOWEST
    second, chosen = best, 0
    for i in range(count):
        if i + 1 < count:
            fetch_line(table + int(get(ids, i + 1)) * width * 4, width)
        n = int(get(ids, i))
        score = dot(x, table + n * width * 4, width)
        if not score <= best:  # also what is no number
            best, second, chosen = score, best, n
        elif not score <= second:
            second = score
        if math.isnan(best):
            break
    put(found, 0, np.float32(chosen))
    put(found, 1, best if count >= 0 else _NAN)
    put(found, 2, second)


@inner
def chosen_from(found: int, rows: int, team: int, r: int, temperature: float) -> int:
    """The likeliest token of a row from what all threads found, or a negative number if that is not sure."""
    best: Any = _LOWEST
    second, token = best, UNSURE
    for rank in range(team):
        place = found + (rank * rows + r) * _TRIPLE * 4
        score = get(place, 1)
        if math.isnan(score):
            return UNSURE
        if score > best:
            second = max(best, get(place, 2))
            best, token = score, int(get(place, 0))
        else:
            second = max(second, score)
    return token if second < rival(best, temperature) and certain(best, temperature) else UNSURE
