"""Greedy decoding as one compiled loop: step, choose, drop the rows that have stopped, until none is left.

Between two steps no Python runs: for a small model that would take longer than the step. A choice that is not sure
is left to Python, which asks the definition and lets the loop go on.

Spec: kernels.loop, kernels.finished-rows
"""

import numpy as np

from refimpl.kernels.barrier import barrier, read
from refimpl.kernels.encode import encode
from refimpl.kernels.legacy_jit import entry, inner, once, whole
from refimpl.kernels.likeliest import likeliest
from refimpl.kernels.shortlist import chosen_from
from refimpl.kernels.step import score, step

from refimpl.kernels.places import (  # isort: skip
    ASK, COLUMN, DONE, ENCODE, END, FOUND, GIVEN, GO, LISTED, LOGITS, ONE, ROWS, SCORE, STOP, TASK,
    VOCABULARY,
)  # fmt: skip


@inner
def _choose(
    rank: int, team: int, sizes: np.ndarray, buffers: np.ndarray, chosen: np.ndarray, temperature: float
) -> None:
    """The tokens of a thread's rows."""
    once()
    rows, size = sizes[ROWS], sizes[VOCABULARY]
    for r in range(rank, rows, team):
        if sizes[LISTED]:
            chosen[r] = chosen_from(buffers[FOUND], rows, team, r, temperature)
        else:
            chosen[r] = likeliest(buffers[LOGITS] + r * size * 4, size, temperature)


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
    """The thread `rank`'s part of one step, of as many as `state` says, or of another task that it names.

    One entry point for all: what they share is compiled once, which is most of the time until a first text. The encoder
    has the decoder's layers in `table`.

    Shapes: up to `zeros` as `step` and `encode` take them; ids, forced (B, T), live, chosen (B), stops (n).
    """
    if state[TASK] == ENCODE:
        encode(rank, team, sync, sizes, tops, layers, buffers, tokens, positions, starts, counts, zeros, table)
        return
    if state[TASK] == SCORE:
        score(sizes, rank, team, sync, tops, buffers, whole(1))
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
            _choose(rank, team, sizes, buffers, chosen, temperature)
        barrier(sync, team)
        if rank == 0:
            _advance(sizes, tokens, positions, table, starts, counts, state, ids, forced, live, stops, chosen)
        barrier(sync, team)
        if state[TASK] != GO or read(sync, STOP):
            return
        step(
            rank, team, sync, sizes, tops, layers, buffers, tokens, positions, table, starts, counts, zeros
        )  # fmt: skip
