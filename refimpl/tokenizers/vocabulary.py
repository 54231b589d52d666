"""Vocabulary and merges as a caller gives them, checked."""

import json
from os import PathLike
from pathlib import Path
from typing import Any

from refimpl.errors import ConfigError, PresetUnreadableError
from refimpl.tokenizers.byte_level import byte_to_character


def checked_unsplittable(tokens: Any) -> list[str] | None:
    """A list of tokens, or None for the special tokens (spec: tokenizers.byte-pair.unsplittable)."""
    if tokens is None:
        return None
    if isinstance(tokens, (list, tuple)) and all(isinstance(token, str) and token for token in tokens):
        return list(tokens)
    raise ConfigError(
        f"unsplittable_tokens={tokens!r:.80} was passed.",
        "It must be None or a list of tokens, none of them empty.",
        'Pass for example ["<mask>"].',
        "tokenizers.byte-pair.unsplittable",
    )


def vocabulary_of(vocabulary: Any) -> dict[str, int]:
    """A vocabulary as a dictionary, from a dictionary or a JSON file."""
    words = vocabulary
    if isinstance(vocabulary, (str, PathLike)):
        try:
            words = json.loads(Path(vocabulary).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise PresetUnreadableError(
                f"The vocabulary file {str(vocabulary)!r} can't be read: {error}.",
                "It must be a JSON object of tokens and ids.",
                "Check the path and the file.",
                "tokenizers.vocabulary.types",
            ) from error
    ids = list(words.values()) if isinstance(words, dict) else [None]
    texts = not isinstance(words, dict) or all(isinstance(token, str) for token in words)
    if not texts or any(type(id) is not int or id < 0 for id in ids) or len(set(ids)) < len(ids):
        raise ConfigError(
            f"Vocabulary must be an file path or dictionary mapping string token to int ids. Received: {words!r:.80}.",
            "Ids must be different whole numbers from 0 on.",
            'Pass {"token": id, ...} or the path of such a JSON file.',
            "tokenizers.vocabulary.types",
        )
    return dict(words)


def merges_of(merges: Any) -> list[str]:
    """Merge rules as a list of lines, from an iterable or a text file."""
    if isinstance(merges, (str, PathLike)):
        try:
            merges = Path(merges).read_text(encoding="utf-8").split("\n")
        except (OSError, ValueError) as error:
            raise PresetUnreadableError(
                f"The merges file {str(merges)!r} can't be read: {error}.",
                "It must be a text file with one rule a line.",
                "Check the path and the file.",
                "tokenizers.vocabulary.types",
            ) from error
    try:
        lines: list[Any] = list(merges)
    except TypeError:
        lines = [None]
    if not all(isinstance(line, str) for line in lines):
        raise ConfigError(
            f"Merges must be a file path or a list of merge rules. Received: {merges!r:.80}.",
            'Each rule is a string "a b".',
            "Pass a list of strings, or the path of merges.txt.",
            "tokenizers.vocabulary.types",
        )
    return [line.rstrip("\r\n") for line in lines if line.strip("\r\n")]


def ranks_of(rules: list[str], vocabulary: dict[str, int]) -> dict[tuple[str, str], int]:
    """Each rule's pair with its rank; a `#version` line is no rule.

    A part need not be a token if an earlier rule makes it: KerasHub's documented examples leave such steps out of the
    vocabulary (spec: tokenizers.vocabulary.merge-parts).
    """
    ranks: dict[tuple[str, str], int] = {}
    known = set(vocabulary) | set(byte_to_character().values())
    for rule in rules:
        if "#version:" in rule:
            continue
        left, _, right = rule.partition(" ")
        if left not in known or right not in known:
            raise ConfigError(
                f"Merge rule {rule!r} contains token {left!r} or {right!r} that is not in the vocabulary.",
                "Both parts of a merge must be tokens, single bytes, or made by an earlier rule.",
                "Use the vocabulary and the merges of the same model.",
                "tokenizers.vocabulary.merge-parts",
            )
        known.add(left + right)
        ranks.setdefault((left, right), len(ranks))
    return ranks
