"""Greedy choice without reading all of the head's table: estimates of all scores, then the few that may be highest.

Estimates come from a coarse copy of the table, a fifth of its size. With each goes a bound of how far it may be from
the score that `unembed` computes, so no token that could be chosen is left out; and the scores that are compared are
`unembed`'s own, bit by bit. The copy is made within a call of `generate` and ends with it.

Spec: kernels.shortlist
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels.coarse import estimates_of
from refimpl.kernels.coarse_copy import as_whole_numbers, groups_of
from refimpl.kernels.jit import inner, once, whole
from refimpl.kernels.likeliest import UNSURE, certain, highest, rival
from refimpl.kernels.linear import dot, share
from refimpl.kernels.rows import fetch_line
from refimpl.kernels.vector import fma, get, load, not_below, put, splat

from refimpl.kernels.places import (  # isort: skip
    COARSE, COARSE_TOPS, COPIED, ERRORS, FOUND, HEAD, LIST_ROOM, LISTS, LOGITS, NUMBERS, ROWS, SHORT, STEPS,
    TEMPERATURE, VOCABULARY, WIDTH,
)  # fmt: skip

_LOWEST, _NAN = np.float32(-math.inf), np.float32(math.nan)
_TRIPLE = 3  # what a thread found for a row: its best token, that one's score and the next one's
_eight_rows, _one_row = estimates_of(8, 2), estimates_of(1, 4)


@inner
def shortlist(sizes: np.ndarray, rank: int, team: int, tops: np.ndarray, buffers: np.ndarray, states: int) -> None:
    """What a thread finds for each row among its tokens, to `buffers[FOUND]`.

    Shapes: states (rows, width), found (team, rows, 3).
    """
    once()
    rows, width, size = sizes[ROWS], sizes[WIDTH], sizes[VOCABULARY]
    groups, eights = groups_of(width), (rows + 7) // 8 * 8
    words = buffers[LISTS] + rank * sizes[LIST_ROOM] * 4
    units = words + groups * 128 * eights
    offsets, norms, misses = units + eights * 4, units + 2 * eights * 4, units + 3 * eights * 4
    spare = misses + eights * 4
    for r in range(rows):
        unit, offset, norm, miss = as_whole_numbers(states + r * width * 4, width, spare, words + r * groups * 128)
        put(norms, r, norm)
        put(misses, r, miss)
        for n in range(r, r + 1 if r + 1 < rows else eights):
            put(units, n, unit)
            put(offsets, n, offset)
    first, end = share(size, whole(16), rank, team)
    stop = first + (end - first) // 16 * 16
    estimate(rows, groups, words, units, offsets, buffers, first, stop, size)
    for r in range(rows):
        x, estimates = states + r * width * 4, buffers[LOGITS] + r * size * 4
        least = _least(x, width, estimates, tops[HEAD], first, stop, get(buffers[NUMBERS], TEMPERATURE))
        count = _listed(get(norms, r), get(misses, r), buffers, estimates, first, stop, end, least, spare)
        _best(x, width, tops[HEAD], spare, count, buffers[FOUND] + (rank * rows + r) * _TRIPLE * 4)


@inner
def estimate(
    rows: int, groups: int, words: int, units: int, offsets: int, buffers: np.ndarray, first: int, end: int, size: int
) -> None:  # fmt: skip
    """Estimates of the scores of the tokens `first` to `end`, a multiple of four, of all rows."""
    once()
    count = 4 if rows == 1 else 2  # places of the copy that are read at the same time
    each = (end - first) // count
    for v in range(first, first + each):
        lines, high = buffers[COARSE] + v * groups * 64, buffers[COARSE_TOPS] + v * groups * 32
        steps, out = buffers[STEPS] + v * 4, buffers[LOGITS] + v * 4
        if rows == 1:
            _one_row(words, rows, groups, units, offsets, lines, high, each, whole(1), steps, out, size)
        for r in range(0, rows if rows > 1 else 0, 8):
            ahead = 0 if r else 2
            _eight_rows(
                words + r * groups * 128, min(8, rows - r), groups, units + r * 4, offsets + r * 4, lines, high, each,
                ahead, steps, out + r * size * 4, size,
            )  # fmt: skip


@inner
def _least(x: int, width: int, estimates: int, table: int, first: int, stop: int, temperature: float) -> Any:
    """What a score must reach to be the best or a rival of it: about the score of the token with the best estimate."""
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
def _listed(
    norm: float, miss: float, buffers: np.ndarray, estimates: int, first: int, stop: int, end: int, least: float,
    ids: int,
) -> int:  # fmt: skip
    """Write the tokens `first` to `end` whose scores may reach `least`, all those without estimates, from `stop` on.

    Gives how many they are, or -1 if they are too many or the row's norm is no number.
    """
    once()
    if not norm > 0.0:
        return -1
    count, limit = 0, 64 + (stop - first) // SHORT
    for i in range(first, stop, 16):
        bound = fma(load(buffers[COPIED], i), splat(miss), load(estimates, i))
        bits, n = not_below(fma(load(buffers[ERRORS], i), splat(norm), bound), splat(least)), i
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
def _best(x: int, width: int, table: int, ids: int, count: int, found: int) -> None:
    """The best of the tokens on the list, its score and the next one's; a score that is no number says: not sure."""
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
