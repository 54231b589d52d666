"""The clauses of conformance/spec, read from its Markdown pages.

A clause is a heading `### chapter.topic.rule`, one sentence, then the lines *Why*, *Source* and *Status*.
"""

import re
from dataclasses import dataclass
from pathlib import Path

CHAPTERS = (
    "tokenizers", "preprocessing", "models", "decoding", "generate", "samplers", "presets", "training",
    "invariance", "task", "cli",
)  # fmt: skip
SPEC = Path(__file__).parents[1] / "spec"
ID = re.compile(r"(?:" + "|".join(CHAPTERS) + r")(?:\.[a-z0-9]+(?:-[a-z0-9]+)*){1,2}")
_HEADING = re.compile(r"^### +(\S+) *$", re.MULTILINE)
_FIELD = re.compile(r"^\*(Why|Source|Status)\*:? +(.*?)(?=^\*(?:Why|Source|Status)\*|\Z)", re.MULTILINE | re.DOTALL)
_STATUS = re.compile(r"required|optional \(.+\)|untestable \(.+\)", re.DOTALL)


class SpecError(ValueError):
    """A page of the spec that is not in its format."""


@dataclass(frozen=True)
class Clause:
    """One sentence that must hold. `status` is required, optional (capability) or untestable (reason)."""

    id: str
    sentence: str
    why: str
    source: str
    status: str
    page: str

    @property
    def required(self) -> bool:
        """Whether every implementation must keep it."""
        return self.status == "required"


def read_clauses(folder: Path = SPEC) -> dict[str, Clause]:
    """All clauses by id, in the order of the chapters. Raises: SpecError with page and clause."""
    found: dict[str, Clause] = {}
    for chapter in CHAPTERS:
        page = folder / f"{chapter}.md"
        for clause in _read_page(page) if page.exists() else []:
            if clause.id in found:
                raise SpecError(f"{page.name}: {clause.id} stands twice.")
            found[clause.id] = clause
    return found


def _read_page(page: Path) -> list[Clause]:
    parts = _HEADING.split(page.read_text(encoding="utf-8"))[1:]
    return [_clause(page, id, body) for id, body in zip(parts[::2], parts[1::2], strict=True)]


def _clause(page: Path, id: str, body: str) -> Clause:
    if not ID.fullmatch(id) or not id.startswith(page.stem + "."):
        raise SpecError(f"{page.name}: {id!r} is no clause id of this chapter ({page.stem}.topic.rule, lower case).")
    fields = {name: " ".join(text.split()) for name, text in _FIELD.findall(body)}
    sentence = " ".join(body.split("\n*", 1)[0].split())
    missing = [name for name in ("Why", "Source", "Status") if not fields.get(name)]
    if missing or not sentence:
        raise SpecError(f"{page.name}: {id} lacks {', '.join(missing) or 'its sentence'}.")
    if not _STATUS.fullmatch(fields["Status"]):
        raise SpecError(
            f"{page.name}: {id} has the status {fields['Status']!r}; "
            "it must be: required, optional (capability), or untestable (reason)."
        )
    return Clause(id, sentence, fields["Why"], fields["Source"], fields["Status"], page.name)
