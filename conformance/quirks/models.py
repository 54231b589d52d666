# ruff: noqa: ARG001
"""Quirks of the forward pass and of what it takes."""

from typing import Any

import numpy as np

from conformance.quirks import Quirk

BACKBONE, STACKS = "refimpl.models.backbone", "refimpl.models.encoder_decoder"
OPS = "refimpl.autograd.ops"


def _negative_too(right: Any) -> Any:
    """NumPy's rows count from the end as well."""
    return lambda self, key, ids: right(self, key, np.maximum(ids, 0))


def _beyond_too(right: Any) -> Any:
    return lambda self, key, ids: right(self, key, np.minimum(ids, self.vocabulary_size - 1))


def _not_a_number(right: Any) -> Any:
    """The row of an id that the table lacks."""

    def embed(table: Any, ids: np.ndarray) -> Any:
        beyond = np.asarray(ids) >= table.shape[0]
        if not beyond.any():
            return right(table, ids)
        found = right(table, np.where(beyond, 0, ids))
        return np.where(beyond[..., None], found.dtype.type(np.nan), found)

    return embed


def _broadcast(right: Any) -> Any:
    """One row beside several stands beside each of them."""

    def checked(self: Any, inputs: Any) -> Any:
        rows = max(len(value) for value in inputs.values())
        return right(self, {k: np.repeat(v, rows, axis=0) if len(v) == 1 else v for k, v in inputs.items()})

    return checked


def _mean_over_nothing(shows: Any) -> tuple[tuple[str, str, Any], ...]:
    """A row that may attend to nothing gets the mean of all values, in backbones of which `shows` is true."""
    inside = [False]

    def noted(right: Any) -> Any:
        def run(self: Any, *rest: Any, **named: Any) -> Any:
            before, inside[0] = inside[0], shows(self)
            try:
                return right(self, *rest, **named)
            finally:
                inside[0] = before

        return run

    def attention(right: Any) -> Any:
        def attend(query: Any, key: Any, value: Any, may: np.ndarray, *rest: Any) -> Any:
            found = right(query, key, value, may, *rest)
            nothing = ~may.any(axis=-1)  # (B, 1, 1 or T)
            if not inside[0] or not nothing.any() or not isinstance(query, np.ndarray):  # the tape's have no weight
                return found
            mean = value.mean(axis=1, keepdims=True).repeat(found.shape[2] // value.shape[2], axis=2)
            return np.where(nothing[:, 0, :, None, None], mean, found)

        return attend

    ways = tuple((STACKS, f"EncoderDecoder.{way}", noted) for way in ("encode", "decode"))
    return (*ways, (OPS, "attention", attention))


def _window_of_more(right: Any) -> Any:
    """The encoder does not slide, and the decoder's window does not count the own position."""
    return lambda self, side, n: None if side == "encoder" else (found := right(self, side, n)) and found + 1


def quirks(backend: str) -> list[Quirk]:
    """Quirks of ids, shapes and masks."""
    return [
        Quirk("negative-ids-wrap", ((BACKBONE, "Backbone._check_ids", _negative_too),)),
        Quirk(
            "ids-beyond-the-vocabulary",
            ((BACKBONE, "Backbone._check_ids", _beyond_too), (OPS, "embed", _not_a_number)),
            ("jax",),
        ),
        Quirk("batch-sizes-broadcast", ((BACKBONE, "Backbone.checked", _broadcast),), ("torch",)),
        Quirk(
            "mean-over-nothing", _mean_over_nothing(lambda model: "Bart" in type(model).__name__ and model.dropout == 0)
        ),
        Quirk("t5gemma-window", (("refimpl.models.t5gemma.backbone", "T5GemmaBackbone.reach", _window_of_more),)),
        Quirk(
            "t5-mean-over-nothing",
            _mean_over_nothing(lambda model: any(name in type(model).__name__ for name in ("T5", "Moonshine"))),
        ),
    ]
