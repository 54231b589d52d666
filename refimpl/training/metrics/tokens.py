"""Metrics of tokens: numbers that are added up over the batches of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np

from refimpl.autograd import ops
from refimpl.errors import ConfigError
from refimpl.keras_api.objects import taken


class Metric:
    """A user's metric defines `update_state(y_true, y_pred, sample_weight)`, `result` and `reset_state`.

    `y_pred` are logits. `direction` says whether more is better (`"up"`) or less (`"down"`).
    """

    direction: ClassVar[str] = ""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or type(self).__name__
        self.reset_state()

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Add a batch; returns the value over all batches so far."""
        self.update_state(y_true, y_pred, sample_weight=sample_weight)
        return self.result()

    def update_state(self, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        """Add a batch."""
        raise NotImplementedError

    def result(self) -> float:
        """The value over all batches so far."""
        raise NotImplementedError

    def reset_state(self) -> None:
        """Forget all batches."""
        raise NotImplementedError


class TokenMetric(Metric):
    """A weighted mean of something of each position that needs no logits, only the guess and the cross-entropy."""

    def reset_state(self) -> None:
        """Forget all batches."""
        self.total = self.count = 0.0

    def of_tokens(self, labels: np.ndarray, guesses: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """What is averaged. Shapes: all (B, T)."""
        raise NotImplementedError

    def update_tokens(self, labels: np.ndarray, guesses: np.ndarray, losses: np.ndarray, weights: np.ndarray) -> None:
        """Add a batch. Shapes: all (B, T); where the weight is 0 the others may hold anything.

        Spec: training.metric.weights
        """
        values = self.of_tokens(labels, guesses, losses).astype(np.float64)
        self.total += float(np.sum(np.where(weights != 0, values, 0.0) * weights))
        self.count += float(np.sum(weights, dtype=np.float64))

    def update_state(self, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        """Add a batch of logits. Shapes: (B, T), (B, T, V), (B, T)."""
        labels, logits = np.asarray(y_true).astype(np.int64), np.asarray(y_pred)
        losses = ops.cross_entropy(logits if logits.dtype.kind == "f" else logits.astype(np.float32), labels)
        weights = np.ones(labels.shape) if sample_weight is None else np.broadcast_to(sample_weight, labels.shape)
        self.update_tokens(labels, logits.argmax(axis=-1), losses, weights)

    def mean(self) -> float:
        """The weighted mean, 0 if nothing had weight."""
        return self.total / self.count if self.count else 0.0

    def result(self) -> float:
        """The value over all batches so far."""
        return self.mean()


class SparseCategoricalAccuracy(TokenMetric):
    """The share of positions whose most probable token is the label; of equals the lowest id counts.

    Spec: training.metric.accuracy
    """

    direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy") -> None:
        super().__init__(name)

    def of_tokens(self, labels: np.ndarray, guesses: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """1 where the guess is the label."""
        return labels == guesses


class Perplexity(TokenMetric):
    """`exp` of the mean cross-entropy; 0 if nothing had weight. Labels equal to `mask_token_id` do not count.

    With `from_logits=False` (KerasHub's default) `update_state` takes probabilities; `compile` needs True.

    Spec: training.metric.perplexity
    """

    direction = "down"

    def __init__(self, from_logits: bool = False, mask_token_id: int | None = None, name: str = "perplexity") -> None:
        super().__init__(name)
        self.from_logits, self.mask_token_id = from_logits, mask_token_id

    def update_state(self, y_true: np.ndarray, y_pred: np.ndarray, sample_weight: np.ndarray | None = None) -> None:
        """Add a batch of logits or probabilities. Shapes: (B, T), (B, T, V), (B, T)."""
        scores = np.asarray(y_pred)
        if not self.from_logits:  # Keras clips at its epsilon and does not normalize again
            shares = np.clip(scores / scores.sum(axis=-1, keepdims=True), 1e-7, 1 - 1e-7)
            labels = np.asarray(y_true).astype(np.int64)
            losses = -np.log(np.take_along_axis(shares, labels[..., None], -1))[..., 0]
            weights = np.ones(labels.shape) if sample_weight is None else np.broadcast_to(sample_weight, labels.shape)
            return self.update_tokens(labels, labels, losses, weights)
        return super().update_state(y_true, scores, sample_weight)

    def update_tokens(self, labels: np.ndarray, guesses: np.ndarray, losses: np.ndarray, weights: np.ndarray) -> None:
        """Add a batch. Shapes: all (B, T)."""
        if self.mask_token_id is not None:
            weights = weights * (labels != self.mask_token_id)
        super().update_tokens(labels, guesses, losses, weights)

    def of_tokens(self, labels: np.ndarray, guesses: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """The cross-entropy."""
        return losses

    def result(self) -> float:
        """The value over all batches so far."""
        return float(np.exp(self.mean())) if self.count else 0.0


NAMES: dict[str, Callable[..., TokenMetric]] = {
    "accuracy": SparseCategoricalAccuracy,
    "acc": SparseCategoricalAccuracy,
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "perplexity": partial(Perplexity, from_logits=True),
}


def get_all(identifiers: Any) -> list[Any]:
    """Metrics from names, classes and objects; `"auto"` is the accuracy, None is no metric.

    Raises: ConfigError for anything else.
    Spec: training.compile.auto, training.compile.metrics
    """
    if isinstance(identifiers, str) and identifiers == "auto":
        return [SparseCategoricalAccuracy()]
    wanted = identifiers if isinstance(identifiers, (list, tuple)) else [] if identifiers is None else [identifiers]
    return [_get(identifier) for identifier in wanted]


def _get(identifier: Any) -> Any:
    known = {"SparseCategoricalAccuracy": SparseCategoricalAccuracy, "Perplexity": Perplexity}
    identifier = taken(identifier, known, "training.compile.metrics")
    if identifier is Perplexity or (isinstance(identifier, Perplexity) and not identifier.from_logits):
        raise ConfigError(
            "compile() got Perplexity(from_logits=False).",
            "The model's output is logits, not probabilities.",
            "Pass from_logits=True.",
            "training.metric.perplexity",
        )
    if isinstance(identifier, str) and identifier in NAMES:
        return NAMES[identifier](name=identifier)
    if isinstance(identifier, type) and hasattr(identifier, "update_state"):
        return identifier()
    if not isinstance(identifier, type) and all(
        hasattr(identifier, method) for method in ("update_state", "result", "reset_state", "name")
    ):
        return identifier
    raise ConfigError(
        f"Could not interpret metric identifier: {identifier!r}.",
        f"A metric is one of the names {', '.join(NAMES)}, or an object with update_state, result and reset_state.",
        "Check the spelling.",
        "training.compile.metrics",
    )
