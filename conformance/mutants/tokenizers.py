# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of unusual texts and ids, and of packing."""

import itertools
import unicodedata
from typing import Any

import numpy as np
import regex

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import result
from conformance.mutants.text import BPE, PREPROCESSOR, SPLIT, pattern

TABLE, UNSPLIT = "tokenizers.byte-level.table", "tokenizers.byte-pair.unsplittable"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def _text(change: Any) -> Any:
    """Text that is changed before it becomes bytes."""
    return ((BPE, "BytePairTokenizer._encode", lambda right: lambda self, text: right(self, change(text))),)


def _collides(right: Any) -> Any:
    """A memory of words that looks at their first 64 characters only."""
    kept: dict[str, Any] = {}

    def encode(self: Any, word: str) -> Any:
        key = f"{id(self)} {word[:64]}"
        return kept.setdefault(key, right(self, word)) if len(word) > 64 else right(self, word)

    return encode


def _one_pass(_right: Any) -> Any:
    """Each rule is applied once through the word, in the order of the rules that the word began with."""

    def merge_word(symbols: Any, ranks: Any) -> list[str]:
        pieces = list(symbols)
        rules = sorted({pair for pair in itertools.pairwise(pieces) if pair in ranks}, key=lambda pair: ranks[pair])
        for left, right in rules:
            at = 0
            while at + 1 < len(pieces):
                if (pieces[at], pieces[at + 1]) == (left, right):
                    pieces[at : at + 2] = [left + right]
                at += 1
        return pieces

    return merge_word


def _greedy_longest(_right: Any) -> Any:
    """The longest token that any rules make, from the left, as WordPiece does."""

    def merge_word(symbols: Any, ranks: Any) -> list[str]:
        made = {left + right for left, right in ranks}
        pieces, word, at = [], "".join(symbols), 0
        while at < len(word):
            end = next((e for e in range(len(word), at, -1) if word[at:e] in made), at + 1)
            pieces.append(word[at:end])
            at = end
        return pieces

    return merge_word


def _rightmost(right: Any) -> Any:
    """Of equal pairs the rightmost is merged first."""
    return lambda symbols, ranks: [
        piece[::-1]
        for piece in right([s[::-1] for s in symbols][::-1], {(b[::-1], a[::-1]): r for (a, b), r in ranks.items()})
    ][::-1]


def _shortest_special(right: Any) -> Any:
    """Only the first special token of a text is found."""

    def encode(self: Any, text: str) -> list[int]:
        whole, self._specials = self._specials, type(self._specials)((), {})
        try:
            parts = list(whole.split(text))
            at = next((n for n, (_, found) in enumerate(parts) if found), None)
            if at is None:
                return right(self, text)
            before, after = ("".join(part for part, _ in some) for some in (parts[:at], parts[at + 1 :]))
            return [*right(self, before), self.vocabulary[parts[at][0]], *right(self, after)]
        finally:
            self._specials = whole

    return encode


def _no_space_before(right: Any) -> Any:
    """Special tokens take the spaces beside them with them."""
    return lambda self, text: right(self, text.replace(" <", "<").replace("> ", ">"))


def _by_id(right: Any) -> Any:
    """Special tokens are left out of decoded text."""
    return lambda self, ids: right(self, [i for i in ids if i not in self.special_token_ids])


def _each_byte(characters: str) -> str:
    from refimpl.tokenizers.byte_level import character_to_byte

    table = character_to_byte()
    data = b"".join(bytes((table[c],)) if c in table else c.encode() for c in characters)
    out, at = "", 0
    while at < len(data):
        for width in (1, 2, 3, 4):
            try:
                out += data[at : at + width].decode()
                at += width
                break
            except UnicodeDecodeError:
                continue
        else:
            out, at = out + "\ufffd", at + 1
    return out


def _narrowed(ids: Any, mask: Any) -> Any:
    width = max(int(mask.sum(axis=1).max()), 1)
    return ids[:, :width], mask[:, :width]


