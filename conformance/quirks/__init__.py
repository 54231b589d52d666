"""Quirks: each makes `refimpl` stray as KerasHub strays from its documentation, for one entry of spec/divergences.md.

A divergence is explained only if it can be switched on: then `refimpl` gives what that KerasHub gave. Its answers lie
beside this file (`keras_hub.json`, written by `record.py`), so that the proof needs no KerasHub.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from conformance.suite.patches import Patch, patched

VERSION = "keras-hub 0.32.0, keras 3.15.1"
BACKENDS = ("jax", "torch", "tensorflow")


@dataclass(frozen=True)
class Quirk:
    """One divergence as patches of `refimpl`, for the backends of KerasHub that have it."""

    divergence: str
    patches: tuple[Patch, ...] = field(repr=False)
    backends: tuple[str, ...] = BACKENDS
    version: str = VERSION


def all_quirks(backend: str) -> list[Quirk]:
    """The quirks of KerasHub on one backend, in the order of the rooms."""
    from conformance.quirks import generating, loading, models, samplers, speculating, texts, training

    rooms = (texts, generating, models, loading, samplers, speculating, training)
    return [quirk for room in rooms for quirk in room.quirks(backend) if backend in quirk.backends]


@contextlib.contextmanager
def switched_on(quirks: Iterable[Quirk]) -> Iterator[None]:
    """`refimpl` with these quirks in the block. Raises: LookupError if a place to patch is gone."""
    with contextlib.ExitStack() as stack:
        for quirk in quirks:
            stack.enter_context(patched(quirk.patches, f"quirk {quirk.divergence}"))
        yield
