"""What a run prints and writes: a table by chapter, JSON, JUnit."""

import json
import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from conformance.suite.runner import VERDICTS, Verdict


def table(verdicts: Sequence[Verdict]) -> str:
    """One row a chapter, one column a verdict; the last two are worst error / floor and 99th percentile / floor of what
    passed: the figures of a failure stand beside it.
    """
    chapters = list(dict.fromkeys(v.case.chapter for v in verdicts))
    used = [name for name in VERDICTS if any(v.verdict == name for v in verdicts)]
    rows = [["chapter", "cases", *used, "worst error/floor", "99th percentile"]]
    for chapter in [*chapters, "all"]:
        members = [v for v in verdicts if chapter in ("all", v.case.chapter)]
        passed = [v for v in members if v.verdict == "pass"]
        figures = [[v.ratio for v in passed], [v.ratio_99 for v in passed]]
        counts = [str(sum(v.verdict == name for v in members)) for name in used]
        rows.append([chapter, str(len(members)), *counts, *map(_largest, figures)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _largest(ratios: Sequence[float | None]) -> str:
    """The largest ratio that there is."""
    known = [ratio for ratio in ratios if ratio is not None]
    return f"{max(known):.2f}" if known else ""


def reasons(verdicts: Sequence[Verdict]) -> str:
    """Why cases were not asked, and which are known to fail; and what a floor is, if there are figures."""
    found: dict[str, list[str]] = {}
    for v in verdicts:
        if v.verdict in ("unsupported", "expected failure"):
            found.setdefault(f"{v.verdict}: {v.message.partition(' | ')[0]}", []).append(v.case.id)
    order = sorted(found.items(), key=lambda pair: (pair[0].startswith("unsupported"), -len(pair[1])))
    lines = [f"{len(ids):4d} {why}" + (f" ({', '.join(ids)})" if len(ids) < 3 else "") for why, ids in order]
    if any(why.startswith("expected failure: divergence") for why in found):
        lines.append("divergences stand, under their names, in conformance/spec/divergences.md")
    if any(v.numeric for v in verdicts):
        lines.append("error/floor: the error in units of what honest float32 strays from the truth; up to 4 passes")
    return "\n".join(lines)


def details(verdicts: Sequence[Verdict], command: str) -> str:
    """Each bad verdict: what differs, what failing it means, and the line that runs it again."""
    parts = []
    for v in verdicts:
        if not v.bad:
            continue
        lines = [f"{v.verdict.upper()}  {v.case.id}{_ratios(v)}", f"  {v.message}"]
        lines += [f"  first difference: {v.block}"] if v.block else []
        lines += [f"  asked: {v.case.about}"]
        lines += [f"  {flag}: {meaning}" for flag, meaning in v.case.flags.items()]
        lines.append(f"  again: {command} --only '{v.case.id}'")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _ratios(v: Verdict) -> str:
    """Both figures of a numeric case."""
    most = "" if v.ratio_99 is None else f", 99th percentile {v.ratio_99:.3g}"
    return "" if v.ratio is None else f" [error/floor {v.ratio:.3g}{most}]"


def _finite(ratio: float | None) -> float | None:
    """None for NaN, or for another shape, whose error has no size: JSON knows no infinity. The message tells it."""
    return ratio if ratio is not None and math.isfinite(ratio) else None


def content(info: dict[str, Any], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Everything, as plain values."""
    rows = [
        {
            "id": v.case.id,
            "clause": v.case.clause,
            "verdict": v.verdict,
            "message": v.message,
            "error_over_floor": _finite(v.ratio),
            "percentile_99_over_floor": _finite(v.ratio_99),
            "first_difference": v.block,
            "seconds": round(v.seconds, 4),
            "flags": sorted(v.case.flags),
            "capability": v.case.capability,
        }
        for v in verdicts
    ]
    return {"subject": info, "cases": rows}


def write_json(path: Path, info: dict[str, Any], verdicts: Sequence[Verdict]) -> None:
    """Everything, for machines."""
    path.write_text(json.dumps(content(info, verdicts), indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")


def write_html(path: Path, info: dict[str, Any], verdicts: Sequence[Verdict], command: str) -> None:
    """One page for readers: the published matrix, with this run as its only column."""
    from conformance.matrix.page import page

    found = content(info, verdicts)
    name = str(info.get("implementation", "-"))
    rows = [{key: value for key, value in row.items() if value not in (None, "")} for row in found["cases"]]
    about = {"slug": name, "label": name, "version": "-", "backend": "-", **info, "asked": date.today().isoformat()}
    path.write_text(page([about | {"again": command, "cases": rows}]), "utf-8")


def write_junit(path: Path, info: dict[str, Any], verdicts: Sequence[Verdict]) -> None:
    """JUnit XML, which CI servers show."""
    suite = ElementTree.Element(
        "testsuite",
        name=f"conformance {info.get('implementation', '')}",
        tests=str(len(verdicts)),
        failures=str(sum(v.bad for v in verdicts)),
    )
    for v in verdicts:
        case = ElementTree.SubElement(
            suite, "testcase", classname=v.case.clause, name=v.case.id, time=f"{v.seconds:.4f}"
        )
        if v.bad:
            told = f"{v.message}\nfirst difference: {v.block}" if v.block else v.message
            ElementTree.SubElement(case, "failure", message=v.message[:400]).text = told
        elif v.verdict != "pass":
            ElementTree.SubElement(case, "skipped", message=f"{v.verdict}: {v.message}"[:400])
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
