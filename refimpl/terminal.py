"""Standard output and standard error, which a program without a window, or a caller, may have closed."""

import os
from typing import TextIO


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody is looking: at a terminal, or at a notebook, whose cells obey a carriage return as well.

    Spec: cli.closed-streams, training.fit.verbose, generate.progress
    """
    notebook = type(stream).__module__.partition(".")[0] == "ipykernel"
    return stream is not None and not stream.closed and (notebook or stream.isatty())


def say(text: str, stream: TextIO | None) -> None:
    """Write at once, if anything can be written. Spec: cli.closed-streams"""
    if stream is not None and not stream.closed:
        stream.write(text)
        stream.flush()


def open_descriptors() -> None:
    """Give the descriptors 0, 1 and 2 to the null device where they are closed: else the next file that is opened, a
    preset say, gets such a number, and whatever writes to standard error writes into it.

    Spec: cli.closed-streams
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
