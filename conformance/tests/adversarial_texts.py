"""Texts that break tokenizers: spaces of all kinds, marks, compatibility letters, special and control characters."""

import random
import unicodedata

SPACES = "".join(
    map(chr, [0x20, 9, 10, 13, 11, 12, 0xA0, 0x1680, 0x2003, 0x200B, 0x2028, 0x202F, 0x3000, 0xFEFF, 0x85, 0x2581, 0])
)
WORDS = [
    "the",
    "Work",
    "License",
    "of",
    "any",
    "12",
    "3.50",
    "Contribution",
    "naïve",
    "café",
    "привет",
    "日本",
    "ß",
    "<b>",
]
WORDS += ["[MASK]", "</s>", "<pad>", "<unk>", "<extra_id_0>", "<extra_id_7>", "&amp;", "x_y", "(a)", "don't"]
RANGES = [
    (0, 0x7F),
    (0, 0x3FF),
    (0x300, 0x36F),
    (0x2000, 0x33FF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFFFF),
    (0x10000, 0x10FFFF),
]
FIXED = [
    "",
    " ",
    "  the  Work  ",
    "▁",
    "the▁Work",
    "</s>the </s>",
    "4 ½",
    "ﬁne",
    "ﷺ",
    "가",
    "x" * 3000,
    "<0x41>",
    "a\0b",
]


def texts(count: int, seed: int = 0) -> list[str]:
    """`count` texts without lone surrogates."""
    rng = random.Random(seed)
    found = list(FIXED)
    while len(found) < count:
        text = rng.choice((_words, _letters, _spaces, _normalized))(rng)
        if not any(0xD800 <= ord(c) < 0xE000 for c in text):
            found.append(text)
    return found


def _words(rng: random.Random) -> str:
    ends = [" ", "", "  ", "\t", "\n", "\u3000", "-"]
    return "".join(rng.choice(WORDS) + rng.choice(ends) for _ in range(rng.randint(1, 12)))


def _letters(rng: random.Random) -> str:
    return "".join(chr(rng.randint(*rng.choice(RANGES))) for _ in range(rng.randint(1, 20)))


def _spaces(rng: random.Random) -> str:
    return "".join(rng.choice(SPACES + "thework") for _ in range(rng.randint(1, 15)))


def _normalized(rng: random.Random) -> str:
    text = " ".join(rng.choice(WORDS) for _ in range(4)) + chr(rng.randint(0xA0, 0x2FFF))
    return unicodedata.normalize(rng.choice(["NFD", "NFKD", "NFC", "NFKC"]), text)
