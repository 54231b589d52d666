"""`refimpl explain`: how one text is generated, from a text or a recording, as plain text or as a page."""

import argparse
import sys
from pathlib import Path
from typing import Any

from refimpl.autograd.blas_threads import spare_threads
from refimpl.cli.generate import check_kind, lines, tell_of_single_words, utf8
from refimpl.models import Seq2SeqLM
from refimpl.preprocessing.audio_file import read_recording
from refimpl.presets.shipped import DEFAULT, shipped_preset

HELP = "Show how a text is generated: tokens, likeliest choices, attention, beams, cache."
EXAMPLES = """examples:
  refimpl explain elephant                        plain text, in the terminal
  refimpl explain elephant --out elephant.html    one page to look at in a browser; it needs no network
  refimpl explain elephant --sampler beam --heads
  refimpl explain --preset FOLDER --out - "A text." > page.html
  refimpl explain --preset FOLDER --audio said.wav
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's options."""
    parser.add_argument("text", nargs="?", type=utf8, help="the input; without it, the first line of standard input")
    parser.add_argument("--audio", type=Path, metavar="FILE", help="a recording as the input, WAV")
    parser.add_argument("--preset", help=f"preset folder or handle (default: the shipped {DEFAULT})")
    parser.add_argument("--out", metavar="FILE", help="write an HTML page there; - is standard output")
    parser.add_argument("--heads", action="store_true", help="in plain text, each head's attention and not their mean")
    parser.add_argument("--max-length", type=int, metavar="N", help="decoder tokens, start tokens included")
    parser.add_argument("--sampler", default="greedy", help="greedy, top_k, top_p, beam, ... (default: greedy)")


def run(arguments: argparse.Namespace) -> int:
    """Generate, looking on, and print or write. Spec: cli.explain"""
    lm: Any = Seq2SeqLM.from_preset(shipped_preset() if arguments.preset is None else arguments.preset)
    lm.compile(sampler=arguments.sampler)
    check_kind(lm, arguments.audio, arguments.text)
    given = arguments.text
    if arguments.audio:
        given = read_recording(arguments.audio, lm.preprocessor.audio_converter.sampling_rate)
    elif given is None:
        given = next(lines(), "")
    if arguments.preset is None:
        tell_of_single_words([given])
    with spare_threads(lm.count_params()):
        found = lm.explain(given, max_length=arguments.max_length)
    if arguments.out in (None, "-"):
        sys.stdout.write(found.page() if arguments.out else found.text(arguments.heads))
    else:
        path = Path(arguments.out).expanduser()
        found.save(path)
        print(f"saved {path}", file=sys.stderr)
    return 0
