"""What a model is given, looked at before anything is computed."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.errors import InputError


def named(inputs: Any) -> str:
    """What was passed, for a message: the keys of a dictionary, the type of anything else."""
    return ", ".join(map(str, inputs)) or "no key" if isinstance(inputs, Mapping) else type(inputs).__name__


def as_rectangle(key: str, value: Any) -> np.ndarray:
    """An array of rank 2 of numbers or truth values (spec: models.inputs.shapes).

    Spec: task.call.text
    """
    try:
        array = np.asarray(value)
        if array.ndim == 2 and array.dtype.kind in "biuf":
            return array
        problem = f"shape {array.shape} and type {array.dtype}"
    except (ValueError, TypeError) as error:
        problem = f"no rectangular shape ({error})"
    raise InputError(
        f"{key} has {problem}.",
        "It must be an array of numbers of shape (batch, length).",
        "Pad the rows to one length; for texts call lm.generate(texts), as calling a model applies no preprocessing.",
        "models.inputs.shapes",
    )
