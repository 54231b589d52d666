"""One batch through the model: the loss, what the metrics need, and the gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refimpl.autograd import ops
from refimpl.autograd.dropout import Dropout
from refimpl.autograd.tape import Node, Tape
from refimpl.training.batch import TrainingBatch
from refimpl.training.losses import Loss, SparseCategoricalCrossentropy
from refimpl.training.twins import Shards, whole


@dataclass
class Outcome:
    """Shapes: loss (); guesses, losses (B, T), or instead of them logits (B, T, V); a gradient as its weight."""

    loss: float
    guesses: np.ndarray
    losses: np.ndarray
    logits: np.ndarray | None
    gradients: dict[str, np.ndarray]


def run(
    backbone: Any,
    batch: TrainingBatch,
    loss: Loss,
    *,
    trainable: Callable[[str], bool] | None,
    drop: Dropout,
    whole_logits: bool,
    new_tape: Callable[[], Tape],
    shards: Shards = whole,
) -> Outcome:
    """Forward, and backward if weights are `trainable`. The batch may be trimmed: `loss` divides by the whole.

    Rows meet in sums only, so that shards of them can be worked on beside each other, each with a tape of its own.

    Spec: training.fit.dropout
    """
    short = TrainingBatch(batch.inputs, batch.labels, loss.shares(batch.labels, batch.weights))
    short = short if whole_logits else short.trimmed(backbone.inert_padding)
    is_fused = not whole_logits and _is_plain(loss) and backbone.logit_cap is None
    result = _fused if is_fused else _by_logits

    def shard(first: int, end: int) -> Outcome:
        tape = new_tape()
        nodes = {
            name: tape.variable(array, name) if trainable and trainable(name) else tape.constant(array, name)
            for name, array in backbone.params.items()
        }
        total, guesses, losses, logits = result(
            backbone, nodes, short.between(first, end), loss, drop.of_rows_from(first)
        )
        gradients = {}
        if isinstance(total, Node) and total.needs_gradient:
            tape.backward(total)
            gradients = {name: node.gradient for name, node in nodes.items() if node.gradient is not None}
        value = float(total.value if isinstance(total, Node) else total)
        return Outcome(value, _widened(guesses, batch), _widened(losses, batch), logits, gradients)

    return _joined(shards(shard, short.rows) if is_fused else [shard(0, short.rows)])


def _joined(parts: list[Outcome]) -> Outcome:
    """What the shards have together."""
    if len(parts) == 1:
        return parts[0]
    gradients = {
        name: functools.reduce(np.add, [part.gradients[name] for part in parts]) for name in parts[0].gradients
    }
    guesses, losses = (np.concatenate([getattr(part, key) for part in parts]) for key in ("guesses", "losses"))
    return Outcome(sum(part.loss for part in parts), guesses, losses, None, gradients)


def _is_plain(loss: Loss) -> bool:
    """Whether a loss is the one that the fused head computes."""
    return isinstance(loss, SparseCategoricalCrossentropy) and loss.computes_all_labels


def _fused(backbone: Any, nodes: Mapping[str, Node], batch: TrainingBatch, _loss: Loss, drop: Dropout) -> Any:
    """The loss without ever holding all logits."""
    scope = type(backbone.scope)(nodes)
    states = backbone.forward(scope, batch.inputs, drop)["decoder_sequence_output"]
    losses, guesses = np.zeros(batch.labels.shape, batch.weights.dtype), np.zeros(batch.labels.shape, np.int64)
    total = ops.head_loss(*backbone.head(scope, states), batch.labels, batch.weights, losses, guesses)
    return total, guesses, losses, None


def _by_logits(backbone: Any, nodes: Mapping[str, Node], batch: TrainingBatch, loss: Loss, drop: Dropout) -> Any:
    """The loss of a user's own making, or with metrics that look at logits."""
    scope = type(backbone.scope)(nodes)
    logits = backbone.logits(scope, backbone.forward(scope, batch.inputs, drop)["decoder_sequence_output"])
    each = loss.call(batch.labels, logits)
    total = ops.weighted_sum(each, batch.weights)
    known = (batch.labels >= 0) & (batch.labels < logits.shape[-1])
    losses = ops.cross_entropy(logits.value, np.where(known, batch.labels, 0))
    return total, logits.value.argmax(axis=-1), losses, logits.value


def _widened(array: np.ndarray, batch: TrainingBatch) -> np.ndarray:
    """Columns that were trimmed, as zeros. Shapes: (B, t) -> (B, T)."""
    missing = batch.labels.shape[1] - array.shape[1]
    return np.pad(array, ((0, 0), (0, missing))) if missing else array
