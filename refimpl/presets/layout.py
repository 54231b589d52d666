"""The weights of an architecture, one by one: name, shape, how it begins, and where it stands in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from refimpl.presets.segments import Shape

Initializer = Callable[[Shape], np.ndarray]


class Weight(NamedTuple):
    """A row of a layout; everything that needs a weight's names is derived from it."""

    name: str
    shape: Shape
    initializer: Initializer
    dataset: str  # in KerasHub's HDF5 file
    tensor: TensorPlace  # in a checkpoint of transformers

    def fresh(self, dtype: str) -> np.ndarray:
        """New numbers."""
        return self.laid(self.initializer(self.shape).astype(dtype, copy=False))

    def laid(self, array: np.ndarray) -> np.ndarray:
        """The array as it lies in memory: a projection by outputs, as PyTorch keeps it, so that what one output sums
        up is a line; aligned and writable. All weights of models lie so: the bits are the same before saving and after
        loading.
        """
        inputs = prod(self.shape[: self.tensor.inputs])
        if not self.tensor.inputs or array.shape != self.shape:
            return np.require(array, requirements=("C", "A", "W"))
        return np.require(array.reshape(inputs, -1).T, requirements=("C", "A", "W")).T.reshape(self.shape)


Layout = Iterator[Weight]  # one by one, so that a wild configuration stops early


class Place(NamedTuple):
    """Where a layer stands: in our names, in KerasHub's file and in transformers' checkpoint."""

    name: str
    keras: str
    torch: str

    def at(self, name: str, torch: str, keras: str = "") -> Place:
        """A part of the layer; KerasHub's file has our names if it has no others."""
        return Place(f"{self.name}/{name}", f"{self.keras}/{keras or name}", f"{self.torch}.{torch}")

    def weight(
        self,
        shape: Shape,
        initializer: Initializer,
        variable: str,
        number: int = 0,
        also: tuple[str, ...] = (),
        **how: Any,
    ) -> Weight:
        """A weight, whose tensor may have other names `also`; `how` is for its `TensorPlace`.

        transformers calls everything but a bias or a shift `weight`.
        """
        suffix = "bias" if variable in ("bias", "beta") else "weight"
        names = tuple(f"{torch}.{suffix}" for torch in (self.torch, *also)) if self.torch else ()
        tensor = TensorPlace(names, **how)
        return Weight(f"{self.name}/{variable}", shape, initializer, f"{self.keras}/vars/{number}", tensor)

    def dense(self, inputs: Shape, outputs: Shape, initializer: Initializer, bias: bool = False) -> Layout:
        """A projection. Shapes: kernel (*inputs, *outputs), bias (*outputs)."""
        yield self.weight((*inputs, *outputs), initializer, "kernel", inputs=len(inputs))
        if bias:
            yield self.weight(outputs, np.zeros, "bias", 1)


@dataclass(frozen=True)
class TensorPlace:
    """A tensor: its names (the first is the one that is written), and how it differs from KerasHub's array.

    Without a name it is no tensor: transformers computes it, and so does the initializer. A `mirrored` one, a
    convolution's, has its axes the other way round.

    `inputs` is the number of leading axes that are a projection's inputs: PyTorch keeps projections as (out, in).
    `skipped` is the number of rows at the top that KerasHub's table does not have. `instead` is the tensor that stands
    for this one where a checkpoint has none of its names.
    """

    names: tuple[str, ...]
    inputs: int = 0
    skipped: int = 0
    instead: str = ""
    mirrored: bool = False

    def stored_shape(self, shape: Shape) -> Shape:
        """The tensor's shape, from KerasHub's."""
        if self.mirrored:
            return shape[::-1]
        if self.inputs:
            return prod(shape[self.inputs :]), prod(shape[: self.inputs])
        if self.skipped:
            return shape[0] + self.skipped, *shape[1:]
        return (prod(shape),) if len(shape) == 2 and self.names[0].endswith("bias") else shape

    def stored(self, array: np.ndarray) -> np.ndarray:
        """The tensor, from KerasHub's array. Rows that KerasHub lacks are zeros: no model reads them."""
        if self.mirrored:
            return array.T
        if self.inputs:
            return array.reshape(-1, prod(array.shape[self.inputs :])).T
        if self.skipped:
            return np.concatenate([np.zeros((self.skipped, *array.shape[1:]), array.dtype), array])
        return array.reshape(self.stored_shape(array.shape))
