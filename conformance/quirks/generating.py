# ruff: noqa: ARG001
"""Quirks of `compile` and of what `generate` takes and gives."""

from typing import Any

from conformance.quirks import Quirk

SAMPLERS, IO = "refimpl.samplers", "refimpl.models.generate_io"
NAMES = {"greedy", "top_k", "top_p", "random", "beam", "contrastive", "speculative"}


class Misspelt(str):
    """A name that was taken for a sampler; it fails when it is used."""

    __slots__ = ()

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        raise AttributeError("'str' object has no attribute 'variables'")


def _keeps_names(right: Any) -> Any:
    return lambda name: Misspelt(name) if isinstance(name, str) and name not in NAMES else right(name)


def _last_key(right: Any) -> Any:
    def as_batch(inputs: Any) -> Any:
        last = list(inputs.values())[-1] if isinstance(inputs, dict) else None  # before it is changed in place
        batch, single = right(inputs)
        return batch, single if last is None else isinstance(last, str)

    return as_batch


def _in_place(right: Any) -> Any:
    def as_batch(inputs: Any) -> Any:
        batch, single = right(inputs)
        if isinstance(inputs, dict):
            inputs.update(batch)
        return batch, single

    return as_batch


def quirks(backend: str) -> list[Quirk]:
    """Quirks of inputs and outputs."""
    return [
        Quirk("inputs-changed", ((IO, "as_batch", _in_place),)),
        Quirk("last-key-decides", ((IO, "as_batch", _last_key),)),
        Quirk("unknown-sampler", ((SAMPLERS, "get", _keeps_names),), ("jax",)),
    ]
