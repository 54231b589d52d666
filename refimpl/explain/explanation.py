"""The record of how one text was generated.

Letters: S source length, T tokens that the decoder read, L layers, H heads.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from refimpl.errors import SavingError


class AttentionWeights(NamedTuple):
    """Where each token looks: rows are queries and sum to 1. The last token that was generated was never read.

    Shapes: encoder (L, H, S, S), decoder (L, H, T, T), cross (L, H, T, S).
    """

    encoder: np.ndarray
    decoder: np.ndarray
    cross: np.ndarray


class Token(NamedTuple):
    """An id and what the vocabulary calls it."""

    id: int
    text: str


def visible(text: str) -> str:
    """A token's text on one line: line breaks and other control characters by their escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Candidate(NamedTuple):
    """A token that could have come: the model's probability, and what the sampler made of it.

    `chance` is the probability with which the sampler takes it; None for a search, whose `note` says what counts.
    """

    token: Token
    probability: float
    chance: float | None
    note: str
    taken: bool


class Beam(NamedTuple):
    """A beam after a step. `parent` is its place among the beams before, `score` its sum of log probabilities."""

    parent: int
    token: Token
    score: float
    best: bool  # it led to the result
    stopped: bool  # a stop token was said before


class Cache(NamedTuple):
    """What the cache holds for a column: `numbers` keys and values of `bytes` bytes; `columns` have room."""

    layers: int
    heads: int
    head_dim: int
    bytes: int
    columns: int
    source_columns: int

    @property
    def numbers(self) -> int:
        """Keys and values that a column adds."""
        return 2 * self.layers * self.heads * self.head_dim


@dataclass(frozen=True)
class Explanation:
    """How one text was generated.

    `target` holds the `prompt` tokens that were given and those that were generated; `steps` has, for each generated
    one, the five likeliest tokens and the one that was taken; `beams`, for each step, those that went on.
    """

    model: str
    sampler: str
    input: str
    output: str
    source: list[Token]
    target: list[Token]
    prompt: int
    steps: list[list[Candidate]]
    attention: AttentionWeights
    beams: list[list[Beam]]
    cache: Cache

    def text(self, every_head: bool = False) -> str:
        """The plain text form; attention as the mean of all heads, or every layer and head by itself."""
        from refimpl.explain.plain import plain_text  # noqa: PLC0415 (it needs this module)

        return plain_text(self, every_head)

    def page(self) -> str:
        """One HTML page, which needs nothing else. Spec: task.explain"""
        from refimpl.explain.page import page  # noqa: PLC0415 (it needs this module)

        return page(self)

    def picture(self, step: int | None = None) -> str:
        """From source to result as an SVG drawing; the lines of a step stand out."""
        from refimpl.explain.picture import picture  # noqa: PLC0415 (it needs this module)

        return picture(self, step)

    def save(self, path: str | Path) -> None:
        """Write the page to a file. Raises: SavingError if that can't be done."""
        try:
            Path(path).write_text(self.page(), encoding="utf-8")
        except OSError as error:
            raise SavingError(
                f"The page could not be written to {path}: {error.strerror}.",
                "It goes into a folder that is there, with room for it.",
                "Make the folder, or pass another path.",
                "task.explain",
            ) from error

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        """The page, in a notebook."""
        return f'<iframe sandbox="allow-scripts" srcdoc="{escape(self.page())}" width="100%" height="900"></iframe>'
