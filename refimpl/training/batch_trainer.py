"""One batch at a time: what `fit` and `evaluate` are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from refimpl import random
from refimpl.autograd.dropout import Dropout
from refimpl.autograd.masks import mixed
from refimpl.autograd.tape import Tape
from refimpl.errors import ConfigError, TrainingDataError
from refimpl.training import diagnosis, losses, metrics, optimizers, step
from refimpl.training.arguments import refuse_class_weight, refuse_half_precision
from refimpl.training.batch import TrainingBatch, training_batch
from refimpl.training.scores import Scores
from refimpl.training.twins import twins_for


class BatchTrainer:
    """Steps on single batches. It needs a `backbone` and a `preprocessor` (or None)."""

    backbone: Any
    preprocessor: Any
    trainable: bool
    seed = -1  # what dropout masks and the order of samples are drawn from
    _compiled: Scores | None = None

    def compile_training(self, optimizer: Any, loss: Any, metrics_: Any, weighted_metrics: Any) -> None:
        """Choose optimizer, loss and metrics. The first call also draws the seed of dropout masks and sample orders.

        Raises: ConfigError for an unknown one.
        Spec: training.compile.auto, training.fit.shuffle
        """
        if self.seed < 0:
            self.seed = random.draw_seed()
        self.optimizer = optimizers.get(optimizer)
        self.loss = losses.get(loss)
        self._compiled = Scores(metrics.get_all(metrics_), metrics.get_all(weighted_metrics))

    @property
    def _scores(self) -> Scores:
        """Loss and metrics so far. Spec: training.compile.first"""
        if self._compiled is None:
            raise ConfigError(
                f"{type(self).__name__} was built with compile=False, and trains or is evaluated.",
                "You must call `compile()` first.",
                "Call compile(), or leave compile=False out.",
                "training.compile.first",
            )
        return self._compiled

    @property
    def metrics(self) -> list[Any]:
        """The metrics, those without weights first."""
        return self._scores.metrics

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns."""
        return ["loss", *(metric.name for metric in self.metrics)]

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step on one batch; returns its loss and metrics, from before the step.

        Spec: training.batch.train
        """
        refuse_class_weight(class_weight)
        self._scores.reset()
        self._train_step(self._batch(x, y, sample_weight))
        return self._scores.returned(return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and metrics of one batch.

        Spec: training.batch.test
        """
        self._scores.reset()
        self._test_step(self._batch(x, y, sample_weight))
        return self._scores.returned(return_dict)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """The logits of one batch. Shapes: -> (B, T, V)."""
        inputs = x if self.preprocessor is None else self.preprocessor(x)[0]
        return self(inputs)  # type: ignore[operator]

    def _batch(self, x: Any, y: Any, sample_weight: Any) -> TrainingBatch:
        """A checked batch of token ids; texts give labels and weights themselves.

        Spec: training.fit.preprocessing
        """
        ignored = getattr(self._loss(), "ignore_class", None)
        if self.preprocessor is None:
            return training_batch(self.backbone, x, y, sample_weight, ignored)
        if y is not None:
            raise TrainingDataError(
                "Labels y were passed to a task with a preprocessor.",
                "It makes the labels itself, from decoder_text.",
                "Leave y out, or detach the preprocessor: lm.preprocessor = None.",
                "training.fit.preprocessing",
            )
        inputs, labels, is_token = self.preprocessor(x)
        batch = training_batch(self.backbone, inputs, labels, is_token, ignored)
        if sample_weight is not None:
            given = training_batch(self.backbone, inputs, labels, sample_weight, ignored)
            batch.weights = batch.weights * given.weights
        return batch

    def _train_step(self, batch: TrainingBatch) -> None:
        """Forward, backward, check, update."""
        refuse_half_precision(self.backbone.dtype)
        self.backbone.lay_weights()
        done = self.optimizer.iterations
        rate, seed = self.backbone.dropout, mixed(self.seed, done)
        outcome = self._run(batch, Dropout(rate, seed), train=True)
        if not np.isfinite(outcome.loss):
            raise diagnosis.stopped(done + 1, "the loss", self._culprit(batch, Dropout(rate, seed)))
        culprit = diagnosis.first_non_finite(outcome.gradients)
        if culprit is not None:
            raise diagnosis.stopped(done + 1, "a gradient", f"the gradient of {culprit}")
        self.optimizer.apply(outcome.gradients, self.backbone.params)
        self._scores.update(batch, outcome)

    def _test_step(self, batch: TrainingBatch) -> None:
        self._scores.update(batch, self._run(batch, Dropout(), train=False))

    def _run(self, batch: TrainingBatch, drop: Dropout, train: bool, new_tape: Any = None) -> step.Outcome:
        found = twins_for(getattr(self, "jit_compile", "auto"), self.backbone, batch)
        if isinstance(self.optimizer, optimizers.Adam):
            self.optimizer.twin = found.adam
        is_trainable = self.backbone.is_trainable if train and self.trainable else None
        with found.block():
            return step.run(
                self.backbone,
                batch,
                self._loss(),
                trainable=is_trainable,
                drop=drop,
                whole_logits=self._scores.need_logits,
                new_tape=new_tape or (lambda: Tape(found.primitives)),
                shards=found.shards,
            )

    def _culprit(self, batch: TrainingBatch, drop: Dropout) -> str:
        """The first tensor that is not finite: a weight, or a result of the forward pass."""
        weight = diagnosis.first_non_finite(self.backbone.params)
        if weight is not None:
            return f"the weight {weight}"
        try:
            self._run(batch, drop, train=False, new_tape=diagnosis.WatchingTape)
        except diagnosis.FirstNonFiniteError as error:
            return str(error)
        return "the loss itself"

    def _loss(self) -> losses.Loss:
        if self.loss is None:
            raise ConfigError(
                "The task was compiled with loss=None.",
                "fit and evaluate need a loss.",
                "Call compile() with loss='auto'.",
                "training.compile.loss",
            )
        return self.loss