MUTANTS = [
    Mutant("text ends at NUL", "X15", (TABLE,), _text(lambda text: text.partition("\0")[0])),
    Mutant("byte order mark dropped", "X15", (TABLE,), _text(lambda text: text.replace("\ufeff", ""))),
    Mutant("invisible characters dropped", "X15", (TABLE,), _text(lambda text: "".join(c for c in text if unicodedata.category(c) != "Cf"))),
    Mutant("text composed", "X07", (TABLE,), _text(lambda text: unicodedata.normalize("NFC", text))),
    Mutant("text decomposed", "X07", (TABLE,), _text(lambda text: unicodedata.normalize("NFD", text))),
    Mutant("line ends made one", "X15", (SPLIT,), _text(lambda text: text.replace("\r\n", "\n"))),
    Mutant("spaces at the ends stripped", "X15", (SPLIT,), _text(str.strip)),
    Mutant("runs of spaces made one", "X15", (SPLIT,), _text(lambda text: regex.sub(" +", " ", text))),
    Mutant("lower case", "X08", (SPLIT, UNSPLIT), _text(str.lower)),
    Mutant("a space before every text", "X15", (SPLIT,), _text(lambda text: text if not text or text.startswith(" ") else " " + text)),
    Mutant("astral characters as surrogates", "X11", (TABLE,), ((BPE, "to_characters", lambda right: lambda text: "".join(
        right(c) if ord(c) < 0x10000 else "".join(right("\ufffd") for _ in range(2)) for c in text)),)),
    Mutant("words alike at their beginning", "X17", ("tokenizers.byte-pair.merge-order",), ((BPE, "BytePairTokenizer._encode_word", _collides),)),
    Mutant("one pass of merges", "X17", ("tokenizers.byte-pair.merge-order",), ((BPE, "merge_word", _one_pass),)),
    Mutant("longest token first", "X17", ("tokenizers.byte-pair.merge-order",), ((BPE, "merge_word", _greedy_longest),)),
    Mutant("rightmost merge first", "X17", ("tokenizers.byte-pair.merge-order",), ((BPE, "merge_word", _rightmost),)),
    Mutant("one special token a text", "X02", (UNSPLIT,), ((BPE, "BytePairTokenizer._encode", _shortest_special),)),
    Mutant("special tokens strip spaces", "X02", (UNSPLIT,), ((BPE, "BytePairTokenizer._encode", _no_space_before),)),
    Mutant("special tokens never decoded", "X02", ("tokenizers.detokenize.byte-level",), ((BPE, "BytePairTokenizer._decode", _by_id),)),
    Mutant("curly contractions", "X17", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(GPT2.replace("'s|", "'s(?!\\p{L})|"))),)),
    Mutant("digits alone", "X17", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(GPT2.replace(r" ?\p{N}+", r" ?\p{N}"))),)),
    Mutant("numbers are letters", "X17", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(GPT2.replace(r" ?\p{L}+| ?\p{N}+", r" ?[\p{L}\p{N}]+"))),)),
    Mutant("marks are letters", "X07", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(GPT2.replace(r"\p{L}", r"\p{L}\p{M}"))),)),
    Mutant("underscore is a letter", "X17", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(GPT2.replace(r"\p{L}", r"\p{L}_"))),)),
    Mutant("ASCII spaces only", "X08", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(GPT2.replace(r"\s", r" \t\n\r\f\v").replace(r"| \t\n\r\f\v+", r"|[ \t\n\r\f\v]+").replace(r"[^ \t", r"[^ \t"))),)),
    Mutant("bytes of Latin-1", "X11", (TABLE,), ((BPE, "to_characters", lambda right: lambda text: right(text) if any(ord(c) > 255 for c in text) else "".join(right(chr(ord(c) & 127)) for c in text)),)),
    Mutant("invalid bytes end the text", "X11", ("tokenizers.detokenize.invalid-utf8",), ((BPE, "to_text", result(lambda text: text.partition("\ufffd")[0])),)),
    Mutant("one sign for each invalid byte", "X11", ("tokenizers.detokenize.invalid-utf8",), ((BPE, "to_text", lambda right: _each_byte),)),
    Mutant("ids above 255 unsigned bytes", "W15", ("tokenizers.detokenize.byte-level",), ((BPE, "BytePairTokenizer._decode", lambda right: lambda self, ids: right(self, [i % 256 if i > 280 else i for i in ids])),)),
    Mutant("cut from the left", "X16", ("preprocessing.packer.truncation",), ((PREPROCESSOR, "pack", lambda right: lambda rows, length, start, end, pad: right([row[max(len(row) - (length - len(start) - len(end)), 0) :] for row in rows], length, start, end, pad)),)),
    Mutant("padded to the longest", "M04", ("preprocessing.bart.frames", "preprocessing.seq2seq.prompt"), ((PREPROCESSOR, "pack", lambda right: lambda *a: _narrowed(*right(*a))),)),
    Mutant("weights are all the padding's", "T01", ("preprocessing.seq2seq.shift",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.__call__", result(lambda out: (out[0], out[1], np.ones_like(out[2])))),)),
    Mutant("labels hold -100", "D05", ("preprocessing.seq2seq.shift",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.__call__", result(lambda out: (out[0], np.where(out[2], out[1], -100), out[2]))),)),
]  # fmt: skip
