"""What a run prints and writes: a table by chapter, JSON, JUnit."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from conformance.runner import VERDICTS, Verdict


def table(verdicts: Sequence[Verdict]) -> str:
    """One row a chapter, one column a verdict; the last column is the worst error / floor."""
    chapters = list(dict.fromkeys(v.case.chapter for v in verdicts))
    used = [name for name in VERDICTS if any(v.verdict == name for v in verdicts)]
    rows = [["chapter", "cases", *used, "worst error/floor"]]
    for chapter in [*chapters, "all"]:
        members = [v for v in verdicts if chapter in ("all", v.case.chapter)]
        ratios = [v.ratio for v in members if v.ratio is not None]
        counts = [str(sum(v.verdict == name for v in members)) for name in used]
        rows.append([chapter, str(len(members)), *counts, f"{max(ratios):.2f}" if ratios else ""])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def details(verdicts: Sequence[Verdict], backend: str) -> str:
    """Each bad verdict: what differs, what failing it means, and the line that runs it again."""
    parts = []
    for v in verdicts:
        if not v.bad:
            continue
        ratio = f" [error/floor {v.ratio:.3g}]" if v.ratio is not None else ""
        lines = [f"{v.verdict.upper()}  {v.case.id}{ratio}", f"  {v.message}", f"  asked: {v.case.about}"]
        lines += [f"  {flag}: {meaning}" for flag, meaning in v.case.flags.items()]
        lines.append(f"  again: python -m conformance run {backend} --only '{v.case.id}'")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def write_json(path: Path, info: dict[str, Any], verdicts: Sequence[Verdict]) -> None:
    """Everything, for machines."""
    rows = [
        {
            "id": v.case.id,
            "clause": v.case.clause,
            "verdict": v.verdict,
            "message": v.message,
            "error_over_floor": v.ratio,
            "seconds": round(v.seconds, 4),
            "flags": sorted(v.case.flags),
            "capability": v.case.capability,
        }
        for v in verdicts
    ]
    path.write_text(json.dumps({"subject": info, "cases": rows}, indent=1, ensure_ascii=False) + "\n", "utf-8")


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
            ElementTree.SubElement(case, "failure", message=v.message[:400]).text = v.message
        elif v.verdict != "pass":
            ElementTree.SubElement(case, "skipped", message=f"{v.verdict}: {v.message}"[:400])
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
