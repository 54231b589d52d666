"""Losses: from logits and labels to one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refimpl.autograd import ops
from refimpl.errors import ConfigError, not_here
from refimpl.keras_api.objects import taken

__getattr__ = not_here("loss", ["SparseCategoricalCrossentropy"], "training.compile.loss")
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight")


class Loss:
    """A loss of each position, and how the positions are put together. A subclass defines `call` with `ops`.

    `call(y_true, y_pred)` gets labels and logits and gives one loss a position; in training `y_pred` is a node of the
    tape, so that only primitives of `refimpl.autograd.ops` may touch it.

    Spec: training.loss.custom
    """

    def __init__(self, name: str | None = None, reduction: str = "sum_over_batch_size") -> None:
        self.name = name or type(self).__name__
        self.reduction = reduction
        if reduction not in REDUCTIONS:
            raise ConfigError(
                f"reduction={reduction!r} was passed.",
                f"It must be one of {', '.join(REDUCTIONS)}: fit needs one number.",
                "Leave it out for sum_over_batch_size.",
                "training.loss.reductions",
            )

    def call(self, y_true: np.ndarray, y_pred: Any) -> Any:
        """The loss of each position. Shapes: labels (B, T), logits (B, T, V) -> (B, T)."""
        raise NotImplementedError

    def valid(self, y_true: np.ndarray) -> np.ndarray | None:
        """Which positions count at all; None for all of them. Shapes: (B, T) -> (B, T) bool."""
        return None

    def shares(self, y_true: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """By what each position's loss is multiplied before all are added up. Shapes: (B, T), (B, T) -> (B, T).

        `sum_over_batch_size` divides by the number of all positions, padding included, and not by the sum of the
        weights; only positions that `valid` leaves out are not counted.

        Spec: training.loss.divisor, training.loss.reductions, training.loss.ignore-class
        """
        valid = self.valid(y_true)
        weights = weights if valid is None else weights * valid
        if self.reduction == "sum":
            divisor: float = 1.0
        elif self.reduction == "mean_with_sample_weight":
            divisor = float(weights.sum())
        else:
            divisor = float(weights.size if valid is None else valid.sum())
        return weights / weights.dtype.type(divisor or 1.0)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        """The loss of arrays. Shapes: labels (...), logits (..., V), weights (...) -> a number."""
        labels, logits = np.asarray(y_true), np.asarray(y_pred)
        logits = logits if logits.dtype.kind == "f" else logits.astype(np.float32)
        each = self.call(labels, logits)
        weights = np.ones(each.shape, each.dtype) if sample_weight is None else np.asarray(sample_weight, each.dtype)
        return float(np.sum(each * self.shares(labels, np.broadcast_to(weights, each.shape))))


class SparseCategoricalCrossentropy(Loss):
    """`log sum exp(z) - z_label` of each position.

    Spec: training.loss.cross-entropy, training.loss.from-logits
    """

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str = "sum_over_batch_size",
        name: str = "sparse_categorical_crossentropy",
    ) -> None:
        super().__init__(name, reduction)
        if not from_logits:
            raise ConfigError(
                "SparseCategoricalCrossentropy(from_logits=False) was asked for.",
                "The model's output is logits, not probabilities.",
                "Pass from_logits=True.",
                "training.loss.from-logits",
            )
        self.ignore_class = ignore_class

    def call(self, y_true: np.ndarray, y_pred: Any) -> Any:
        """The cross-entropy of each position."""
        valid = self.valid(y_true)
        labels = np.asarray(y_true).astype(np.int64)
        return ops.cross_entropy(y_pred, labels if valid is None else np.where(valid, labels, 0))

    @property
    def computes_all_labels(self) -> bool:
        """Whether this is the plain cross-entropy, not a subclass's own and without a class that is left out."""
        return type(self).call is SparseCategoricalCrossentropy.call and self.ignore_class is None

    def valid(self, y_true: np.ndarray) -> np.ndarray | None:
        """All positions but those whose label is `ignore_class`."""
        return None if self.ignore_class is None else np.asarray(y_true) != self.ignore_class


class _Function(Loss):
    """A user's function `(y_true, y_pred) -> loss of each position`."""

    def __init__(self, function: Callable[[np.ndarray, Any], Any]) -> None:
        super().__init__(getattr(function, "__name__", "loss"))
        self._function = function

    def call(self, y_true: np.ndarray, y_pred: Any) -> Any:
        """What the function gives. Raises: ConfigError if it computes with another library."""
        try:
            return self._function(y_true, y_pred)
        except (TypeError, ValueError, AttributeError) as error:
            raise ConfigError(
                f"The loss function {self.name} failed: {error!s:.120}.",
                "In training the logits are a node of the tape, which only refimpl.autograd.ops can work on.",
                "Write it with these primitives, or pass loss='auto'.",
                "training.loss.custom",
            ) from error


def get(identifier: Any) -> Loss | None:
    """A loss from its name, an object, or a function; `"auto"` is the cross-entropy of logits, None is no loss.

    The name means the loss of logits too, as logits are what the model gives.

    Raises: ConfigError for anything else.
    Spec: training.compile.auto, training.compile.loss
    """
    known = {"SparseCategoricalCrossentropy": SparseCategoricalCrossentropy}
    identifier = taken(identifier, known, "training.compile.loss")
    if identifier is None or isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, str) and identifier in ("auto", "sparse_categorical_crossentropy"):
        return SparseCategoricalCrossentropy(from_logits=True)
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    keras = hasattr(identifier, "get_config") or getattr(identifier, "__module__", None) == "keras.src.losses.losses"
    if callable(identifier) and not isinstance(identifier, type) and not keras:
        return _Function(identifier)
    raise ConfigError(
        f"Could not interpret loss identifier: {identifier!r}.",
        "A loss is 'auto', 'sparse_categorical_crossentropy', an object of refimpl.losses or a function.",
        "Check the spelling; the model's labels are token ids.",
        "training.compile.loss",
    )
