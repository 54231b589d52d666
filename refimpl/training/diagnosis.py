"""Where the first number that is no number came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refimpl.autograd.tape import Node, Tape
from refimpl.errors import NonFiniteError


class FirstNonFiniteError(Exception):
    """Ends a forward pass at the first result that is not finite."""


class WatchingTape(Tape):
    """A tape that stops at the first result that is not finite."""

    def run(self, name: str, taped: Any, args: Sequence[Any]) -> Node:
        """Compute a primitive and look at its value."""
        node = super().run(name, taped, args)
        if not np.isfinite(node.value).all():
            weights = [arg.name for arg in args if isinstance(arg, Node) and "/" in arg.name]
            raise FirstNonFiniteError(f"the result of {name}" + (f" with {', '.join(weights)}" if weights else ""))
        return node


def first_non_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """The name of the first array with an infinite value or one that is not a number."""
    for name, array in arrays.items():
        flat = array.ravel("K")
        if not np.isfinite(np.dot(flat, flat)) and not np.isfinite(flat).all():
            return name
    return None


def stopped(step: int, what: str, tensor: str) -> NonFiniteError:
    """The error that says where training stopped and what to do."""
    return NonFiniteError(
        f"At step {step} {what} is not finite; the first such tensor is {tensor}.",
        "Loss and gradients must be finite. The weights are as they were before this step.",
        "Lower the learning rate, clip gradients (Adam(..., clipnorm=1.0)), or load an earlier checkpoint.",
        "training.fit.non-finite",
    )
