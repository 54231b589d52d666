"""The options of `fuzz`, apart from it, so that the other commands need no Hypothesis."""

import argparse
from pathlib import Path

ARCHITECTURES = ("bart", "t5", "t5gemma")
CALLS = ("logits", "states", "cached_logits", "generate", "search", "drawn", "text", "tokenize", "detokenize",
         "preprocess", "generate_preprocess", "sample")  # fmt: skip


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `fuzz`."""
    command.epilog = """examples:
  python -m conformance fuzz --b keras_hub --seconds 300 --workers 2
  python -m conformance fuzz --b my_adapter:MyLibrary --models bart --calls logits,generate
  python -m conformance fuzz --b my_adapter:MyLibrary --replay fuzz-campaign/findings/FILE
"""
    command.epilog += "exit codes: 0 no difference was found, 1 some were, 2 wrong command line, 3 no unit ended"
    command.add_argument("--a", default="refimpl", help="the one whose float64 is the truth of numbers")
    command.add_argument("--b", default="keras_hub", help="the other one; both as in `run --backend`")
    command.add_argument("--seconds", type=float, default=60.0, help="begin no unit after; one that was begun may end")
    command.add_argument("--units", type=int, metavar="N", help="end after this many units, too")
    command.add_argument(
        "--examples", type=int, default=25, metavar="N", help="models of one unit, each asked up to 16 questions"
    )
    command.add_argument("--calls", default=",".join(CALLS), help=f"some of {','.join(CALLS)}")
    command.add_argument("--models", default=",".join(ARCHITECTURES), help=f"some of {','.join(ARCHITECTURES)}")
    command.add_argument("--workers", type=int, default=1, metavar="N", help="processes on this machine")
    command.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, in place of processes")
    command.add_argument("--out", type=Path, default=Path("fuzz-campaign"), metavar="FOLDER")
    command.add_argument("--resume", action="store_true", help="go on with the campaign in --out")
    command.add_argument("--replay", type=Path, metavar="FINDING", help="ask one finding again, and nothing else")
    command.add_argument("--golden", type=Path, metavar="FOLDER", help="with --replay: save it there as a golden case")
