"""Where a weight stands in a transformers checkpoint, and how it is turned there."""

from dataclasses import dataclass
from math import prod

import numpy as np

from refimpl.presets.segments import Shape


@dataclass(frozen=True)
class TensorPlace:
    """A tensor: its names (the first is the one that is written), and how it differs from KerasHub's array.

    `inputs` is the number of leading axes that are a projection's inputs: PyTorch keeps projections as (out, in).
    `skipped` is the number of rows at the top that KerasHub's table does not have. `instead` is the tensor that stands
    for this one where a checkpoint has none of its names.
    """

    names: tuple[str, ...]
    inputs: int = 0
    skipped: int = 0
    instead: str = ""

    def stored_shape(self, shape: Shape) -> Shape:
        """The tensor's shape, from KerasHub's."""
        if self.inputs:
            return prod(shape[self.inputs :]), prod(shape[: self.inputs])
        if self.skipped:
            return shape[0] + self.skipped, *shape[1:]
        return (prod(shape),) if len(shape) == 2 and self.names[0].endswith("bias") else shape

    def stored(self, array: np.ndarray) -> np.ndarray:
        """The tensor, from KerasHub's array. Rows that KerasHub lacks are zeros: no model reads them."""
        if self.inputs:
            return array.reshape(-1, prod(array.shape[self.inputs :])).T
        if self.skipped:
            return np.concatenate([np.zeros((self.skipped, *array.shape[1:]), array.dtype), array])
        return array.reshape(self.stored_shape(array.shape))
