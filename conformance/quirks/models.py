# ruff: noqa: ARG001
"""Quirks of the forward pass and of what it takes."""

from typing import Any

import numpy as np

from conformance.quirks import Quirk

BACKBONE, BART, OPS = "refimpl.models.backbone", "refimpl.models.bart_backbone", "refimpl.autograd.ops"


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


def _mean_over_nothing() -> tuple[tuple[str, str, Any], ...]:
    """Where nothing may be attended to, all positions count alike; only if the configured dropout is 0."""
    no_dropout = [False]

    def noted(right: Any) -> Any:
        def run(self: Any, *rest: Any, **named: Any) -> Any:
            no_dropout[0] = self.dropout == 0
            return right(self, *rest, **named)

        return run

    def attention(right: Any) -> Any:
        def attend(query: Any, key: Any, value: Any, may: np.ndarray, *rest: Any) -> Any:
            nothing = ~may.any(axis=-1)  # (B, 1, 1 or T)
            if no_dropout[0] and nothing.any() and isinstance(query, np.ndarray):  # the tape's rows have no weight
                query = np.where(nothing[:, 0, :, None, None], query.dtype.type(0), query)
                may = may | nothing[..., None]
            return right(query, key, value, may, *rest)

        return attend

    ways = tuple((BART, f"BartBackbone.{name}", noted) for name in ("encode", "decode", "decode_cached"))
    return (*ways, (OPS, "attention", attention))


def _mean_of_values(right: Any) -> Any:
    """T5's attention, where a row that may attend to nothing gets the mean of all values."""

    def attend(query: Any, key: Any, value: Any, bias: Any, may: np.ndarray, *rest: Any) -> Any:
        found = right(query, key, value, bias, may, *rest)
        nothing = ~may.any(axis=-1)  # (B, 1, 1 or T)
        if not nothing.any() or not isinstance(query, np.ndarray):  # the tape's rows have no weight
            return found
        return np.where(nothing[:, 0, :, None, None], value.mean(axis=1, keepdims=True), found)

    return attend


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
        Quirk("mean-over-nothing", _mean_over_nothing()),
        Quirk("t5-mean-over-nothing", ((OPS, "relative_attention", _mean_of_values),)),
    ]
