"""`refimpl generate`: text or recordings in, text out, one line each."""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from refimpl.autograd.blas_threads import spare_threads
from refimpl.errors import InputError
from refimpl.models import Seq2SeqLM
from refimpl.preprocessing.audio_file import read_recording
from refimpl.presets.shipped import DEFAULT, shipped_preset

_MOST_LINES = 1_000_000
_FEW = 16  # texts that a small model answers before Numba is even imported
HELP = "Generate text from text, or from recordings, with a preset."
EXAMPLES = """examples:
  refimpl generate elephant conformance     one output line for each input
  refimpl generate < words.txt              lines of standard input, in batches
  refimpl generate --json elephant          {"input": "elephant", "output": ...}
  refimpl generate --preset FOLDER "A text."
  refimpl generate --preset FOLDER --audio said.wav
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommand's options."""
    parser.add_argument("text", nargs="*", type=utf8, help="the inputs; without any, the lines of standard input")
    parser.add_argument(
        "--audio", nargs="+", type=Path, metavar="FILE", help="recordings as the inputs, WAV, one at a time"
    )
    parser.add_argument("--preset", help=f"preset folder or handle (default: the shipped {DEFAULT})")
    parser.add_argument("--max-length", type=int, metavar="N", help="decoder tokens, start tokens included")
    parser.add_argument("--sampler", default="greedy", help="greedy, top_k, top_p, beam, ... (default: greedy)")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="lines at once (default: 64)")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each input")


def run(arguments: argparse.Namespace) -> int:
    """Generate and print, batch by batch.

    Spec: cli.generate.one-line-each, cli.generate.standard-input, cli.generate.single-words, cli.generate.audio
    """
    if not 1 <= arguments.batch_size <= _MOST_LINES:
        raise InputError(
            f"--batch-size {arguments.batch_size} was passed.",
            f"It must be at least 1, and {_MOST_LINES} at most.",
            "Leave it out.",
            "cli.errors",
        )
    lm = Seq2SeqLM.from_preset(shipped_preset() if arguments.preset is None else arguments.preset)
    check_kind(lm, arguments.audio, arguments.text)
    given = arguments.audio or arguments.text
    lm.compile(sampler=arguments.sampler, jit_compile="auto" if 0 < len(given) <= _FEW else True)
    told = arguments.preset is not None
    with spare_threads(lm.count_params()):
        for names, inputs in _recordings(arguments, lm) if arguments.audio else _texts(arguments):
            told = told or tell_of_single_words(names)
            for name, output in zip(names, lm.generate(inputs, max_length=arguments.max_length), strict=True):
                # A generated line break would make two lines of one output.
                plain = output.replace("\r", "\\r").replace("\n", "\\n")
                print(json.dumps({"input": name, "output": output}) if arguments.json else plain)
            sys.stdout.flush()
    return 0


def _recordings(arguments: argparse.Namespace, lm: Any) -> Iterator[tuple[list[str], Any]]:
    """Each recording alone, as what is beside it in a batch would be padding, and heard."""
    for path in arguments.audio:
        yield [str(path)], [read_recording(path, lm.preprocessor.audio_converter.sampling_rate)]


def check_kind(lm: Any, audio: Any, text: Any) -> None:
    """A model of speech takes recordings, any other takes texts.

    Raises: InputError.
    Spec: cli.generate.audio
    """
    hears = hasattr(lm.preprocessor, "audio_converter")
    if hears != bool(audio) or (audio and text):
        raise InputError(
            f"{'--audio was' if audio else 'Text was'} passed{' beside text' if audio and text else ''} "
            f"for a {type(lm).__name__}.",
            f"It takes {'recordings' if hears else 'texts'}.",
            f"Pass {'--audio FILE.wav, and no text' if hears else 'texts, or --preset with a model of speech'}.",
            "cli.generate.audio",
        )


def _texts(arguments: argparse.Namespace) -> Iterator[tuple[list[str], Any]]:
    """Lists of texts, and the same as inputs."""
    return ((texts, texts) for texts in _batches(arguments.text or lines(), arguments.batch_size))


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
