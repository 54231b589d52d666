"""Asks the implementations, one process a chapter, and keeps what came out in conformance/results."""

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


def ask(subject: Subject, pythons: Iterable[str], keep: Path | None = None) -> str:
    """Ask all cases and write <slug>.json. What is given back says how it went.

    Each chapter has a process of its own, which frees its memory, and a file in `keep`, from which the next asking
    goes on.
    """
    python = sys.executable if subject.command else next((p for p in pythons if _has(p, subject.needs)), None)
    if python is None:
        return f"not asked: no --python has the module {subject.needs}"
    chapters: dict[str, list[str]] = {}
    for case in read_cases():
        chapters.setdefault(case.chapter, []).append(case.id)
    parts = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = (keep or Path(scratch)) / subject.slug
        folder.mkdir(parents=True, exist_ok=True)
        for chapter, ids in chapters.items():
            file = folder / f"{chapter}.json"
            if not _holds(file, ids) and (problem := _ask_chapter(subject, python, chapter, file)):
                return problem
            parts.append(json.loads(file.read_text("utf-8")))
            print(f"{chapter} {len(ids)}", end=", ", flush=True)
    found = {"subject": parts[0]["subject"], "cases": [case for part in parts for case in part["cases"]]}
    if strangers := [part["subject"] for part in parts if part["subject"] != found["subject"]]:
        return f"not written, as {folder} holds answers of {found['subject']} and of {strangers[0]}"
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(_kept(subject, found), indent=1, ensure_ascii=False)
    (RESULTS / f"{subject.slug}.json").write_text(text + "\n", "utf-8")
    bad = [case["id"] for case in found["cases"] if case["verdict"] in ("fail", "error", "unexpected pass")]
    return f"{len(found['cases'])} cases, {len(bad)} not explained" + "".join(f"\n    {id}" for id in bad)


def _holds(file: Path, ids: list[str]) -> bool:
    """Whether a file holds the verdicts of just these cases."""
    return file.is_file() and [case["id"] for case in json.loads(file.read_text("utf-8"))["cases"]] == ids


def _ask_chapter(subject: Subject, python: str, chapter: str, file: Path) -> str:
    """Ask one chapter and write its verdicts. What is given back says what went wrong."""
    part = file.absolute().with_suffix(".part")  # a file that an interrupted process left half written is none
    done = subprocess.run(
        [python, "-m", "conformance", "run", *subject.words, "--only", f"{chapter}.", "--json", str(part)],
        cwd=ROOT, env=_environment(subject), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1) or not part.is_file():
        return f"{chapter} is broken (exit code {done.returncode}): {done.stderr.strip()[-300:]}"
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
