"""Where a forward pass drops, and which random stream each place draws from."""

from __future__ import annotations

from typing import Any

from refimpl.autograd import ops
from refimpl.autograd.masks import Stream, mixed


class Dropout:
    """The dropout of one forward pass: each place where it is called draws from its own stream.

    `Dropout()` drops nothing: it is what inference uses.
    """

    def __init__(self, rate: float = 0.0, seed: int = 0, row: int = 0) -> None:
        self.rate, self._seed, self._row, self._places = rate, seed, row, 0

    def stream(self) -> int:
        """The stream of the next place."""
        if not self.rate:
            return 0
        self._places += 1
        return Stream.at(mixed(self._seed, self._places), self._row)

    def of_rows_from(self, row: int) -> Dropout:
        """What falls on the rows of a batch from that one on: a row gets the same mask in whatever shard it is."""
        return Dropout(self.rate, self._seed, row)

    def __call__(self, x: Any) -> Any:
        """`x` with some elements zero and the others scaled up."""
        return ops.dropout(x, self.rate, self.stream()) if self.rate else x
