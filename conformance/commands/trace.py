"""Joins clauses, cases, code and mutants, and names every loose end."""

import re
from collections import Counter, defaultdict
from pathlib import Path

from conformance.quirks import BACKENDS, all_quirks
from conformance.suite.cases import read_cases
from conformance.suite.clauses import ID, SPEC, Clause, read_clauses
from conformance.suite.divergences import read_divergences

REFIMPL = Path(__file__).parents[2] / "refimpl"
# `Spec:` lines of docstrings (they may go on for lines that hold ids only), "(spec: id)", and an error's last string.
_SPEC = re.compile(r"[Ss]pec: ((?:" + ID.pattern + r")(?:,\s+" + ID.pattern + r")*)")
_STRING = re.compile(r"[\"\[](" + ID.pattern + r")[\"\]]")
_FILES = (".h5", ".json", ".txt", ".py", ".md", ".npz")


def citations(root: Path = REFIMPL) -> dict[str, list[str]]:
    """Clause id -> the files that cite it."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(root.rglob("*.py")):
        if "tests" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        ids = {id for match in _SPEC.findall(text) for id in re.findall(ID.pattern, match)}
        ids |= {id for id in _STRING.findall(text) if not id.endswith(_FILES)}
        for id in sorted(ids):
            found[id].append(path.relative_to(root.parent).as_posix())
    return dict(found)


def trace(strict: bool = False) -> tuple[str, list[str]]:
    """The status page, and the orphans."""
    clauses, cited = read_clauses(), citations()
    cases = Counter(case.clause for case in read_cases())
    mutants: Counter[str] = Counter()
    try:
        from conformance.mutants import all_mutants

        mutants.update(clause for mutant in all_mutants() for clause in mutant.clauses)
    except ModuleNotFoundError as error:  # where refimpl is not installed, its mutants are not either
        print(f"(mutants left out: {error})")
    orphans = [f"{file} cites {id}, which is no clause" for id in cited if id not in clauses for file in cited[id]]
    orphans += [f"cases of {id}, which is no clause" for id in cases if id not in clauses]
    orphans += [f"mutants of {id}, which is no clause" for id in mutants if id not in clauses]
    orphans += _loose(clauses, cases, cited)
    known = {case.id for case in read_cases()}
    quirks = {quirk.divergence for backend in BACKENDS for quirk in all_quirks(backend)}
    for entry in read_divergences():
        orphans += [f"divergence {entry.name} names {id}, which is no case" for id in entry.cases if id not in known]
        orphans += [] if entry.quirk or entry.name in quirks else [f"divergence {entry.name} can't be switched on"]
    unkilled = [id for id, clause in clauses.items() if clause.required and cases[id] and not mutants[id]]
    orphans += [f"unspecified.md names {id}, which is no clause" for id in unspecified()[1] if id not in clauses]
    if strict:
        orphans += [f"{id} has no mutant" for id in unkilled] + unexplained(clauses, cases)
    return _page(clauses, cases, cited, mutants, unkilled), orphans


def unspecified() -> tuple[int, list[str]]:
    """How many things unspecified.md leaves open, and the clauses that it names."""
    page = (SPEC / "unspecified.md").read_text(encoding="utf-8")
    return len(re.findall(r"^\* \*\*", page, re.MULTILINE)), [
        id for id in re.findall(rf"`({ID.pattern})`", page) if not id.endswith(_FILES)
    ]


def unexplained(clauses: dict[str, Clause], cases: Counter[str]) -> list[str]:
    """Optional clauses without a case, whose word in the status is not explained in spec/README.md."""
    page = (SPEC / "README.md").read_text(encoding="utf-8")
    words = {word for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for word in re.findall(r"`([^`]+)`", row)}
    told = re.compile(r"optional \(([a-z0-9-]+)")
    return [
        f"{id} has no case, and spec/README.md does not say why ({clause.status})"
        for id, clause in clauses.items()
        if not cases[id] and (word := told.match(clause.status)) and word[1] not in words
    ]


def _loose(clauses: dict[str, Clause], cases: Counter[str], cited: dict[str, list[str]]) -> list[str]:
    """Clauses that nobody tests or nobody keeps."""
    found = [f"{id} is required and has no case" for id, c in clauses.items() if c.required and not cases[id]]
    found += [f"{id} is untestable and has a case" for id, c in clauses.items() if cases[id] and "untest" in c.status]
    return found + [f"{id} is cited by no code" for id in clauses if id not in cited and not cases[id]]


def _page(
    clauses: dict[str, Clause],
    cases: Counter[str],
    cited: dict[str, list[str]],
    mutants: Counter[str],
    unkilled: list[str],
) -> str:
    """A row for each clause."""
    width = max((len(id) for id in clauses), default=6)
    lines = [f"{'clause'.ljust(width)}  status      cases  code  mutants"]
    for id, clause in clauses.items():
        status = clause.status.partition(" ")[0]
        lines.append(f"{id.ljust(width)}  {status:10}  {cases[id]:5}  {len(cited.get(id, [])):4}  {mutants[id]:7}")
    left_open = unspecified()[0]
    required = sum(c.required for c in clauses.values())
    lines.append(
        f"\n{len(clauses)} clauses ({required} required), {sum(cases.values())} cases, {sum(mutants.values())} links "
        f"to mutants; {len(unkilled)} required clauses have cases and no mutant; "
        f"{left_open} things are deliberately unspecified"
    )
    return "\n".join(lines)
