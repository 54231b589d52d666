"""Backends that are wrong on purpose: the suite must notice each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from conformance.suite.cases import read_cases
from conformance.suite.patches import Patch, patched
from conformance.suite.runner import run


@dataclass(frozen=True)
class Mutant:
    """`refimpl` with one fault; `patches` gives (module, attribute path, wrong version made from the right one).

    `fault` is the row of the catalogue of real faults that it stands for, `clauses` what it breaks.
    """

    name: str
    fault: str
    clauses: tuple[str, ...]
    patches: tuple[Patch, ...] = field(repr=False)
    block: str = ""  # patterns of the block that should be named; if empty, by the places that are patched (blocks.py)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Make `refimpl` wrong in the block. Raises: LookupError if the place to patch is gone."""
        with patched(self.patches, self.name):
            yield


def all_mutants() -> list[Mutant]:
    """Every mutant, by chapter."""
    from conformance.mutants import (
        arithmetic,
        folders,
        generate,
        loop,
        models,
        moonshine,
        refusals,
        samplers,
        searches,
        sentence_piece,
        t5,
        t5gemma,
        text,
        tokenizers,
        training,
    )

    rooms = (
        arithmetic,
        models,
        refusals,
        loop,
        generate,
        samplers,
        searches,
        sentence_piece,
        t5,
        t5gemma,
        moonshine,
        text,
        tokenizers,
        folders,
        training,
    )
    return [mutant for room in rooms for mutant in room.MUTANTS]


def killer(mutant: Mutant) -> tuple[str, str] | None:
    """The first case that notices a mutant, and its message; cases of the clauses that it breaks are asked first."""
    from conformance.adapters.refimpl import Refimpl

    cases = sorted(read_cases(), key=lambda case: case.clause not in mutant.clauses)
    with mutant.active():
        adapter = Refimpl(jit_compile=False)  # the twins do not call what is patched
        info = adapter.start()
        for verdict in run(adapter, cases, info["capabilities"]):
            if verdict.bad:
                return verdict.case.id, verdict.message
    return None
