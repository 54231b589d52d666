"""Asks the implementations, one process each, and keeps what came out in conformance/results."""

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

RESULTS = Path(__file__).parents[1] / "results"
ROOT = Path(__file__).parents[2]
LONGEST = 400  # characters of a message that are kept


def chosen(slugs: Sequence[str]) -> list[Subject]:
    """The subjects of these names; `all` is each. Raises: LookupError."""
    known = {subject.slug: subject for subject in SUBJECTS}
    if unknown := set(slugs) - {*known, "all"}:
        raise LookupError(f"There is no subject {', '.join(sorted(unknown))}; known are all, {', '.join(known)}.")
    return list(SUBJECTS) if "all" in slugs else [known[slug] for slug in slugs]


def ask(subject: Subject, pythons: Iterable[str]) -> str:
    """Ask all cases and write <slug>.json. What is given back says how it went."""
    python = sys.executable if subject.command else next((p for p in pythons if _has(p, subject.needs)), None)
    if python is None:
        return f"not asked: no --python has the module {subject.needs}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "verdicts.json"
        done = subprocess.run(
            [python, "-m", "conformance", "run", *subject.words, "--json", str(file)],
            cwd=ROOT, env=_environment(subject), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if not file.is_file():
            return f"broken (exit code {done.returncode}): {done.stderr.strip()[-300:]}"
        found = json.loads(file.read_text("utf-8"))
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(_kept(subject, found), indent=1, ensure_ascii=False)
    (RESULTS / f"{subject.slug}.json").write_text(text + "\n", "utf-8")
    bad = [case["id"] for case in found["cases"] if case["verdict"] in ("fail", "error", "unexpected pass")]
    return f"{len(found['cases'])} cases, {len(bad)} not explained" + "".join(f"\n    {id}" for id in bad)


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
