"""The weights of a model: a flat dictionary by path, and a view that reads like the layers of the paper."""

from __future__ import annotations

import os
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from refimpl.errors import ConfigError, WeightsError
from refimpl.presets.layout import Layout

_MOST_WEIGHTS = 20_000  # far more than any architecture has; a wild number of layers stops here


def fresh_weights(layout: Layout, dtype: str) -> dict[str, np.ndarray]:
    """New weights, in their order.

    Raises: ConfigError, before anything is allocated, if the sizes are beyond this machine's memory.
    Spec: models.weights.initializers, presets.config.sizes
    """
    wanted = []
    numbers = 0
    for weight in layout:
        wanted.append(weight)
        numbers += prod(weight.shape)
        if numbers * np.dtype(dtype).itemsize > _memory() or len(wanted) > _MOST_WEIGHTS:
            raise ConfigError(
                f"The configuration asks for more than {numbers} numbers in {len(wanted)} weights.",
                f"They must fit into this machine's memory of {_memory()} bytes.",
                "Check the sizes in the constructor's arguments or in config.json.",
                "presets.config.sizes",
            )
    return {each.name: each.fresh(dtype) for each in wanted}


def _memory() -> int:
    """This machine's memory in bytes, if the system tells."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**63


class Scope:
    """The weights below a path: `scope["query"]["kernel"]` is the weight `<path>/query/kernel`."""

    def __init__(self, weights: Mapping[str, Any], path: str = "") -> None:
        self._weights, self._path = weights, path

    def __getitem__(self, name: str) -> Scope:
        return Scope(self._weights, f"{self._path}{name}/")

    def __contains__(self, name: str) -> bool:
        return self._path + name in self._weights

    def __getattr__(self, name: str) -> Any:
        """A weight itself: `scope.kernel`."""
        try:
            return self._weights[self._path + name]
        except KeyError:
            raise AttributeError(f"no weight {self._path + name!r}") from None


def laid_as(model: np.ndarray, array: np.ndarray) -> np.ndarray:
    """A copy that lies in memory as another array of its shape does."""
    copy = np.empty_like(model, array.dtype)
    copy[...] = array
    return copy


def weight_arrays(weights: Any, dtype: str) -> list[np.ndarray]:
    """A list of arrays of numbers (spec: models.weights.order)."""
    try:
        found = [np.asarray(array) for array in weights]
        if all(array.dtype.kind in "biuf" for array in found):
            return [array.astype(dtype) for array in found]
        problem = f"arrays of the types {sorted({str(array.dtype) for array in found})}"
    except (TypeError, ValueError) as error:
        problem = f"no list of arrays ({error})"
    raise WeightsError(
        f"set_weights() got {problem}.",
        "It takes a list of arrays of numbers.",
        "Pass what get_weights() of a model of the same configuration gave.",
        "models.weights.order",
    )
