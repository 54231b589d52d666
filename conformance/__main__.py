"""`python -m conformance run | trace | make | coverage | mutants | machine-mutants | fuzz | divergences | matrix`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.commands.run import add_arguments, run_cases
from conformance.fuzz.options import add_arguments as fuzz_arguments
from conformance.machine_mutants.options import add_arguments as machine_arguments
from conformance.matrix import command as matrix_command
from conformance.suite.divergences import read_divergences

EXAMPLES = """examples:
  python -m conformance run --smoke                    refimpl itself: everything passes
  python -m conformance run --backend my_adapter:MyLibrary --only models
  python -m conformance divergences                    where KerasHub leaves its documentation
  python -m conformance COMMAND --help                 options and examples of a command
conformance/TUTORIAL.md leads to the first verdict of your own implementation in ten minutes.
"""


def main(words: Sequence[str] | None = None) -> int:
    """0 if all is well, 1 if a case, a mutant or a link is not, 2 for a wrong command line, 3 for a broken adapter."""
    options = parser().parse_args(words)
    commands = {"run": run_cases, "trace": trace, "make": make, "mutants": mutants, "fuzz": fuzz,
                "divergences": divergences, "machine-mutants": machine_mutants, "coverage": coverage,
                "matrix": matrix_command.matrix}  # fmt: skip
    return commands[options.command_name](options)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    look: dict[str, Any] = {"formatter_class": argparse.RawDescriptionHelpFormatter}
    example = "example: python -m conformance "
    top = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Ask an implementation what Seq2SeqLM promises.",
        epilog=EXAMPLES,
        **look,
    )
    commands = top.add_subparsers(dest="command_name", required=True, metavar="COMMAND")
    one = commands.add_parser("run", help="run the cases against an implementation", **look)
    add_arguments(one)
    two = commands.add_parser("trace", help="join clauses, cases, code and mutants", epilog=example + "trace --strict")
    two.add_argument("--strict", action="store_true", help="a required clause without a mutant fails, too")
    three = commands.add_parser(
        "make", help="write the goldens (where the peers are installed)", epilog=example + "make --check --only models"
    )
    three.add_argument("--check", action="store_true", help="only compare with what is kept")
    three.add_argument("--only", default="", metavar="PREFIX", help="with --check: only cases whose ids begin so")
    three.add_argument("--cache", metavar="FOLDER", help="keep KerasHub's answers here")
    three.add_argument("--presets", action="store_true", help="write the tiny presets, too")
    four = commands.add_parser(
        "mutants",
        help="run the suite against backends that are wrong on purpose",
        epilog=example + "mutants --only samplers --keep killed.jsonl",
    )
    four.add_argument("--only", default="", metavar="NAME-PREFIX")
    four.add_argument("--workers", type=int, default=2, metavar="N", help="processes")
    four.add_argument("--keep", type=Path, metavar="FILE", help="write results there, and go on from what is there")
    machine_arguments(commands.add_parser("machine-mutants", help="change the definition's syntax, place by place"))
    reach = commands.add_parser("coverage", help="which pairs of conditions no case reaches")
    reach.add_argument("--quiet", action="store_true", help="only the percentages")
    reach.add_argument("--draw", type=int, metavar="SEED", help="append rows for what is missing (then `make`)")
    five = commands.add_parser("fuzz", help="ask two implementations random questions until they differ", **look)
    fuzz_arguments(five)
    six = commands.add_parser(
        "divergences", help="print what KerasHub does beside what it promises", epilog=example + "divergences --explain"
    )
    six.add_argument(
        "--explain", action="store_true", help="switch each on in refimpl and compare with KerasHub's answers"
    )
    six.add_argument("--reproduce", action="store_true", help="run the reproductions (where KerasHub is installed)")
    matrix_command.add_arguments(
        commands.add_parser(
            "matrix",
            help="publish who does what: a page and a table",
            epilog=example + "matrix --ask refimpl keras-hub-jax",
        )
    )
    return top


def trace(options: argparse.Namespace) -> int:
    """The status page."""
    from conformance.commands.trace import trace as join

    page, orphans = join(options.strict)
    print(page)
    print("\n".join(["", *orphans]) if orphans else "\nno orphans")
    return int(bool(orphans))


def make(options: argparse.Namespace) -> int:
    """Write or check the goldens."""
    from conformance.make.command import main as produce

    return produce(options)


def mutants(options: argparse.Namespace) -> int:
    """Every mutant must be killed."""
    from conformance.mutants.campaign import run_mutants

    return run_mutants(options.only, options.workers, options.keep)


def machine_mutants(options: argparse.Namespace) -> int:
    """Change the definition's syntax, place by place."""
    from conformance.machine_mutants.campaign import machine_mutants as run

    return run(options)


def coverage(options: argparse.Namespace) -> int:
    """Which pairs of conditions no case reaches."""
    from conformance.coverage.pairs import coverage as report

    if options.draw is not None:
        from conformance.coverage.draw import draw

        draw(options.draw)
    return report(not options.quiet)


def fuzz(options: argparse.Namespace) -> int:
    """Ask two implementations random questions."""
    from conformance.fuzz.campaign import fuzz as run

    return run(options)


def divergences(options: argparse.Namespace) -> int:
    """What KerasHub does beside what it promises."""
    if options.explain:
        from conformance.quirks.proof import explain

        return explain()
    if options.reproduce:
        from conformance.quirks.reproduce import main as reproduce

        return reproduce()
    for entry in read_divergences():
        print(f"{entry.name}\n  {entry.sentence}\n  promised: {entry.promise}\n  observed: {entry.observed}")
        print(f"  versions: {entry.versions}\n  cases: {', '.join(entry.cases)}\n  quirk: {entry.quirk or 'yes'}")
        print("  " + "\n  ".join(["reproduce:", *entry.snippet.splitlines()]))
        for backend, text in entry.printed.items():
            print("  " + "\n  ".join([f"prints on {backend}:", *text.splitlines()]))
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
