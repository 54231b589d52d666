"""The loss and the metrics of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from refimpl.training.batch import TrainingBatch
from refimpl.training.metrics import TokenMetric
from refimpl.training.step import Outcome


class Scores:
    """Adds up the loss, each batch weighted by its number of rows, and the metrics.

    Spec: training.fit.epoch-loss, training.metric.weights
    """

    def __init__(self, unweighted: list[Any], weighted: list[Any]) -> None:
        self.unweighted, self.weighted = unweighted, weighted
        self.reset()

    @property
    def metrics(self) -> list[Any]:
        """All metrics, those without weights first."""
        return [*self.unweighted, *self.weighted]

    @property
    def need_logits(self) -> bool:
        """Whether a metric looks at logits, or at positions whose weight is 0."""
        return bool(self.unweighted) or not all(isinstance(metric, TokenMetric) for metric in self.weighted)

    def reset(self) -> None:
        """Forget all batches."""
        self._loss = self._rows = 0.0
        for metric in self.metrics:
            metric.reset_state()

    def update(self, batch: TrainingBatch, outcome: Outcome) -> None:
        """Add a batch."""
        self._loss += outcome.loss * batch.rows
        self._rows += batch.rows
        weightings = [(metric, np.ones_like(batch.weights)) for metric in self.unweighted]
        for metric, weights in weightings + [(metric, batch.weights) for metric in self.weighted]:
            if isinstance(metric, TokenMetric):
                metric.update_tokens(batch.labels, outcome.guesses, outcome.losses, weights)
            else:
                metric.update_state(batch.labels, outcome.logits, sample_weight=weights)

    def values(self) -> dict[str, float]:
        """The loss and the metrics over all batches so far."""
        loss = self._loss / self._rows if self._rows else 0.0
        return {"loss": loss} | {metric.name: float(metric.result()) for metric in self.metrics}

    def returned(self, return_dict: bool) -> Any:
        """The values as a dictionary or, as in Keras, a list; alone the loss is a number."""
        values = self.values()
        return values if return_dict else list(values.values()) if len(values) > 1 else values["loss"]
