"""What a campaign has done, on disk: a line for each unit, a file for each finding. It can end at any moment."""

import json
import os
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from conformance.fuzz.unit import Plan, Report


class LedgerError(ValueError):
    """A folder that belongs to another campaign."""


class Ledger:
    """The folder of a campaign. A unit is entered once, whoever and however many did it."""

    def __init__(self, folder: Path, plan: Plan, resume: bool = False) -> None:
        self.folder, self.done, self.asked = folder, set[int](), 0
        self.signatures: list[str] = []
        (folder / "findings").mkdir(parents=True, exist_ok=True)
        written = folder / "plan.json"
        wanted = json.loads(json.dumps({**asdict(plan), "known": []}))
        if written.exists() and not resume:
            raise LedgerError(f"{folder} holds a campaign already: give --resume or another --out")
        if written.exists() and json.loads(written.read_text(encoding="utf-8")) != wanted:
            raise LedgerError(f"{folder} holds a campaign with other settings: {written}")
        written.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        self.plan = plan
        self._read()

    def _read(self) -> None:
        """Take up what is there; a last line that was cut off in the writing does not count."""
        units = self.folder / "units.jsonl"
        text = units.read_text(encoding="utf-8") if units.exists() else ""
        if text and not text.endswith("\n"):
            units.write_text(text + "\n", encoding="utf-8")  # the next row begins a line
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            self.done.add(row["unit"])
            self.asked += row["asked"]
        for path in sorted((self.folder / "findings").glob("*.json")):
            self.signatures.append(json.loads(path.read_text(encoding="utf-8"))["signature"])

    @property
    def current_plan(self) -> Plan:
        """The plan, with what is known by now, so that each kind of difference is followed once."""
        return replace(self.plan, known=tuple(self.signatures))

    def enter(self, report: Report) -> Path | None:
        """Write down a finished unit; returns the file of its finding if that is a new one."""
        if report.unit in self.done:
            return None
        path = self._finding(report)  # first, as a unit counts as done with its line
        row = {"unit": report.unit, "asked": report.asked, "seconds": round(report.seconds, 3), "by": report.by,
               "found": report.finding["signature"] if report.finding else None, "again": report.more}  # fmt: skip
        with (self.folder / "units.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.done.add(report.unit)
        self.asked += report.asked
        return path

    def _finding(self, report: Report) -> Path | None:
        """Keep a finding of a new kind."""
        if report.finding is None or report.finding["signature"] in self.signatures:
            return None
        slug = re.sub(r"[^a-z0-9]+", "-", report.finding["signature"].lower()).strip("-")
        path = self.folder / "findings" / f"{report.unit:06}-{slug}.json"
        content: dict[str, Any] = {"a_is": self.plan.a, "b_is": self.plan.b, "unit": report.unit, **report.finding}
        whole = path.with_suffix(".part")
        whole.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        whole.rename(path)
        self.signatures.append(report.finding["signature"])
        return path
