"""Asks the implementations, one process a chapter or new case, and keeps what came out in conformance/results."""

import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from conformance.matrix.subjects import SUBJECTS, Subject
from conformance.suite.cases import read_cases

RESULTS = Path(__file__).parents[1] / "results"
ROOT = Path(__file__).parents[2]
LONGEST = 400  # characters of a message that are kept


def chosen(slugs: Sequence[str]) -> list[Subject]:
    """The subjects of these names; `all` is each. Raises: LookupError."""
    known = {subject.slug: subject for subject in SUBJECTS}
    if unknown := set(slugs) - {*known, "all"}:
        raise LookupError(f"There is no subject {', '.join(sorted(unknown))}; known are all, {', '.join(known)}.")
    return list(SUBJECTS) if "all" in slugs else [known[slug] for slug in slugs]


def ask(subject: Subject, pythons: Iterable[str], keep: Path | None = None, new: bool = False) -> str:
    """Ask all cases, or the `new` ones without a verdict, and write <slug>.json. What is given back says how it went.

    Each chapter, or new case, has a process of its own, which frees its memory, and a file in `keep`, from which the
    next asking goes on.
    """
    python = next((p for p in pythons if _has(p, subject.needs)), None) if subject.needs else sys.executable
    if python is None:
        return f"not asked: no --python has the module {subject.needs}"
    new = new and _published(subject).is_file()  # who was never asked is asked all
    before = json.loads(_published(subject).read_text("utf-8")) if new else {"cases": []}
    there = {row["id"]: row for row in before["cases"]}
    cases = read_cases()
    portions: dict[str, list[str]] = {}
    for case in cases:
        if case.id not in there:
            portions.setdefault(case.id if new else f"{case.chapter}.", []).append(case.id)
    if not portions:
        _write(subject, before | {"cases": [there[case.id] for case in cases]})  # without those that are gone
        return "no case is new"
    subjects, rows = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = (keep or Path(scratch)) / subject.slug
        folder.mkdir(parents=True, exist_ok=True)
        for only, ids in portions.items():
            file = folder / f"{only.rstrip('.')}.json"
            if not _holds(file, ids) and (problem := _ask_portion(subject, python, only, file)):
                return problem
            part = json.loads(file.read_text("utf-8"))
            subjects.append(part["subject"])
            rows += [row for row in part["cases"] if row["id"] in ids]
            print(f"{only.rstrip('.')} {len(ids)}", end=", ", flush=True)
    if strangers := [each for each in subjects if each != subjects[0]]:
        return f"not written, as {folder} holds answers of {subjects[0]} and of {strangers[0]}"
    found = _kept(subject, {"subject": subjects[0], "cases": rows})
    if new:
        who = ("implementation", "version", "backend", "capabilities", "processor")
        if [before[key] for key in who] != [found[key] for key in who]:
            return f"not written: ask it whole, as {before['version']} on {before['processor']} gave the other verdicts"
        there |= {row["id"]: row for row in found["cases"]}
        found |= {"asked": before["asked"], "cases": [there[case.id] for case in cases]}
    _write(subject, found)
    bad = [row["id"] for row in rows if row["verdict"] in ("fail", "error", "unexpected pass")]
    return f"{len(rows)} cases, {len(bad)} not explained" + "".join(f"\n    {id}" for id in bad)


def _published(subject: Subject) -> Path:
    return RESULTS / f"{subject.slug}.json"


def _write(subject: Subject, found: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    _published(subject).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _holds(file: Path, ids: list[str]) -> bool:
    """Whether a file holds the verdicts of these cases."""
    return file.is_file() and {*ids} <= {case["id"] for case in json.loads(file.read_text("utf-8"))["cases"]}


def _ask_portion(subject: Subject, python: str, only: str, file: Path) -> str:
    """Ask the cases whose ids start so, and write their verdicts. What is given back says what went wrong."""
    runner = sys.executable if subject.command else python
    part = file.absolute().with_suffix(".part")  # a file that an interrupted process left half written is none
    done = subprocess.run(
        [runner, "-m", "conformance", "run", *subject.words(python), "--only", only, "--json", str(part)],
        cwd=ROOT, env=_environment(subject), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1) or not part.is_file():
        return f"{only.rstrip('.')} is broken (exit code {done.returncode}): {done.stderr.strip()[-300:]}"
    part.replace(file)
    return ""


def _has(python: str, module: str) -> bool:
    """Whether an interpreter has a module. It is looked for, not imported."""
    script = f"import importlib.util as u, sys; sys.exit(u.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", script], cwd=ROOT, check=False).returncode == 0


def _environment(subject: Subject) -> dict[str, str]:
    """As it is here, with what the subject sets; libraries keep to one thread and need no network."""
    quiet = {"OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    return {**os.environ, **quiet, **subject.env}


def _kept(subject: Subject, found: dict[str, Any]) -> dict[str, Any]:
    """The part that is published: no paths of this machine, no long texts."""
    rows = []
    for case in found["cases"]:
        row = {key: case[key] for key in ("id", "verdict", "error_over_floor", "percentile_99_over_floor", "seconds")}
        row |= {"message": case["message"].replace(str(ROOT), ".").replace(tempfile.gettempdir(), "<temp>")[:LONGEST]}
        row |= {"first_difference": case["first_difference"]} if case.get("first_difference") else {}
        rows.append({key: value for key, value in row.items() if value not in (None, "")})
    who = {key: found["subject"][key] for key in ("implementation", "version", "backend", "capabilities")}
    who |= {"asked": datetime.datetime.now(datetime.UTC).date().isoformat(), "processor": processor()}
    return {"slug": subject.slug, "label": subject.label, **who, "again": subject.line, "cases": rows}


def processor() -> str:
    """The processor's name as Linux tells it, and the widest of the vector units on which arithmetic depends."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text("utf-8").splitlines() if info.is_file() else []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    units = (unit for unit in ("avx512_vnni", "avx_vnni", "avx512f", "avx2") if unit in told.get("flags", "").split())
    return ", ".join([told.get("model name", platform.machine()), *list(units)[:1]])
