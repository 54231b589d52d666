"""The compact Markdown table, and one line of it, which stands in README.md between two markers."""

import re
from pathlib import Path
from typing import Any

BEGIN, END = "<!-- matrix -->", "<!-- /matrix -->"
UNASKED = ("unsupported",)
UNEXPLAINED = ("fail", "error", "unexpected pass")


def table(results: list[dict[str, Any]]) -> str:
    """Implementations by chapters: cases passed of cases asked."""
    chapters = list(dict.fromkeys(case["id"].partition(".")[0] for found in results for case in found["cases"]))
    rows = [["implementation", "asked", *chapters, "known differences", "unexplained", "worst error/floor of a pass"]]
    rows.append(["---", "---", *["---:"] * (len(chapters) + 3)])
    for found in results:
        cases = found["cases"]
        ratios = [c["error_over_floor"] for c in cases if c["verdict"] == "pass" and "error_over_floor" in c]
        known = sum(case["verdict"] == "expected failure" for case in cases)
        unexplained = sum(case["verdict"] in UNEXPLAINED for case in cases)
        cells = [_passed([c for c in cases if c["id"].startswith(chapter + ".")]) for chapter in chapters]
        worst = f"{max(ratios):.2f}" if ratios else "-"
        asked = ", ".join(filter(None, [found["asked"], found.get("processor")]))
        name = f"{found['label']} {_short(found['version'])}"
        rows.append([name, asked, *cells, str(known), str(unexplained), worst])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def line(results: list[dict[str, Any]]) -> str:
    """One line of the table: of each implementation all cases passed of all asked."""
    return " · ".join(f"{found['label']} {_passed(found['cases'])}" for found in results)


def _short(version: str) -> str:
    """A version without what a build adds."""
    return version.partition("+")[0]


def _passed(cases: list[dict[str, Any]]) -> str:
    """Cases passed of those that it can be asked."""
    asked = [case for case in cases if case["verdict"] not in UNASKED]
    return f"{sum(case['verdict'] == 'pass' for case in asked)}/{len(asked)}" if asked else "-"


def write_between_markers(page: Path, text: str) -> bool:
    """Put the text between the markers of a page, if it has them."""
    if not page.is_file() or BEGIN not in (old := page.read_text("utf-8")) or END not in old:
        return False
    new = re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{text}\n{END}", old, count=1, flags=re.DOTALL)
    page.write_text(new, "utf-8")
    return True
