"""Beam and contrastive search over the float64 truth, following every near-tie: all results that are right.

Written from the definitions. KerasHub's `BeamSampler` and `ContrastiveSampler` give the result that the cases keep,
which must be among these. Without stop tokens, prompts of equal length.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MOST = 64  # branches: a question with more near-ties needs another input
Score = Callable[[np.ndarray], dict[str, np.ndarray]]  # decoder ids (N, T) -> logits (N, T, V), states (N, T, E)


@dataclass
class Search:
    """One row's search. `tolerance` is the difference of log probabilities below which either choice is right,
    `unlike_tolerance` that of cosines.
    """

    score: Score
    width: int
    tolerance: float
    unlike_tolerance: float = 0.0
    least: float = np.inf
    branches: int = field(default=0)

    def beams(self, prompt: list[int], count: int) -> list[list[int]]:
        """All admissible results of beam search."""
        return self._unique(self._beams([(0.0, prompt)], count))

    def _beams(self, live: list[tuple[float, list[int]]], count: int) -> Iterator[list[int]]:
        """Extend all beams to the end of the width; more than one way where a near-tie decides who stays."""
        while len(live[0][1]) < self.width:
            logits = self.score(np.array([row for _, row in live]))["logits"][:, -1]
            told = logits - logits.max(-1, keepdims=True)
            told -= np.log(np.exp(told).sum(-1, keepdims=True))
            totals = np.array([score for score, _ in live])[:, None] + told
            order = np.argsort(-totals, axis=None, kind="stable")[: count + 8]
            ways = list(self._kept(totals.ravel()[order], count))
            size = totals.shape[1]
            longer = [(float(totals.ravel()[i]), [*live[i // size][1], int(i % size)]) for i in order]
            nexts = [[longer[i] for i in way] for way in ways]
            for other in nexts[1:]:
                self._branch()
                yield from self._beams(other, count)
            live = nexts[0]
        best = max(score for score, _ in live)
        self._note(sorted((best - score for score, _ in live))[1:2])
        yield from (row for score, row in sorted(live, key=lambda beam: -beam[0]) if best - score <= self.tolerance)

    def contrastive(self, prompt: list[int], k: int, alpha: float) -> list[list[int]]:
        """All admissible results of contrastive search."""
        return self._unique(self._contrastive(prompt, k, alpha))

    def _contrastive(self, row: list[int], k: int, alpha: float) -> Iterator[list[int]]:
        """Extend the row to the end of the width."""
        while len(row) < self.width:
            logits = self.score(np.array([row]))["logits"][0, -1]
            chances = np.exp(logits - logits.max())
            chances /= chances.sum()
            order = np.argsort(-chances, kind="stable")[: k + 8]
            found = []
            for way in self._kept(np.log(chances[order]), k):
                tried = [[*row, int(order[i])] for i in way]
                states = self.score(np.array(tried))["decoder_sequence_output"]
                units = states / np.linalg.norm(states, axis=-1, keepdims=True)
                alike = np.einsum("nte,ne->nt", units[:, :-1], units[:, -1]).max(-1)
                scores = (1 - alpha) * chances[order[list(way)]] - alpha * alike
                within = (1 - alpha) * self.tolerance * chances.max() + alpha * self.unlike_tolerance
                self._note((scores.max() - np.sort(scores)[::-1])[1:2] * self.tolerance / within)
                near = np.argsort(-scores, kind="stable")
                found += [tried[i] for i in near if scores.max() - scores[i] <= within]
            for other in found[1:]:
                self._branch()
                yield from self._contrastive(other, k, alpha)
            row = found[0]
        yield row

    def _kept(self, scores: np.ndarray, count: int) -> Iterator[tuple[int, ...]]:
        """The sets of `count` places that may be the best of the descending `scores`; the right one first."""
        if len(scores) <= count:
            yield tuple(range(len(scores)))
            return
        cut = (scores[count - 1] + scores[count]) / 2
        self._note([scores[count - 1] - scores[count]])
        sure = [i for i in range(len(scores)) if scores[i] > cut + self.tolerance / 2]
        near = [i for i in range(len(scores)) if abs(scores[i] - cut) <= self.tolerance / 2]
        for more in itertools.combinations(near, count - len(sure)):
            yield (*sure, *more)

    def _branch(self) -> None:
        """Count another way. Raises: SystemExit if there are too many."""
        self.branches += 1
        if self.branches > MOST:
            raise SystemExit(f"More than {MOST} near-ties: the question needs another input.")

    def _note(self, gaps: Any) -> None:
        """Remember the closest decision."""
        self.least = min([self.least, *map(float, gaps)])

    @staticmethod
    def _unique(rows: Iterator[list[int]]) -> list[list[int]]:
        """Each row once, in their order."""
        return [list(row) for row in dict.fromkeys(map(tuple, rows))]
