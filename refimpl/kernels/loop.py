"""Greedy decoding as one compiled loop: step, choose, drop the rows that have stopped, until none is left.

Between two steps no Python runs: for a small model that would take longer than the step. A choice that is not sure
is left to Python, which asks the definition and lets the loop go on.

Spec: kernels.loop, kernels.finished-rows
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels.barrier import barrier, read
from refimpl.kernels.encode import encode
from refimpl.kernels.jit import entry, inner, once
from refimpl.kernels.step import step
from refimpl.kernels.vector import get, higher, load, not_below, peak, splat

from refimpl.kernels.places import (  # isort: skip
    ASK, COLUMN, DONE, ENCODE, END, GIVEN, GO, LOGITS, ONE, ROWS, STOP, TASK, VOCABULARY,
)  # fmt: skip

_UNSURE = -1
_LOWEST = np.float32(-math.inf)


@inner
def highest(x: int, size: int) -> Any:
    """The highest of some numbers that is one."""
    once()
    a, b, c, d = splat(_LOWEST), splat(_LOWEST), splat(_LOWEST), splat(_LOWEST)
    fours = size // 64 * 64
    for i in range(0, fours, 64):
        a, b = higher(load(x, i), a), higher(load(x, i + 16), b)
        c, d = higher(load(x, i + 32), c), higher(load(x, i + 48), d)
    best = peak(higher(higher(a, b), higher(c, d)))
    for i in range(fours, size):
        best = get(x, i) if get(x, i) > best else best
    return best


@inner
def likeliest(logits: int, size: int, temperature: float) -> int:
    """The token with the highest logit, or a negative number if rounding or something that is no number may decide.

    Spec: samplers.greedy.argmax, samplers.greedy.ties
    """
    once()
    best = highest(logits, size)
    least = best - np.float32(1e-6) * (abs(best) + np.float32(temperature))
    token, near, whole = 0, 0, size // 16 * 16
    for i in range(0, whole, 16):
        if not_below(load(logits, i), splat(least)):
            for n in range(i, i + 16):
                if not get(logits, n) < least:
                    token, near = n, near + 1
    for i in range(whole, size):
        if not get(logits, i) < least:
            token, near = i, near + 1
    scaled = best / np.float32(temperature) if temperature else best
    return token if near == 1 and math.isfinite(scaled) else _UNSURE


@inner
def _advance(
    sizes: np.ndarray, tokens: np.ndarray, positions: np.ndarray, table: np.ndarray, starts: np.ndarray,
    counts: np.ndarray, state: np.ndarray, ids: np.ndarray, forced: np.ndarray, live: np.ndarray, stops: np.ndarray,
    chosen: np.ndarray,
) -> None:  # fmt: skip
    """Write the column, keep the rows that said no stop token, and make the next step ready."""
    once()
    rows, column, kept = sizes[ROWS], state[COLUMN], 0
    for r in range(rows):
        if chosen[r] < 0:
            state[TASK] = ASK
            return
    for r in range(rows):
        row, stopped = live[r], False
        if not forced[row, column]:
            ids[row, column] = chosen[r]
            for n in range(len(stops)):
                stopped |= stops[n] == chosen[r]
        if not stopped:
            tokens[kept], positions[kept] = ids[row, column], column
            live[kept], starts[kept], counts[kept] = row, starts[r], counts[r]
            for t in range(table.shape[1]):
                table[kept, t] = table[r, t]
            kept += 1
    sizes[ROWS], state[COLUMN] = kept, column + 1
    state[TASK] = GO if kept and column + 1 < state[END] else DONE


@entry
def decode(
    rank: int, team: int, sync: int, sizes: np.ndarray, tops: np.ndarray, layers: np.ndarray, buffers: np.ndarray,
    tokens: np.ndarray, positions: np.ndarray, table: np.ndarray, starts: np.ndarray, counts: np.ndarray,
    zeros: np.ndarray, state: np.ndarray, ids: np.ndarray, forced: np.ndarray, live: np.ndarray, stops: np.ndarray,
    chosen: np.ndarray, temperature: float,
) -> None:  # fmt: skip
    """The thread `rank`'s part of one step, of as many as `state` says, or of the encoder, with `decoder` for `table`.

    One entry point for all three: what they share is compiled once, which is most of the time until a first text.

    Shapes: up to `zeros` as `step` and `encode` take them; ids, forced (B, T), live, chosen (B), stops (n).
    """
    if state[TASK] == ENCODE:
        encode(rank, team, sync, sizes, tops, layers, buffers, tokens, positions, starts, counts, zeros, table)
        return
    if state[TASK] != GIVEN:
        step(
            rank, team, sync, sizes, tops, layers, buffers, tokens, positions, table, starts, counts, zeros
        )  # fmt: skip
        if state[TASK] == ONE:
            return
    while True:
        barrier(sync, team)
        if state[TASK] != GIVEN:
            for r in range(rank, sizes[ROWS], team):
                size = sizes[VOCABULARY]
                chosen[r] = likeliest(buffers[LOGITS] + r * size * 4, size, temperature)
        barrier(sync, team)
        if rank == 0:
            _advance(sizes, tokens, positions, table, starts, counts, state, ids, forced, live, stops, chosen)
        barrier(sync, team)
        if state[TASK] != GO or read(sync, STOP):
            return
        step(
            rank, team, sync, sizes, tops, layers, buffers, tokens, positions, table, starts, counts, zeros
        )  # fmt: skip
