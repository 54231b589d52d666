"""The matrix as one HTML page, which needs nothing else."""

import html
import json
import re
from pathlib import Path
from typing import Any

from conformance.suite.cases import Case, read_cases
from conformance.suite.clauses import read_clauses
from conformance.suite.divergences import Divergence, read_divergences

HERE = Path(__file__).parent
FINDINGS = HERE.parent / "results" / "findings.md"


def page(results: list[dict[str, Any]]) -> str:
    """The template with style, script and data in it."""
    parts = {name: (HERE / f"page.{name}").read_text("utf-8") for name in ("html", "css", "js")}
    text = parts["html"].replace("/* style */", parts["css"]).replace("/* script */", parts["js"])
    data = json.dumps(_data(results), ensure_ascii=False, allow_nan=False)
    return text.replace("/* data */", data.replace("</", "<\\/"))


def _data(results: list[dict[str, Any]]) -> dict[str, Any]:
    """What the script shows: clauses with their cases, and a result for each case and implementation."""
    known = {case.id: case for case in read_cases()}
    ids = [id for id in known if any(case["id"] == id for found in results for case in found["cases"])]
    clauses = read_clauses()
    used = list(dict.fromkeys(known[id].clause for id in ids))
    return {
        "clauses": [
            {"id": id, "sentence": clauses[id].sentence, "why": clauses[id].why, "status": clauses[id].status}
            for id in used
            if id in clauses
        ],
        "cases": [_case(known[id]) for id in ids],
        "flags": {flag: meaning for id in ids for flag, meaning in known[id].flags.items()},
        "subjects": [_subject(found, ids) for found in results],
        "findings": findings() | {entry.name: _divergence(entry) for entry in read_divergences()},
    }


def _case(case: Case) -> dict[str, Any]:
    """A question, without its answer."""
    return {"id": case.id, "clause": case.clause, "about": case.about, "flags": sorted(case.flags)}


def _subject(found: dict[str, Any], ids: list[str]) -> dict[str, Any]:
    """A column; its results stand in the order of the cases, null where there is none."""
    rows = {case.pop("id"): case for case in [dict(case) for case in found["cases"]]}
    return {key: value for key, value in found.items() if key != "cases"} | {"results": [rows.get(id) for id in ids]}


def _divergence(entry: Divergence) -> str:
    """One of KerasHub's divergences, as HTML."""
    told = (
        f"{entry.sentence}\n\n*Promise* {entry.promise}\n*Observed* {entry.observed}\n*Versions* {entry.versions}\n\n"
    )
    return to_html(f"{told}```python\n{entry.snippet}```\n")


def findings(file: Path = FINDINGS) -> dict[str, str]:
    """Each finding by its name, as HTML. Expected failures name them: (finding NAME)."""
    if not file.is_file():
        return {}
    parts = re.split(r"^### +(\S+) *$", file.read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {name: to_html(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def to_html(body: str) -> str:
    """The little Markdown that findings are written in: paragraphs, `code`, *words* and fenced blocks."""
    found = []
    for number, part in enumerate(re.split(r"^```\w*\n(.*?)^```$", body, flags=re.MULTILINE | re.DOTALL)):
        if number % 2:
            found.append(f"<pre>{html.escape(part)}</pre>")
            continue
        for paragraph in re.split(r"\n\s*\n|\n(?=\*)", part.strip()):
            text = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(" ".join(paragraph.split())))
            text = re.sub(r"^[*]([^*]+)[*]", r"<b>\1</b>", text)
            found.append(f"<p>{text}</p>" if text else "")
    return "".join(found)
