"""`python -m conformance run | trace | make | mutants | divergences`."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from conformance import report
from conformance.adapters import find
from conformance.cases import read_cases
from conformance.divergences import expected_failures, read_divergences
from conformance.messages import AdapterError, UnsupportedError
from conformance.runner import run


def main(words: Sequence[str] | None = None) -> int:
    """0 if all is well, 1 if a case, a mutant or a link is not, 2 for a wrong command line."""
    options = parser().parse_args(words)
    return {"run": run_cases, "trace": trace, "make": make, "mutants": mutants, "divergences": divergences}[
        options.command_name
    ](options)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m conformance", description=__doc__)
    commands = top.add_subparsers(dest="command_name", required=True)
    one = commands.add_parser("run", help="run the cases against an implementation")
    one.add_argument("--backend", default="refimpl", help="refimpl, keras_hub (on KERAS_BACKEND) or transformers")
    one.add_argument("--command", help="a program that answers JSON lines on stdin with JSON lines on stdout")
    one.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="for each answer of the program")
    one.add_argument("--only", default="", metavar="ID-PREFIX", help="cases whose id starts so")
    one.add_argument("--smoke", action="store_true", help="the first case of each clause")
    one.add_argument(
        "--expected", type=Path, metavar="FILE", help="known failures: a JSON object of case ids and reasons"
    )
    one.add_argument("--json", type=Path, metavar="FILE")
    one.add_argument("--junit", type=Path, metavar="FILE")
    two = commands.add_parser("trace", help="join clauses, cases, code and mutants")
    two.add_argument("--strict", action="store_true", help="a required clause without a mutant fails, too")
    three = commands.add_parser("make", help="write the goldens (where the peers are installed)")
    three.add_argument("--check", action="store_true", help="only compare with what is kept")
    three.add_argument("--cache", metavar="FOLDER", help="keep KerasHub's answers here")
    three.add_argument("--presets", action="store_true", help="write the tiny presets, too")
    four = commands.add_parser("mutants", help="run the suite against backends that are wrong on purpose")
    four.add_argument("--only", default="", metavar="NAME-PREFIX")
    commands.add_parser("divergences", help="print what KerasHub does beside what it promises")
    return top


def run_cases(options: argparse.Namespace) -> int:
    """Run, print, write."""
    cases = read_cases(options.only)
    if options.smoke:
        cases = list({case.clause: case for case in reversed(cases)}.values())[::-1]
    if not cases:
        print(f"No case id starts with {options.only!r}.", file=sys.stderr)
        return 2
    adapter = find(options.backend, options.command, options.timeout)
    try:
        info = adapter.start()
    except (AdapterError, UnsupportedError) as error:
        print(f"The implementation gives no answer: {error}.", file=sys.stderr)
        return 2
    expected = expected_failures(info, options.expected)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an implementation is judged by its answers
            verdicts = list(run(adapter, cases, info.get("capabilities", ("core",)), expected))
    finally:
        adapter.stop()
    print(f"{info.get('implementation')} {info.get('version')} ({info.get('backend')})\n")
    print(report.table(verdicts))
    how = f"--command '{options.command}'" if options.command else f"--backend {options.backend}"
    if text := report.details(verdicts, how):
        print("\n" + text)
    if options.json:
        report.write_json(options.json, info, verdicts)
    if options.junit:
        report.write_junit(options.junit, info, verdicts)
    return int(any(v.bad for v in verdicts))


def trace(options: argparse.Namespace) -> int:
    """The status page."""
    from conformance.trace import trace as join

    page, orphans = join(options.strict)
    print(page)
    print("\n".join(["", *orphans]) if orphans else "\nno orphans")
    return int(bool(orphans))


def make(options: argparse.Namespace) -> int:
    """Write or check the goldens."""
    from conformance.make.producers import main as produce

    return produce(options.check, options.cache, options.presets)


def mutants(options: argparse.Namespace) -> int:
    """Every mutant must be killed."""
    from conformance.mutants import run_mutants

    return run_mutants(options.only)


def divergences(_: argparse.Namespace) -> int:
    """What KerasHub does beside what it promises."""
    for entry in read_divergences():
        print(f"{entry.name}\n  {entry.sentence}\n  promised: {entry.promise}\n  observed: {entry.observed}")
        print(f"  versions: {entry.versions}\n  cases: {', '.join(entry.cases)}")
        print("  " + "\n  ".join(["reproduce:", *entry.snippet.splitlines()]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
