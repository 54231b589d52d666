"""Beam search over a table by hand: plain Python in double precision, for cases with several rows.

Sequences of one table often have the same pairs of tokens in another order, and so exactly the same score. Cases are
chosen so that no two candidates that matter are nearer than `GAP`; otherwise rounding would decide.
"""

import itertools
from collections.abc import Sequence
from math import inf, log
from typing import Any

GAP = 0.004
Beam = tuple[float, list[int]]


def beams(
    table: Sequence[Sequence[float]],
    prompts: Sequence[Sequence[int]],
    masks: Sequence[Sequence[bool]],
    count: int,
    stops: Sequence[int] = (),
) -> dict[str, Any]:
    """All beams, the best first, and their scores, as the operation `sample` gives them. Raises: ValueError at ties."""
    table = [[p / sum(row) for p in row] for row in table]
    width, start = len(prompts[0]), min(map(sum, masks))
    rows: list[list[Beam]] = [[(0.0, list(p))] + [(-1e9, list(p))] * (count - 1) for p in prompts]
    for column in range(start, width):
        if stops and all(
            any(token in stops and not mask[t] for t, token in enumerate(ids[:column]))
            for row, mask in zip(rows, masks, strict=True)
            for _, ids in row
        ):
            break
        for number, mask in enumerate(masks):
            rows[number] = _step(table, rows[number], column, bool(mask[column]), count)
    found = [sorted(row, key=lambda beam: -beam[0]) for row in rows]
    for row in found:
        _check([score for score, _ in row])
    return {
        "ids": [[ids for _, ids in row] for row in found],
        "log_probs": [[round(score, 3) for score, _ in row] for row in found],
    }


def _step(table: Sequence[Sequence[float]], row: list[Beam], column: int, forced: bool, count: int) -> list[Beam]:
    """The best continuations of a row's beams. A forced token takes the place of what was found, with its score."""
    candidates = sorted(
        (
            (score + (log(p) if p else -inf), beam, token)
            for beam, (score, ids) in enumerate(row)
            for token, p in enumerate(table[ids[column - 1]])
        ),
        key=lambda candidate: -candidate[0],
    )
    if not forced:  # beams that a forced column has made alike may tie among themselves
        _check([score for score, _, _ in candidates[: count + 1]])
    chosen = []
    for score, beam, token in candidates[:count]:
        ids = list(row[beam][1])
        ids[column] = ids[column] if forced else token
        chosen.append((score, ids))
    return chosen


def _check(scores: Sequence[float]) -> None:
    """Refuse what rounding would decide."""
    if any(a - b < GAP for a, b in itertools.pairwise(scores)):
        raise ValueError(f"scores too near to each other: {scores}")
