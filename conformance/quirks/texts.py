# ruff: noqa: ARG001, ARG005
"""Quirks of tokenizers and preprocessors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import regex

from conformance.quirks import Quirk

BPE, TOKENIZER = "refimpl.tokenizers.byte_pair_tokenizer", "refimpl.tokenizers.tokenizer"
SPM = "refimpl.tokenizers.sentence_piece_tokenizer"
PREPROCESSOR, BART = "refimpl.preprocessing.seq_2_seq_lm_preprocessor", "refimpl.models.bart.backbone"
# What running over the position table ends in.
TOO_LONG = {"jax": TypeError, "torch": RuntimeError, "tensorflow": ValueError}


def _without_lengths(right: Any) -> Any:
    def get_config(self: Any) -> dict[str, Any]:
        return {key: value for key, value in right(self).items() if not key.endswith("sequence_length")}

    return get_config


def _runs_over(kind: type[Exception]) -> Any:
    """Positions beyond the table are no error of their own, but of the operation that meets them."""

    def make(right: Any) -> Any:
        def check_length(self: Any, side: str, length: int) -> None:
            if length > self.max_sequence_length:
                raise kind(f"{length} positions do not fit a table of {self.max_sequence_length}")

        return check_length

    return make


def _pack(_right: Any) -> Any:
    """Room that is negative counts from the end of the row, and start tokens are never cut."""

    def pack(rows: Any, length: int, start: Any, end: Any, pad: int) -> tuple[np.ndarray, np.ndarray]:
        packed = [[*start, *row[: length - len(start) - len(end)], *end] for row in rows]
        width = max([length, *map(len, packed)])
        ids = np.array([row + [pad] * (width - len(row)) for row in packed], np.int32)
        return ids, np.arange(width) < np.array([[len(row)] for row in packed])

    return pack


def _any_length(right: Any) -> Any:
    """Negative numbers are lengths too."""
    return lambda given, default, name: given if isinstance(given, int) and given < 0 else right(given, default, name)


def _needs_decoder_text(right: Any) -> Any:
    def generate_preprocess(self: Any, x: Any, **lengths: Any) -> Any:
        if isinstance(x, Mapping) and self.target_key == "decoder_text" and "decoder_text" not in x:
            raise KeyError("decoder_text")  # Moonshine's own can do without its text
        return right(self, x, **lengths)

    return generate_preprocess


def _numbers_fail(right: Any) -> Any:
    def texts_of(inputs: Any) -> Any:
        if isinstance(inputs, list) and any(isinstance(item, int) for item in inputs):
            raise AttributeError("a number has no attribute of a text")
        return right(inputs)

    return texts_of


def _tokens_only(right: Any) -> Any:
    """Each part of a merge, and what it makes, must be a token of the vocabulary."""

    def ranks_of(rules: list[str], vocabulary: dict[str, int]) -> Any:
        for rule in rules:
            parts = rule.split(" ")
            if "#version:" not in rule and not {*parts, "".join(parts)} <= vocabulary.keys():
                raise ValueError(f"merge rule {rule!r} contains a token that is not in the vocabulary")
        return right(rules, vocabulary)

    return ranks_of


def _needs_config(right: Any) -> Any:
    def from_preset(cls: Any, preset: Any, **kwargs: Any) -> Any:
        if isinstance(preset, str) and Path(preset).is_dir() and not Path(preset, "config.json").exists():
            raise ValueError(f"Preset {preset} has no config.json.")
        return right.__func__(cls, preset, **kwargs)

    return classmethod(from_preset)


def _padded_with_numbers(right: Any) -> Any:
    def sized(self: Any, tokens: list[str]) -> list[Any]:
        missing = (self.sequence_length or len(tokens)) - len(tokens)
        return [*tokens[: self.sequence_length or None], *[self._padding_id()] * missing]

    return sized


def quirks(backend: str) -> list[Quirk]:
    """Quirks of tokenizing and packing."""
    lengths = (
        (PREPROCESSOR, "Seq2SeqLMPreprocessor.get_config", _without_lengths),
        (PREPROCESSOR, "Seq2SeqLMPreprocessor.fit_to_positions", lambda right: lambda *a: None),
        (BART, "BartBackbone.check_length", _runs_over(TOO_LONG[backend])),
    )
    pack = (PREPROCESSOR, "pack", _pack)
    step = (PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess", _needs_decoder_text)
    return [
        Quirk("bpe-without-splitting", ((BPE, "SPLIT_PATTERN", lambda right: regex.compile(r"(?s).+")),)),
        Quirk("documented-vocabulary-refused", ((BPE, "ranks_of", _tokens_only),)),
        Quirk("tokenizer-alone-can-t-be-loaded", ((TOKENIZER, "Tokenizer.from_preset", _needs_config),)),
        Quirk(
            "ids-beyond-the-pieces",
            ((SPM, "SentencePieceTokenizer._decode", lambda right: lambda self, ids: self._model.decode(ids)),),
        ),
        Quirk("strings-padded-with-numbers", ((TOKENIZER, "Tokenizer._sized", _padded_with_numbers),)),
        Quirk("lengths-lost-on-save", lengths),
        Quirk("shorter-than-the-frame", (pack,)),
        Quirk("negative-max-length", ((PREPROCESSOR, "length_of", _any_length), pack)),
        Quirk("decoder-text-required", (step,)),
        Quirk("numbers-as-texts", ((PREPROCESSOR, "texts_of", _numbers_fail),), ("tensorflow",)),
    ]
