"""The weights of a model: a flat dictionary by path, and a view that reads like the layers of the paper."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from refimpl.errors import ConfigError, WeightsError
from refimpl.random import random_normal, truncated_normal

Shape = tuple[int, ...]
_MOST_WEIGHTS = 20_000  # far more than any architecture has; a wild number of layers stops here


@dataclass(frozen=True)
class WeightSpec:
    """Shape of a weight and how a fresh one is filled: `normal` (truncated, with `stddev`), `random_normal` (not
    truncated), `zeros` or `ones`.

    Spec: models.weights.initializers
    """

    shape: Shape
    fill: str
    stddev: float = 0.02

    def fresh(self, dtype: str) -> np.ndarray:
        """A new weight."""
        if self.fill == "normal":
            return truncated_normal(self.shape, self.stddev).astype(dtype)
        if self.fill == "random_normal":
            return random_normal(self.shape, self.stddev).astype(dtype)
        return np.full(self.shape, 1.0 if self.fill == "ones" else 0.0, dtype)


def fresh_weights(specs: Iterable[tuple[str, WeightSpec]], dtype: str) -> dict[str, np.ndarray]:
    """New weights for all names, in their order.

    Raises: ConfigError, before anything is allocated, if the sizes are beyond this machine's memory.
    Spec: models.weights.initializers, presets.config.sizes
    """
    wanted: dict[str, WeightSpec] = {}
    numbers = 0
    for name, spec in specs:
        wanted[name] = spec
        numbers += prod(spec.shape)
        if numbers * np.dtype(dtype).itemsize > _memory() or len(wanted) > _MOST_WEIGHTS:
            raise ConfigError(
                f"The configuration asks for more than {numbers} numbers in {len(wanted)} weights.",
                f"They must fit into this machine's memory of {_memory()} bytes.",
                "Check the sizes in the constructor's arguments or in config.json.",
                "presets.config.sizes",
            )
    return {name: spec.fresh(dtype) for name, spec in wanted.items()}


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

    def __getattr__(self, name: str) -> Any:
        """A weight itself: `scope.kernel`."""
        try:
            return self._weights[self._path + name]
        except KeyError:
            raise AttributeError(f"no weight {self._path + name!r}") from None


def dense_specs(path: str, inputs: Shape, outputs: Shape) -> Iterator[tuple[str, WeightSpec]]:
    """Kernel and bias of a projection. Shapes: kernel (*inputs, *outputs), bias (*outputs)."""
    yield f"{path}/kernel", WeightSpec((*inputs, *outputs), "normal")
    yield f"{path}/bias", WeightSpec(outputs, "zeros")


def layer_norm_specs(path: str, width: int) -> Iterator[tuple[str, WeightSpec]]:
    """Gain and shift of a layer norm. Shapes: both (width,)."""
    yield f"{path}/gamma", WeightSpec((width,), "ones")
    yield f"{path}/beta", WeightSpec((width,), "zeros")


def attention_specs(path: str, width: int, heads: int) -> Iterator[tuple[str, WeightSpec]]:
    """The four projections of multi-head attention. Shapes: E = width, H = heads, D = E // H."""
    split = (heads, width // heads)
    for name in ("query", "key", "value"):
        yield from dense_specs(f"{path}/{name}", (width,), split)
    yield from dense_specs(f"{path}/attention_output", split, (width,))


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
