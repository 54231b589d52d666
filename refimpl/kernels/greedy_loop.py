"""Greedy decoding of a batch, some columns at a time: what Python does between two calls of the compiled loop.

A large head is read by each step as a whole at first. Once that took as long as quantizing it, it is quantized, and
tokens are chosen from short lists. The copy ends with the batch, so no weight that is changed later is missed.

Spec: kernels.loop, kernels.shortlist
"""

from collections.abc import Callable, Iterator

import numpy as np

from refimpl.kernels import places

COLUMNS = 16  # so many at most until threads are judged, and Python may be interrupted
_LARGE = 4_000_000  # numbers of a head that no cache holds
_MOST = 1 << 24  # tokens, whose ids short lists keep as float32
_FIRST = 2  # columns that take as long as copying the head
_WORTH = 8  # columns to go for which it is copied
_PATIENCE = 3  # choices that a short list left open, after which it is given up
Ask = Callable[[np.ndarray], np.ndarray]
Run = Callable[[int], None]


class GreedyLoop:
    """The columns of one batch.

    `run` makes the compiled functions do a task on the rows that are left, `quantize_head` makes them use short lists.

    Shapes: state as in `places`, chosen (B), logits (B, V).
    """

    def __init__(
        self, run: Run, quantize_head: Callable[[], None], sizes: np.ndarray, state: np.ndarray, chosen: np.ndarray,
        logits: np.ndarray,
    ) -> None:  # fmt: skip
        self._run, self._quantize_head, self._sizes = run, quantize_head, sizes
        self._state, self._chosen, self._logits = state, chosen, logits
        self._open = 0  # choices that were left open

    def fill(self, columns: int, at_once: int, ask: Ask, tied_head: bool) -> Iterator[int]:
        """Go on until no row is left or `columns` are filled, and give after so many at once how many are filled."""
        state, sizes, first = self._state, self._sizes, int(self._state[places.COLUMN])
        tokens = int(sizes[places.VOCABULARY])
        large = tied_head and tokens * sizes[places.WIDTH] >= _LARGE and tokens <= _MOST
        task = places.GO
        while sizes[places.ROWS] and state[places.COLUMN] < columns:
            column = int(state[places.COLUMN])
            if large and column == first + _FIRST and columns - column >= _WORTH and not sizes[places.LISTED]:
                self._quantize_head()
            last = first + _FIRST if large and column < first + _FIRST else columns
            state[places.END] = min(columns, last, column + at_once)
            self._run(task)
            task = places.GO
            if state[places.TASK] == places.ASK:
                self._answer(ask)
                task = places.GIVEN
            if state[places.COLUMN] > column:
                yield int(state[places.COLUMN])

    def _answer(self, ask: Ask) -> None:
        """Ask the definition for tokens, with all logits."""
        if self._sizes[places.LISTED]:
            self._run(places.SCORE)
            self._open += 1
            if self._open == _PATIENCE:
                self._sizes[places.LISTED] = 0
        left = int(self._sizes[places.ROWS])
        self._chosen[:left] = ask(self._logits[:left])
