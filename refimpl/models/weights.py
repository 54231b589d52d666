"""The weights of a model: a flat dictionary by path, and a view that reads like the layers of the paper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refimpl.random import truncated_normal

Shape = tuple[int, ...]


@dataclass(frozen=True)
class WeightSpec:
    """Shape of a weight and how a fresh one is filled: `normal` (truncated, with `stddev`), `zeros` or `ones`.

    Spec: models.weights.initializers
    """

    shape: Shape
    fill: str
    stddev: float = 0.02

    def fresh(self, dtype: str) -> np.ndarray:
        """A new weight."""
        if self.fill == "normal":
            return truncated_normal(self.shape, self.stddev).astype(dtype)
        return np.full(self.shape, 1.0 if self.fill == "ones" else 0.0, dtype)


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
