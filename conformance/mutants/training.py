# ruff: noqa: E501, ARG005  (tables read better unbroken)
"""Mutants of training. `fault` is a row of section A8 of the catalogue of real faults."""

from typing import Any

import numpy as np

from conformance.mutants import Mutant
from refimpl.autograd import ops
from refimpl.training.twins import Twins

LOSSES, STEP, BATCH = "refimpl.training.losses", "refimpl.training.step", "refimpl.training.batch_trainer"
OPTIMIZER, ADAM, SGD = (f"refimpl.training.optimizers.{name}" for name in ("optimizer", "adam", "sgd"))
DIVISOR, INERT, TRAIN = "training.loss.divisor", "training.loss.padding-inert", "training.batch.train"


def _all_ones(right: Any) -> Any:
    return lambda self, labels, weights: right(self, labels, np.ones_like(weights))


def _by_weights(_right: Any) -> Any:
    return lambda self, labels, weights: weights / weights.sum()


def _one_use(right: Any) -> Any:
    """The head's use of the shared table brings no gradient."""
    return lambda x, table, *rest: right(x, getattr(table, "value", table), *rest)


def _rolled(right: Any) -> Any:
    return lambda x, table, labels, *rest: right(x, table, np.roll(labels, 1, axis=1), *rest)


def _l2(right: Any) -> Any:
    """Decay as a part of the gradient."""

    def apply(self: Any, gradients: Any, weights: Any) -> None:
        decay, self.weight_decay = self.weight_decay, None
        right(self, {n: g + weights[n] * (decay or 0.0) for n, g in gradients.items()}, weights)
        self.weight_decay = decay

    return apply


def _swapped_clips(right: Any) -> Any:
    """Per tensor in place of together, and the other way round."""

    def factors(self: Any, gradients: Any) -> Any:
        self.clipnorm, self.global_clipnorm = self.global_clipnorm, self.clipnorm
        found = right(self, gradients)
        self.clipnorm, self.global_clipnorm = self.global_clipnorm, self.clipnorm
        return found

    return factors


def _epsilon_inside(_right: Any) -> Any:
    def update(self: Any, gradient: Any, weight: Any, rate: float, slots: Any) -> None:
        step = self.iterations + 1
        slots["momentum"] += (gradient - slots["momentum"]) * (1 - self.beta_1)
        slots["velocity"] += (gradient**2 - slots["velocity"]) * (1 - self.beta_2)
        m, v = slots["momentum"] / (1 - self.beta_1**step), slots["velocity"] / (1 - self.beta_2**step)
        weight -= rate * m / (np.sqrt(v) + self.epsilon)

    return update


def _no_look_ahead(right: Any) -> Any:
    def update(self: Any, *rest: Any) -> None:
        self.nesterov = False
        right(self, *rest)

    return update


def _unweighted(right: Any) -> Any:
    return lambda self, labels, guesses, losses, weights: right(self, labels, guesses, losses, np.ones_like(weights))


def _after_the_step(right: Any) -> Any:
    """The scores of a batch from after its step."""

    def train(self: Any, batch: Any) -> None:
        right(self, batch)
        self._scores.reset()
        self._test_step(batch)

    return train


def _some_stay(part: str) -> Any:
    """Weights whose names hold `part` are not trained."""
    return lambda right: (
        lambda self, gradients, weights: right(
            self, {name: g * 0 if part in name else g for name, g in gradients.items()}, weights
        )
    )


def _counts_nothing(right: Any) -> Any:
    """Each step is the first one."""

    def apply(self: Any, gradients: Any, weights: Any) -> None:
        right(self, gradients, weights)
        self.iterations = 0

    return apply


def _same_batch(right: Any) -> Any:
    """Each step trains on the first batch."""
    kept: dict[int, Any] = {}
    return lambda self, batch: right(self, kept.setdefault(id(self), batch))


def _unguarded(_right: Any) -> Any:
    """A row that may attend to nothing is divided by its sum, 0, all the same."""

    def softmax(scores: Any, may_attend: Any) -> Any:
        weights = np.where(may_attend, np.exp(scores - scores.max(axis=-1, keepdims=True)), 0.0)
        with np.errstate(invalid="ignore"):
            return (weights / weights.sum(axis=-1, keepdims=True)).astype(scores.dtype)

    return softmax


def _no_twins(_right: Any) -> Any:
    """The definition, which the other patch changes."""
    return lambda *_: Twins()


def _always_dropping(_right: Any) -> Any:
    """The model stays in training mode: scores, evaluation and generation are those of a model with holes."""
    return lambda self, x: ops.dropout(x, self.rate or 0.1, self.stream() or 7)


MUTANTS = [
    Mutant("padding in the loss", "T01", (INERT, DIVISOR), ((LOSSES, "Loss.shares", _all_ones),)),
    Mutant("mean over the weights", "T02", (DIVISOR,), ((LOSSES, "Loss.shares", _by_weights),)),
    Mutant("labels one place off", "D06", ("training.loss.cross-entropy",), ((STEP, "ops.head_loss", _rolled),)),
    Mutant("gradient of one use of the table", "T05", (TRAIN,), ((STEP, "ops.head_loss", _one_use),)),
    Mutant("decay as a gradient", "T07", ("training.optimizer.adamw",), ((OPTIMIZER, "Optimizer.apply", _l2),)),
    Mutant("clipping mixed up", "T13", ("training.optimizer.clipping",), ((OPTIMIZER, "Optimizer._factors", _swapped_clips),)),
    Mutant("epsilon inside the correction", "N", ("training.optimizer.adam",), ((ADAM, "Adam.update_step", _epsilon_inside),)),
    Mutant("momentum without look-ahead", "N", ("training.optimizer.sgd",), ((SGD, "SGD.update_step", _no_look_ahead),)),
    Mutant("accuracy over padding", "T01", ("training.metric.accuracy",), (("refimpl.training.metrics.tokens", "TokenMetric.update_tokens", _unweighted),)),
    Mutant("biases are not trained", "T05", (TRAIN,), ((OPTIMIZER, "Optimizer.apply", _some_stay("feedforward_output_dense/bias")),)),
    Mutant("encoder is not trained", "T05", (TRAIN,), ((OPTIMIZER, "Optimizer.apply", _some_stay("transformer_encoder")),)),
    Mutant("cross-attention is not trained", "T05", (TRAIN,), ((OPTIMIZER, "Optimizer.apply", _some_stay("cross_attention")),)),
    Mutant("steps are not counted", "N", ("training.optimizer.adam",), ((OPTIMIZER, "Optimizer.apply", _counts_nothing),)),
    Mutant("first batch again and again", "O04", (TRAIN,), ((BATCH, "BatchTrainer._train_step", _same_batch),)),
    Mutant("no number from an empty row", "T10", (INERT,), (("refimpl.autograd.attention", "softmax", _unguarded), (BATCH, "twins_for", _no_twins))),
    Mutant("dropout always on", "D17", (TRAIN, "models.bart.encoder-layer"), (("refimpl.autograd.dropout", "Dropout.__call__", _always_dropping),)),
    Mutant("scores from after the step", "N", (TRAIN,), ((BATCH, "BatchTrainer._train_step", _after_the_step),)),
]  # fmt: skip
