"""Batches of rows with like lengths: fewer columns are padding, and columns of padding alone cost nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Columns = dict[str, list[Any]]


class LengthGroups:
    """An iterable of batches for `fit`: in each epoch the rows are shuffled, sorted by length, cut into batches, and
    the batches shuffled.

    Spec: training.command.group-by-length
    """

    def __init__(
        self, columns: Columns, lengths: Sequence[Sequence[int]], batch_size: int, state: Callable[[], Sequence[int]]
    ) -> None:
        """`lengths` holds for each of `columns` the tokens or samples of each row; `state` seeds the next epoch."""
        self.columns, self.batch_size, self._state = columns, batch_size, state
        self.lengths = [np.asarray(column) for column in lengths]

    def __len__(self) -> int:
        """The number of batches."""
        return (len(self.lengths[0]) + self.batch_size - 1) // self.batch_size

    def __iter__(self) -> Iterator[Columns]:
        """The batches of the next epoch."""
        rng = np.random.default_rng(list(self._state()))
        order = rng.permutation(len(self.lengths[0]))
        order = order[np.lexsort([column[order] for column in reversed(self.lengths)])]  # stable: ties stay shuffled
        for number in rng.permutation(len(self)):
            rows = order[number * self.batch_size : (number + 1) * self.batch_size]
            yield {name: [column[row] for row in rows] for name, column in self.columns.items()}
