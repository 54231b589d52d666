"""The options of `machine-mutants`, apart from it, so that the other commands need no pytest."""

import argparse
from pathlib import Path


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `machine-mutants`."""
    command.add_argument("--sample", type=int, default=2000, metavar="N", help="mutants, of all rooms together")
    command.add_argument("--seed", type=int, default=15)
    command.add_argument("--workers", type=int, default=2, metavar="N", help="processes")
    command.add_argument(
        "--keep", type=Path, required=True, metavar="FOLDER", help="results; what is there is not run again"
    )
    command.add_argument("--report", type=Path, metavar="FILE", help="write the figures there")
    command.add_argument("--again", action="store_true", help="ask the survivors once more")
    command.add_argument("--blocks", action="store_true", help="name the faulty block of those that cases kill")
