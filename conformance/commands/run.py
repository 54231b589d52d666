"""`python -m conformance run`: asks an implementation all cases, prints a table and writes reports."""

import argparse
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from conformance.adapters import expected_file, find
from conformance.commands import report
from conformance.commands.smoke import adapter_problems, smoke_cases
from conformance.suite.cases import read_cases
from conformance.suite.diagnosis import explained
from conformance.suite.divergences import expected_failures
from conformance.suite.runner import PROFILES, Verdict, run

EXAMPLES = """examples:
  python -m conformance run --backend my_adapter:MyLibrary --smoke
  python -m conformance run --command "./my-port" --only models.logits
  KERAS_BACKEND=torch python -m conformance run --backend keras_hub --html report.html
"""
EXIT_CODES = "exit codes: 0 all as expected; 1 some verdict is not; 2 wrong command line; 3 the adapter is broken"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `run`."""
    command.epilog = f"{EXAMPLES}{EXIT_CODES}"
    command.add_argument("--backend", default="refimpl", help="refimpl, keras_hub, ..., or module:Class of your own")
    command.add_argument("--command", help="a program that answers JSON lines on stdin with JSON lines on stdout")
    command.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="for each of its answers")
    command.add_argument(
        "--only", default="", metavar="ID-PREFIX", help="cases whose id starts so: models, models.logits"
    )
    command.add_argument("--smoke", action="store_true", help="the first case of each clause")
    command.add_argument("--profile", choices=PROFILES, default="float32", help="the arithmetic that it claims to have")
    command.add_argument(
        "--expected-failures", "--expected", dest="expected", type=Path, metavar="FILE",
        help="known failures: a JSON object of case ids and reasons",
    )  # fmt: skip
    for kind in ("json", "junit", "html"):
        command.add_argument(f"--{kind}", type=Path, metavar="FILE")


def run_cases(options: argparse.Namespace) -> int:
    """Run, print, write; the exit code is one of EXIT_CODES."""
    cases = read_cases(options.only)
    cases = smoke_cases(cases) if options.smoke else cases
    if not cases:
        print(f"No case id starts with {options.only!r}.", file=sys.stderr)
        return 2
    try:
        adapter = find(options.backend, options.command, options.timeout)
    except (ImportError, AttributeError, LookupError) as error:
        print(f"--backend {options.backend}: {error}.", file=sys.stderr)
        return 2
    try:
        info = adapter.start()
    except Exception as error:  # whatever it is, nobody has answered
        print(f"The adapter is broken: the implementation gives no answer: {error}.", file=sys.stderr)
        return 3
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an implementation is judged by its answers
            if problems := adapter_problems(adapter, info):
                said = ["The adapter is broken, so nothing was asked of the library:", *problems]
                print("\n  ".join(said), file=sys.stderr)
                return 3
            file = options.expected or expected_file("" if options.command else options.backend)
            expected = expected_failures(info, file)
            asked = run(
                adapter, cases, info.get("capabilities", ("core",)), expected, options.profile, info.get("lacks")
            )
            verdicts = explained(adapter, info, shown(asked, len(cases)))
    finally:
        adapter.stop()
    tell(options, info, verdicts)
    return int(any(v.bad for v in verdicts))


def shown(verdicts: Iterable[Verdict], total: int) -> Iterator[Verdict]:
    """The verdicts as they come; at a terminal a line tells how many there are."""
    for number, verdict in enumerate(verdicts, 1):
        if sys.stderr.isatty():
            end = "\n" if number == total else ""
            print(f"\r{number}/{total} {verdict.case.id:60.60}", end=end, file=sys.stderr, flush=True)
        yield verdict


def tell(options: argparse.Namespace, info: dict[str, Any], verdicts: list[Verdict]) -> None:
    """Print the table and what is bad; write the files asked for."""
    profile = "" if options.profile == "float32" else f", judged as {options.profile}"
    print(f"{info.get('implementation')} {info.get('version')} ({info.get('backend')}){profile}\n")
    print(report.table(verdicts))
    if why := report.reasons(verdicts):
        print(f"\n{why}")
    how = f"--command '{options.command}'" if options.command else f"--backend {options.backend}"
    how += f" --profile {options.profile}" if profile else ""
    backend = f"KERAS_BACKEND={info.get('backend')} " if info.get("implementation") == "keras_hub" else ""
    command = f"{backend}python -m conformance run {how}"
    if text := report.details(verdicts, command):
        print("\n" + text)
    for kind, write in (("json", report.write_json), ("junit", report.write_junit)):
        if path := getattr(options, kind):
            write(path, info, verdicts)
    if options.html:
        report.write_html(options.html, info, verdicts, command)
