"""One batch as arrays that were looked at: inputs, labels and a weight for each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from refimpl.errors import LabelError, TrainingDataError


@dataclass
class TrainingBatch:
    """Shapes: inputs `encoder_*` (B, S), `decoder_*` (B, T); labels (B, T) int64; weights (B, T) float."""

    inputs: dict[str, np.ndarray]
    labels: np.ndarray
    weights: np.ndarray

    @property
    def rows(self) -> int:
        """The number of samples."""
        return len(self.labels)

    def between(self, first: int, end: int) -> TrainingBatch:
        """Some of its rows."""
        inputs = {key: array[first:end] for key, array in self.inputs.items()}
        return TrainingBatch(inputs, self.labels[first:end], self.weights[first:end])

    def trimmed(self, inert: bool = True) -> TrainingBatch:
        """Without the columns at the end that are padding in every row: they change no loss and no gradient.

        Those of a source whose padding is not inert stay.

        Spec: training.loss.padding-inert
        """
        inputs = self.inputs
        source = _used(inputs["encoder_padding_mask"]) if inert else None
        target = _used(inputs["decoder_padding_mask"] | (self.weights != 0))
        widths = {"encoder": source, "decoder": target}
        cut = {key: array[:, : widths[key.split("_")[0]]] for key, array in inputs.items()}
        return TrainingBatch(cut, self.labels[:, :target], self.weights[:, :target])


def _used(mask: np.ndarray) -> int:
    """The number of columns up to the last one that is used; at least 1. Shapes: (B, T)."""
    used = np.flatnonzero(mask.any(axis=0))
    return int(used[-1]) + 1 if used.size else 1


def training_batch(backbone: Any, x: Any, y: Any, sample_weight: Any, ignored: int | None = None) -> TrainingBatch:
    """Check a batch of token ids. `ignored` is a label that may stand anywhere.

    Raises: TrainingDataError, LabelError, and what the backbone raises for its inputs.
    Spec: training.data.labels, training.data.weights
    """
    inputs = backbone.checked(x)
    labels = np.asarray(y)
    shape = inputs["decoder_token_ids"].shape
    if y is None or labels.shape != shape or labels.dtype.kind not in "iuf":
        raise TrainingDataError(
            f"The labels have the shape {None if y is None else labels.shape} and the type {labels.dtype}.",
            f"They must be token ids of the shape of decoder_token_ids, {shape}.",
            "Pass as y the decoder's tokens, shifted by one to the left.",
            "training.data.labels",
        )
    weights = _weights(sample_weight, shape, backbone.dtype)
    return TrainingBatch(inputs, _checked_labels(labels, weights, backbone.vocabulary_size, ignored), weights)


def _weights(given: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """A weight for each position, from weights of positions or of rows. Spec: training.data.weights"""
    if given is None:
        return np.ones(shape, dtype)
    weights = np.asarray(given)
    if weights.dtype.kind not in "biuf" or weights.shape not in (shape, shape[:1], (shape[0], 1)):
        raise TrainingDataError(
            f"sample_weight has the shape {weights.shape} and the type {weights.dtype}.",
            f"It must be numbers: one for each position {shape} or for each row {shape[:1]}.",
            "Reshape it.",
            "training.data.weights",
        )
    weights = weights.astype(dtype)
    if not np.isfinite(weights).all():
        raise TrainingDataError(
            "sample_weight holds values that are infinite or not a number.",
            "Weights must be finite.",
            "Replace them by 0 to leave positions out.",
            "training.data.weights",
        )
    return np.broadcast_to(weights if weights.ndim == 2 else weights[:, None], shape)


def _checked_labels(labels: np.ndarray, weights: np.ndarray, size: int, ignored: int | None) -> np.ndarray:
    """Labels as ids. Where the weight is 0 anything may stand: it counts as 0.

    Spec: training.data.labels-in-vocabulary
    """
    outside = ((labels < 0) | (labels >= size) | (labels % 1 != 0)) & (labels != ignored)
    if (outside & (weights != 0)).any():
        row, place = np.argwhere(outside & (weights != 0))[0]
        raise LabelError(
            f"The label at row {row}, position {place} is {labels[row, place]}.",
            f"Labels must be ids from 0 to {size - 1} (vocabulary_size - 1) wherever the weight is not 0.",
            "Use the tokenizer of the same preset; give positions that do not count, such as -100, the weight 0.",
            "training.data.labels-in-vocabulary",
        )
    return np.where(outside, 0, labels).astype(np.int64)
