"""A cache is arrays with the batch on axis 0, in tuples, lists or dictionaries; here its rows are copied about."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def repeated(cache: Any, times: int) -> Any:
    """Each row `times` times, one after the other. Shapes: (B, ...) -> (B*times, ...) of every array."""
    size = _rows(cache)
    return cache if size is None else taken(cache, np.repeat(np.arange(size), times))


def taken(cache: Any, rows: np.ndarray) -> Any:
    """The rows with these numbers, of every array. Shapes: (R, ...), rows (n,) -> (n, ...).

    Spec: samplers.beam.cache-follows
    """
    if cache is None:
        return None
    if isinstance(cache, Mapping):
        return {key: taken(value, rows) for key, value in cache.items()}
    if isinstance(cache, (tuple, list)):
        return type(cache)(taken(value, rows) for value in cache)
    return np.asarray(cache)[rows]


def _rows(cache: Any) -> int | None:
    """How many rows a cache has; None if it holds no array."""
    if cache is None:
        return None
    if isinstance(cache, (tuple, list, Mapping)):
        parts = cache.values() if isinstance(cache, Mapping) else cache
        return next((size for part in parts if (size := _rows(part)) is not None), None)
    return len(np.asarray(cache))
