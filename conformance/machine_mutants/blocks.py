"""`machine-mutants --blocks`: what the suite names as faulty, of the mutants of models and decoding that cases kill."""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from conformance.machine_mutants.operators import Change
from conformance.machine_mutants.reach import Reach, path_of
from conformance.mutants.blocks import names_at
from conformance.suite.cases import Case, read_cases
from conformance.suite.diagnosis import faulty, verdicts_in_flow
from conformance.suite.runner import Verdict

ROOMS = ("models", "decoding")
Drawn = list[tuple[str, Change]]
Results = Callable[..., Iterator[tuple[Any, str, str]]]


def ask(
    drawn: Drawn,
    known: dict[str, Any],
    reach: Reach,
    options: argparse.Namespace,
    results: Results,
) -> None:
    """Name the block of each that has none yet; `results` runs them in processes of their own."""
    cases, named = read_cases(), read(options.keep)
    todo = [c for room, c in drawn if killer(room, c, known) == "cases" and c.id not in named]
    jobs = [(change, reaching(change, cases, reach), []) for change in todo]
    for number, ((change, *_), block, message) in enumerate(results(jobs, options.workers, pointed), 1):
        with _file(options.keep).open("a", encoding="utf-8") as out:
            out.write(json.dumps({"id": change.id, "block": block, "message": message}) + "\n")
        mark = "" if is_right(change, block) else f"  (it is in {' or '.join(names_at(change.module, change.scope))})"
        print(f"[{number}/{len(jobs)}] {change.id}\n    {block or '(none)'}{mark}: {message:.120}", flush=True)


def _file(keep: Path) -> Path:
    return keep / "blocks.jsonl"


def read(keep: Path) -> dict[str, str]:
    """Id -> block, as far as known."""
    rows = _file(keep).read_text(encoding="utf-8").splitlines() if _file(keep).exists() else []
    return {row["id"]: row["block"] for row in map(json.loads, rows)}


def killer(room: str, change: Change, known: dict[str, Any]) -> str:
    """What kills a mutant of these rooms: cases, tests beside the code, or what ends all, such as the import."""
    case = known.get(change.id, {}).get("case", "") if room in ROOMS else ""
    return ("tests" if "::" in case else "end" if case[0] == "(" else "cases") if case else ""


def reaching(change: Change, cases: list[Case], reach: Reach) -> list[Case]:
    """The cases that run the line, or the module where the line runs at import."""
    file, lines = str(path_of(change.module)), set(change.lines)
    ran = {name for name, (_, at) in reach.items() if at.get(file, set()) & lines}
    ran = ran or {name for name, (_, at) in reach.items() if file in at}
    return [case for case in cases if case.id in ran]


def pointed(cases: list[Case]) -> tuple[str, str]:
    """The block that the verdicts name, and the first message; cases that do not run the line pass."""
    from conformance.adapters.refimpl import Refimpl

    adapter, asked = Refimpl(jit_compile=False), {case.id for case in cases}
    verdicts = verdicts_in_flow(adapter, adapter.start(), cases)
    verdicts += [Verdict(case, "pass") for case in read_cases() if case.id not in asked]
    return faulty(adapter, verdicts), next((f"{v.case.id}: {v.message}" for v in verdicts if v.bad), "")


def is_right(change: Change, block: str) -> bool:
    """Whether what the suite names is where the change stands."""
    return any(fnmatch(block, pattern) for pattern in names_at(change.module, change.scope))


def figure(drawn: Drawn, known: dict[str, Any], keep: Path) -> str:
    """The sentence of the report; none where no block was asked for."""
    named = read(keep)
    right = [is_right(change, named[change.id]) for _, change in drawn if change.id in named]
    kinds = Counter(killer(room, change, known) for room, change in drawn)
    told = (
        f"The suite names the faulty block of {sum(right) / max(len(right), 1):.1%} of {len(right)} mutants of models "
        f"and decoding that cases kill. {kinds['tests']} more are killed by tests beside the code alone, and "
        f"{kinds['end']} end at their import or by the clock: these have no verdict.\n"
    )
    return told if right else ""
