"""The cases in golden/<chapter>/*.json: reading them and checking their form."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from conformance.suite.clauses import CHAPTERS, ID

_BESIDE = Path(__file__).parents[2]
GOLDEN = next((path for path in (_BESIDE / "golden", _BESIDE / "refimpl" / "golden") if path.is_dir()), _BESIDE)
FORMAT = 1
CAPABILITIES = ("core", "probe", "trace", "formats", "safe-loading", "exact-rows", "jax-random", "t5gemma", "moonshine")
EXPECTATIONS = ("exact", "numeric", "generation", "error", "same_as", "shape", "frequencies", "saved_weights", "trace")
PROVENANCE = ("producer", "version", "backend", "date")


class CaseError(ValueError):
    """A case file that is not in its format."""


@dataclass(frozen=True)
class Case:
    """One question with its answer. `steps` are messages to the implementation, each with what to expect."""

    id: str
    about: str
    flags: dict[str, str]
    capability: str
    steps: list[dict[str, Any]]
    provenance: dict[str, Any]
    file: Path = field(repr=False)

    @property
    def clause(self) -> str:
        """The clause that the case tests."""
        return self.id.partition("#")[0]

    @property
    def chapter(self) -> str:
        """The first part of the id."""
        return self.id.partition(".")[0]

    def array(self, reference: str) -> np.ndarray:
        """An array of the safetensors file beside the case, by its key."""
        return _arrays(self.file.with_suffix(".safetensors"))[reference]


@functools.lru_cache(32)
def _arrays(path: Path) -> dict[str, np.ndarray]:
    return load_file(path)


def read_cases(only: str = "", folder: Path = GOLDEN) -> list[Case]:
    """All cases whose id starts with `only`, by chapter and id. Raises: CaseError."""
    chapters = [chapter for chapter in CHAPTERS if chapter.startswith(only) or only.startswith(chapter)]
    cases = [case for chapter in chapters for path in sorted((folder / chapter).glob("*.json")) for case in _read(path)]
    ids = [case.id for case in cases]
    if len(set(ids)) < len(ids):
        raise CaseError(f"Case ids stand twice: {sorted({i for i in ids if ids.count(i) > 1})}.")
    return [case for case in cases if case.id.startswith(only)]


def _read(path: Path) -> Iterator[Case]:
    content = json.loads(path.read_text(encoding="utf-8"))
    if content.get("format") != FORMAT:
        raise CaseError(f"{path}: format {content.get('format')!r}; this runner reads format {FORMAT}.")
    for case in content["cases"]:
        try:
            yield _checked(case, content["flags"], path)
        except (KeyError, TypeError) as error:
            raise CaseError(f"{path}: {case.get('id')}: {type(error).__name__} {error}.") from error


def _checked(case: dict[str, Any], flags: dict[str, str], path: Path) -> Case:
    """A case, after its form was looked at."""

    def must(holds: bool, problem: str) -> None:
        if not holds:
            raise CaseError(f"{path}: {case.get('id')}: {problem}.")

    clause, _, slug = case["id"].partition("#")
    must(bool(ID.fullmatch(clause)) and bool(slug), "the id must be <clause>#<slug>")
    must(path.parent.name == clause.partition(".")[0], "the file must lie in its chapter's folder")
    must(case["capability"] in CAPABILITIES, f"unknown capability {case['capability']!r}")
    must(bool(case["flags"]) and set(case["flags"]) <= set(flags), "each flag must be explained in the file")
    must(all(case["provenance"].get(key) for key in PROVENANCE), f"provenance needs {PROVENANCE}")
    must(bool(case["steps"]) and any("expect" in step for step in case["steps"]), "nothing is expected")
    for step in case["steps"]:
        must(set(step) <= {"op", "args", "expect", "damage"}, f"unknown keys in the step {sorted(step)}")
        must(isinstance(step["op"], str) and isinstance(step.get("args", {}), dict), "a step needs op and args")
        must(set(step.get("expect", {})) <= set(EXPECTATIONS), f"unknown expectation {sorted(step.get('expect', {}))}")
    named = {flag: flags[flag] for flag in case["flags"]}
    return Case(case["id"], case["about"], named, case["capability"], case["steps"], case["provenance"], path)
