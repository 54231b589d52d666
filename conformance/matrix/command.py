"""`python -m conformance matrix`: asks implementations if told to, then writes the page and the tables."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from conformance.matrix.page import page
from conformance.matrix.run import RESULTS, ROOT, ask, chosen
from conformance.matrix.subjects import SUBJECTS
from conformance.matrix.table import UNEXPLAINED, line, table, write_between_markers


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `matrix`."""
    slugs = ", ".join(subject.slug for subject in SUBJECTS)
    command.add_argument("--ask", nargs="+", default=[], metavar="NAME", help=f"ask these first: all, {slugs}")
    command.add_argument("--new", action="store_true", help="only the cases that have no verdict yet")
    command.add_argument(
        "--python", action="append", default=[], metavar="FILE",
        help="an interpreter that has other libraries; may be given several times",
    )  # fmt: skip
    command.add_argument(
        "--keep", type=Path, metavar="FOLDER",
        help="a file for each chapter that was asked; what is there is not asked again",
    )  # fmt: skip


def matrix(options: argparse.Namespace) -> int:
    """0 if every result is a pass or explained, 1 if not, 2 for a wrong name."""
    try:
        subjects = chosen(options.ask)
    except LookupError as error:
        print(error, file=sys.stderr)
        return 2
    for subject in subjects:
        print(f"{subject.slug}: ", end="", flush=True)
        print(ask(subject, [sys.executable, *options.python], options.keep, options.new))
    results = read_results()
    (RESULTS / "index.html").write_text(page(results), "utf-8")
    (RESULTS / "README.md").write_text(f"{HEAD}\n\n{table(results)}\n", "utf-8")
    there = write_between_markers(ROOT / "README.md", line(results))
    print(f"{len(results)} implementations; wrote index.html and README.md in {RESULTS.relative_to(ROOT)}", end="")
    print("; and the line in README.md" if there else "")
    return int(any(case["verdict"] in UNEXPLAINED for found in results for case in found["cases"]))


def read_results() -> list[dict[str, Any]]:
    """What is kept, in the order of the subjects."""
    files = [RESULTS / f"{subject.slug}.json" for subject in SUBJECTS]
    return [json.loads(file.read_text("utf-8")) for file in files if file.is_file()]


HEAD = """# Who does what

Cases passed of cases asked, by chapter. What an implementation lacks by design is not asked. Known differences have a
reason beside the adapter, and [findings.md](findings.md) reproduces those that are worth it;
[KerasHub's divergences](../spec/divergences.md) tell where it leaves its documentation. [index.html](index.html) shows
every clause with its first difference; open it in a browser. All of it is made again by
`python -m conformance matrix --ask all`, with a `--python` for each environment. Beside it:
[KerasHub's own tests](keras-hub-tests.md) run against refimpl, and [held-out presets](held-out.md), asked of both."""
