"""The two tables of GPT-2's byte-level BPE: bytes as visible characters, and the pattern that splits text."""

import functools

import regex

from refimpl.errors import InputError

# GPT-2's splitting pattern, which BART inherits: contractions, a word with its leading space, a number with its
# leading space, other signs with their leading space, spaces (the last one stays with the next word).
SPLIT_PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


@functools.cache
def byte_to_character() -> dict[int, str]:
    """Each of the 256 bytes as one visible character: printable ones stand for themselves, the 68 others for U+0100 on.

    Spec: tokenizers.byte-level.table
    """
    visible = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(visible)]
    return {byte: chr(byte) for byte in visible} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}


@functools.cache
def character_to_byte() -> dict[str, int]:
    """The inverse of `byte_to_character`."""
    return {character: byte for byte, character in byte_to_character().items()}


def to_characters(text: str) -> str:
    """The UTF-8 bytes of `text`, each as its visible character.

    Raises: InputError for a lone surrogate, which UTF-8 can't hold.
    """
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"The text {text[:40]!r} holds the lone surrogate {text[error.start]!r} at position {error.start}.",
            "A text must be encodable as UTF-8.",
            "Replace it first: text.encode('utf-8', 'replace').decode().",
            "tokenizers.input.types",
        ) from error
    table = byte_to_character()
    return "".join([table[byte] for byte in data])


def to_text(characters: str) -> str:
    """The text behind visible characters; bytes that are no UTF-8 become U+FFFD.

    Spec: tokenizers.detokenize.invalid-utf8
    """
    table = character_to_byte()
    data = b"".join(bytes((table[c],)) if c in table else c.encode("utf-8", "replace") for c in characters)
    return data.decode("utf-8", errors="replace")
