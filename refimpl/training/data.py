"""Training data: samples in memory or an iterable of batches, as batches of `(x, y, sample_weight)`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

import numpy as np

from refimpl.errors import TrainingDataError
from refimpl.keras_api.inputs import plain

Batch = tuple[Any, Any, Any]
BATCH_SIZE = 32


class Samples:
    """Samples in memory: `x`, `y` and weights hold as many rows each.

    Spec: training.data.arrays
    """

    def __init__(self, x: Any, y: Any = None, sample_weight: Any = None) -> None:
        self.parts = (_rows(x), _rows(y), _rows(sample_weight))
        lengths = {_length(column) for part in self.parts for column in _columns(part)}
        if len(lengths) != 1 or 0 in lengths:
            raise TrainingDataError(
                f"The data has {' and '.join(map(str, sorted(lengths)))} rows.",
                "There must be at least one row, and as many of each part.",
                "Check that no list is empty or cut.",
                "training.data.lengths",
            )
        self.rows = lengths.pop()

    def take(self, places: np.ndarray) -> Batch:
        """The rows at `places`."""
        x, y, weight = (_taken(part, places) for part in self.parts)
        return x, y, weight

    def batches(self, size: int, order: np.ndarray | None = None) -> Iterator[Batch]:
        """Batches in the given order; the last one may be short. Spec: training.data.last-batch"""
        places = np.arange(self.rows) if order is None else order
        for first in range(0, self.rows, size):
            yield self.take(places[first : first + size])

    def steps(self, size: int) -> int:
        """The number of batches."""
        return -(-self.rows // size)

    def split(self, share: float) -> tuple[Samples, Samples]:
        """The first `floor(rows (1 - share))` rows, and the others.

        Spec: training.data.validation-split
        """
        cut = math.floor(self.rows * (1.0 - share)) if 0.0 < share < 1.0 else 0
        if not 0 < cut < self.rows:
            raise TrainingDataError(
                f"validation_split={share} was passed for {self.rows} rows.",
                "It must lie between 0 and 1 and leave at least one row on both sides.",
                "Pass another share, or validation_data.",
                "training.data.validation-split",
            )
        return Samples(*self.take(np.arange(cut))), Samples(*self.take(np.arange(cut, self.rows)))


class Batches:
    """An iterable of batches: `x`, `(x, y)` or `(x, y, sample_weight)` each. An iterator goes on where it stopped.

    Spec: training.data.iterable
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        numpy_iterator = getattr(batches, "as_numpy_iterator", None)  # tf.data.Dataset
        self._batches = batches
        self._restart = numpy_iterator if callable(numpy_iterator) else lambda: iter(batches)
        self._once = iter(batches) if isinstance(batches, Iterator) else None

    def batches(self, size: int, order: np.ndarray | None = None) -> Iterator[Batch]:
        """The batches, as they come."""
        for element in self._restart() if self._once is None else self._once:
            parts = element if isinstance(element, tuple) else (element,)
            if not 1 <= len(parts) <= 3 or not isinstance(parts[0], Mapping):
                raise TrainingDataError(
                    f"A batch of the iterable is {element!r:.60}.",
                    "It must be a dictionary x, or a tuple (x, y) or (x, y, sample_weight).",
                    "Batch the dataset first, and yield tuples.",
                    "training.data.iterable",
                )
            yield (*parts, *(None,) * (3 - len(parts)))

    def steps(self, size: int) -> int | None:
        """The number of batches, if it is known."""
        return len(self._batches) if isinstance(self._batches, Sized) else None


def data_of(x: Any, y: Any = None, sample_weight: Any = None) -> Samples | Batches:
    """What `fit`, `evaluate` and `predict` were given.

    Raises: TrainingDataError.
    Spec: training.data.arrays, training.data.iterable
    """
    if isinstance(x, (Samples, Batches)):
        return x
    x = plain(x)
    if isinstance(x, Mapping):
        return Samples(x, y, sample_weight)
    is_iterable = isinstance(x, Iterable) and not isinstance(x, (str, bytes, np.ndarray))
    if not is_iterable or (isinstance(x, (list, tuple)) and not all(isinstance(i, (tuple, Mapping)) for i in x)):
        raise TrainingDataError(
            f"The data is {x!r:.60}.",
            'It must be a dictionary: {"encoder_text": [...], "decoder_text": [...]}, or an iterable of batches; '
            "without preprocessor a dictionary of token ids and masks.",
            "Put the inputs and the wanted outputs into such a dictionary.",
            "training.data.arrays",
        )
    if y is not None or sample_weight is not None:
        raise TrainingDataError(
            "An iterable of batches was passed as x, and y or sample_weight beside it.",
            "Its batches must hold the labels and weights themselves.",
            "Yield (x, y, sample_weight) tuples.",
            "training.data.iterable",
        )
    return Batches(x)


def _columns(part: Any) -> list[Any]:
    return [] if part is None else list(part.values()) if isinstance(part, Mapping) else [part]


def _rows(part: Any) -> Any:
    """A part whose columns can be counted and taken from: lists as they are, tensors as arrays."""
    part = plain(part)
    if part is None:
        return None
    if isinstance(part, Mapping):
        return {key: _rows(column) for key, column in part.items()}
    if isinstance(part, (list, tuple)):
        return list(part)
    if isinstance(part, (str, bytes)) or np.ndim(part) == 0:
        raise TrainingDataError(
            f"The data holds {part!r:.60}.",
            "`x`, `y` and `sample_weight` must have a batch dimension.",
            "Put a single sample into a list.",
            "training.data.batch-dimension",
        )
    return np.asarray(part)


def _length(column: Any) -> int:
    return len(column)


def _taken(part: Any, places: np.ndarray) -> Any:
    if part is None:
        return None
    if isinstance(part, Mapping):
        return {key: _taken(column, places) for key, column in part.items()}
    return part[places] if isinstance(part, np.ndarray) else [part[n] for n in places]
