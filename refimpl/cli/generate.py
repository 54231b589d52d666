"""`refimpl generate`: text in, text out, one line each."""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator

from refimpl.autograd.blas_threads import spare_threads
from refimpl.errors import InputError
from refimpl.models import Seq2SeqLM
from refimpl.presets.shipped import DEFAULT, shipped_preset

_MOST_LINES = 1_000_000
_FEW = 16  # texts that a small model answers before Numba is even imported
HELP = "Generate text from text with a preset."
EXAMPLES = """examples:
  refimpl generate elephant conformance     one output line for each input
  refimpl generate < words.txt              lines of standard input, in batches
  refimpl generate --json elephant          {"input": "elephant", "output": ...}
  refimpl generate --preset FOLDER "A text."
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's options."""
    parser.add_argument("text", nargs="*", type=utf8, help="the inputs; without any, the lines of standard input")
    parser.add_argument("--preset", help=f"preset folder or handle (default: the shipped {DEFAULT})")
    parser.add_argument("--max-length", type=int, metavar="N", help="decoder tokens, start tokens included")
    parser.add_argument("--sampler", default="greedy", help="greedy, top_k, top_p, beam, ... (default: greedy)")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="lines at once (default: 64)")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each input")


def run(arguments: argparse.Namespace) -> int:
    """Generate and print, batch by batch.

    Spec: cli.generate.one-line-each, cli.generate.standard-input, cli.generate.single-words, kernels.auto
    """
    if not 1 <= arguments.batch_size <= _MOST_LINES:
        raise InputError(
            f"--batch-size {arguments.batch_size} was passed.",
            f"It must be at least 1, and {_MOST_LINES} at most.",
            "Leave it out.",
            "cli.errors",
        )
    lm = Seq2SeqLM.from_preset(shipped_preset() if arguments.preset is None else arguments.preset)
    lm.compile(sampler=arguments.sampler, jit_compile="auto" if 0 < len(arguments.text) <= _FEW else True)
    told = arguments.preset is not None
    with spare_threads(lm.count_params()):
        for texts in _batches(arguments.text or lines(), arguments.batch_size):
            told = told or tell_of_single_words(texts)
            for text, output in zip(texts, lm.generate(texts, max_length=arguments.max_length), strict=True):
                # A generated line break would make two lines of one output.
                plain = output.replace("\r", "\\r").replace("\n", "\\n")
                print(json.dumps({"input": text, "output": output}) if arguments.json else plain)
            sys.stdout.flush()
    return 0


def tell_of_single_words(texts: Iterable[str]) -> bool:
    """Say what the default model takes, if that is not what it gets. Spec: cli.generate.single-words"""
    several = any(len(text.split()) > 1 for text in texts)
    if several:
        print(
            f"refimpl: {DEFAULT}, the default model, takes single English words and gives their sounds; "
            "pass --preset for one that takes sentences. [cli.generate.single-words]",
            file=sys.stderr,
        )
    return several


def utf8(argument: str) -> str:
    """An argument as UTF-8 whatever the locale, like standard input; bytes that are none become U+FFFD.

    Spec: cli.generate.utf-8
    """
    return os.fsencode(argument).decode("utf-8", errors="replace")


def lines() -> Iterator[str]:
    """The lines of standard input, without their ends."""
    if sys.stdin is None:  # closed by the caller: nothing to read
        return
    if sys.stdin.isatty():
        print("Reading lines from the terminal; end with Ctrl-D.", file=sys.stderr)
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    for line in sys.stdin:
        yield line.rstrip("\r\n")


def _batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Lists of at most `size` texts, as soon as each is full."""
    iterator = iter(texts)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
