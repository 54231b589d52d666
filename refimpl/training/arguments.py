"""The arguments of `fit` and `evaluate`, looked at."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.errors import ConfigError, InputTypeError, TrainingDataError
from refimpl.terminal import is_terminal
from refimpl.training.data import BATCH_SIZE, Batches, Samples

Data = Samples | Batches


def rows_of(batch_size: Any) -> int:
    """The number of rows of a batch, 32 by default. Spec: training.data.batch-size"""
    if batch_size is None:
        return BATCH_SIZE
    if isinstance(batch_size, bool) or not hasattr(batch_size, "__index__") or batch_size < 1:
        raise ConfigError(
            f"batch_size={batch_size!r} was passed.",
            "It must be a whole number above 0.",
            f"Leave it out for {BATCH_SIZE}.",
            "training.data.batch-size",
        )
    return int(batch_size)


def verbosity(verbose: Any) -> int:
    """0, 1 or 2; `"auto"` is the bar where somebody looks on, else one line an epoch. Spec: training.fit.verbose"""
    if verbose == "auto":
        return 1 if is_terminal(sys.stdout) else 2
    return int(verbose)


def listed(callbacks: Any) -> list[Any]:
    """Callbacks as a list."""
    return [] if callbacks is None else list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]


def parts_of(validation_data: Any) -> tuple[Any, ...]:
    """`x`, `(x,)`, `(x, y)` or `(x, y, sample_weight)`. Spec: training.fit.validation"""
    if isinstance(validation_data, tuple) and 1 <= len(validation_data) <= 3:
        return validation_data
    return (validation_data,)


def splittable(data: Data) -> Samples:
    """Data from which a part can be split off. Spec: training.data.validation-split"""
    if isinstance(data, Samples):
        return data
    raise TrainingDataError(
        "validation_split was passed with an iterable of batches.",
        "Only data in memory can be split.",
        "Pass validation_data.",
        "training.data.validation-split",
    )


def refuse_class_weight(class_weight: Any) -> None:
    """`class_weight` is Keras's for classifiers; here a weight belongs to a position."""
    if class_weight is not None:
        raise ConfigError(
            "class_weight was passed.",
            "A sequence model has weights for positions, not for classes.",
            "Pass sample_weight.",
            "training.fit.class-weight",
        )


def refuse_keras_only(arguments: Mapping[str, Any]) -> None:
    """Arguments of Keras's `compile` that mean nothing here: what asks for nothing may stay.

    Raises: InputTypeError.
    Spec: training.compile.keras-only
    """
    for name, value in arguments.items():
        harmless, mend = _KERAS_ONLY.get(name, ((), "Check the spelling."))
        if value not in harmless:
            raise InputTypeError(
                f"compile() got an unexpected keyword argument {name!r} (with {value!r:.40}).",
                "It takes optimizer, loss, metrics, weighted_metrics, sampler and jit_compile.",
                mend,
                "training.compile.keras-only",
            )


_KERAS_ONLY: dict[str, tuple[tuple[Any, ...], str]] = {
    "run_eagerly": ((None, False, True), "Leave it out."),
    "steps_per_execution": ((None, 1), "Leave it out: each step is on its own."),
    "loss_weights": ((None,), "Leave it out, as there is one output; pass sample_weight to weigh positions."),
    "auto_scale_loss": ((None, True, False), "Leave it out: nothing is trained in half precision."),
}


def check_jit_compile(value: Any) -> None:
    """What `compile` takes for `jit_compile`; Keras takes anything, and a text other than "auto" as True.

    Raises: ConfigError.
    Spec: task.compile.jit-compile
    """
    if not isinstance(value, (bool, np.bool_)) and not (isinstance(value, str) and value == "auto"):
        raise ConfigError(
            f"jit_compile={value!r:.80} was passed.",
            'It must be True, False or "auto".',
            "Leave it out for compiled kernels; False runs the plain NumPy definition.",
            "task.compile.jit-compile",
        )


def refuse_half_precision(dtype: str) -> None:
    """Small gradients are 0 in float16, and Adam's epsilon too, so that every step would divide by 0.

    Raises: ConfigError.
    Spec: training.fit.half-precision
    """
    if dtype == "float16":
        raise ConfigError(
            "The task computes in float16.",
            "Training needs float32 or float64: in half precision small gradients, and Adam's epsilon, are 0.",
            'Load the preset with dtype="float32".',
            "training.fit.half-precision",
        )


def no_batch() -> TrainingDataError:
    """Data that held nothing."""
    return TrainingDataError(
        "The data held no batch.", "There must be at least one.", "Check the iterable.", "training.data.empty"
    )
