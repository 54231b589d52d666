"""Results of `mutants` on disk, a line for each, so that a run that was cut short goes on where it ended."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import conformance
import refimpl
from conformance.suite.cases import GOLDEN


class OtherCodeError(ValueError):
    """The results are those of other code or cases."""


@dataclass(frozen=True)
class Result:
    """What the suite says of one mutant or null variant."""

    name: str
    case: str = ""
    message: str = ""
    block: str = ""
    named: bool = False
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """Whether any case noticed it."""
        return bool(self.case)


def fingerprint() -> str:
    """A number for the code of both packages and all cases: results hold as long as it is the same."""
    roots = [Path(package.__file__).parent for package in (refimpl, conformance)]
    files = [path for root in roots for path in root.rglob("*.py") if "tests" not in path.parts]
    files += [path for path in GOLDEN.rglob("*") if path.suffix in (".json", ".safetensors", ".h5")]
    found = hashlib.sha256()
    for path in sorted(files):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


class Kept:
    """The results in a file; without one, of this run only. Raises: OtherCodeError."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.found: dict[tuple[str, str], Result] = {}
        if file is None:
            return
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        rows = text.splitlines()
        if not rows:
            file.write_text(json.dumps({"of": fingerprint()}) + "\n", encoding="utf-8")
            return
        if json.loads(rows[0]) != {"of": fingerprint()}:
            raise OtherCodeError(f"{file} holds results of other code or cases. Give another file, or remove it.")
        for row in rows[1:]:
            try:
                kind, result = json.loads(row)
            except ValueError:
                continue  # a last line that was cut off in the writing
            self.found[kind, result["name"]] = Result(**result)
        if not text.endswith("\n"):
            file.write_text(text + "\n", encoding="utf-8")  # the next row begins a line

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self.found

    def add(self, kind: str, result: Result) -> None:
        """Write one down; a mutant's process may be the last one, so at once."""
        self.found[kind, result.name] = result
        if self.file is not None:
            with self.file.open("a", encoding="utf-8") as file:
                file.write(json.dumps([kind, asdict(result)]) + "\n")
                file.flush()
                os.fsync(file.fileno())
