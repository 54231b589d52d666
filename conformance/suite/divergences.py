"""KerasHub's divergences from its documentation, read from spec/divergences.md.

They are also its expected failures: each names the cases that it fails, and the backend if it is one of several.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.suite.clauses import SPEC, SpecError

PAGE = SPEC / "divergences.md"
_HEADING = re.compile(r"^### +(\S+) *$", re.MULTILINE)
_FIELD = re.compile(r"^\*(Promise|Observed|Versions|Cases|Quirk)\*:? +(.*?)(?=^\*|^```|\Z)", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"^```text (\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CASE = re.compile(r"`([^`]+#[^`]+)`(?: \(([a-z, ]+)\))?")


@dataclass(frozen=True)
class Divergence:
    """One thing that KerasHub does otherwise. `cases` maps the ids of cases that fail to backends ("" is all).

    `printed` maps backends to what the snippet prints there. `quirk` is empty where `conformance/quirks` switches the
    divergence on, else the reason why it can't.
    """

    name: str
    sentence: str
    promise: str
    observed: str
    versions: str
    cases: dict[str, str]
    snippet: str
    printed: dict[str, str]
    quirk: str = ""


def read_divergences(page: Path = PAGE) -> list[Divergence]:
    """All entries in their order. Raises: SpecError with the entry's name."""
    parts = _HEADING.split(page.read_text(encoding="utf-8"))[1:]
    return [_entry(name, body) for name, body in zip(parts[::2], parts[1::2], strict=True)]


def _entry(name: str, body: str) -> Divergence:
    fields = {key: " ".join(text.split()) for key, text in _FIELD.findall(body)}
    snippet = re.search(r"^```python\n(.*?)^```", body, re.MULTILINE | re.DOTALL)
    missing = [key for key in ("Promise", "Observed", "Versions", "Cases") if not fields.get(key)]
    if missing or snippet is None:
        raise SpecError(f"divergences.md: {name} lacks {', '.join(missing) or 'its reproduction'}.")
    sentence = " ".join(body.split("\n*", 1)[0].split())
    cases = dict(_CASE.findall(fields["Cases"]))
    return Divergence(
        name,
        sentence,
        fields["Promise"],
        fields["Observed"],
        fields["Versions"],
        cases,
        snippet.group(1),
        dict(_PRINTED.findall(body)),
        fields.get("Quirk", ""),
    )


def expected_failures(info: dict[str, Any], file: Path | None = None) -> dict[str, str]:
    """Case id -> reason, for an implementation: KerasHub's divergences, or a file that lies beside the adapter."""
    if file is not None:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    if info.get("implementation") != "keras_hub":
        return {}
    backend = info.get("backend", "")
    return {
        id: f"divergence {entry.name}"
        for entry in read_divergences()
        for id, backends in entry.cases.items()
        if not backends or backend in backends.replace(",", " ").split()
    }
