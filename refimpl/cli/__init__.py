"""The console script `refimpl`: one subcommand a file."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from refimpl import __version__
from refimpl.cli import explain, generate, inspect, lessons
from refimpl.errors import NotANumberWarning, RefimplError, TruncationWarning
from refimpl.terminal import open_descriptors
from refimpl.training import fit_command

EXAMPLES = """examples:
  refimpl generate elephant                       EH L AH F AH N T
  refimpl explain elephant --out elephant.html    how that came about, as a page
  refimpl lessons                                 notebooks on how such a model works
  refimpl COMMAND --help                          options and examples of a command
"""
COMMANDS = {"generate": generate, "explain": explain, "inspect": inspect, "fit": fit_command, "lessons": lessons}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; errors are one line on standard error that says the mend.

    Units: returns the exit code: 0, 1 for a named error, 2 for wrong usage, 130 when interrupted.
    Spec: cli.errors, cli.version, cli.closed-streams
    """
    open_descriptors()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    parser = argparse.ArgumentParser(
        prog="refimpl",
        description="Encoder-decoder language models in NumPy.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"refimpl {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(subparser)
    parsed = parser.parse_args(arguments)
    warnings.showwarning = _show_warning
    if getattr(sys.stdout, "errors", "") == "strict":  # a character that the terminal lacks is shown by its number
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = int(COMMANDS[parsed.command].run(parsed))
        sys.stdout.flush()
        return code
    except RefimplError as error:
        print(f"refimpl: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        _drop_output()
        return 0
    except OSError as error:  # a full disk, say
        print(
            f"refimpl: Writing the output failed: {error}. Free space, or write elsewhere. [cli.errors]",
            file=sys.stderr,
        )
        _drop_output()
        return 1


def _drop_output() -> None:
    """What is still buffered goes nowhere: Python would try to write it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Warnings about input or weights are one line; others, about the code, are not for the user of a command."""
    if issubclass(category, (TruncationWarning, NotANumberWarning)):
        print(f"refimpl: warning: {message}", file=sys.stderr)
