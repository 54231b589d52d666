# ruff: noqa: ARG005, E501, PLW0108  (tables of lambdas read better unbroken)
"""Mutants of text, packing and presets."""

import unicodedata
from typing import Any

import numpy as np
import regex

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import result

BPE, PREPROCESSOR = "refimpl.tokenizers.byte_pair_tokenizer", "refimpl.preprocessing.seq_2_seq_lm_preprocessor"
BART = "refimpl.preprocessing.bart_seq_2_seq_lm_preprocessor"
HDF5, TASK, BACKBONE = "refimpl.presets.hdf5", "refimpl.models.task", "refimpl.models.backbone"
SPLIT = "tokenizers.byte-pair.split"


def pattern(text: str) -> Any:
    """Another splitting pattern."""
    return lambda _right: regex.compile(text)


def _specials(change: Any) -> Any:
    """Another list of tokens that are found in text as they stand."""
    return lambda right: property(lambda self: change(right.fget(self)))


def _constants(right: Any) -> Any:
    """Special ids of released models in place of the vocabulary's."""

    def set_vocabulary(self: Any, *words: Any) -> None:
        right(self, *words)
        self.start_token_id, self.pad_token_id, self.end_token_id = 0, 1, 2

    return set_vocabulary


def _pack(change: Any) -> Any:
    """`pack(rows, length, start, end, pad)` with a change."""
    return lambda right: lambda *a: change(right, *a)


def _cut_late(right: Any, rows: Any, length: int, start: Any, end: Any, pad: int) -> Any:
    return right([[*row, *end][: max(length - len(start), 0)] for row in rows], length, start, [], pad)


def _mask_by_id(right: Any, *a: Any) -> Any:
    ids, _ = right(*a)
    return ids, ids != a[-1]


def _left(right: Any, *a: Any) -> Any:
    ids, mask = right(*a)
    turned = [np.roll(row, len(m) - m.sum()) for row, m in zip(ids, mask, strict=True)]
    return np.array(turned), mask[:, ::-1]


def _not_shifted(right: Any) -> Any:
    def call(self: Any, x: Any, **lengths: Any) -> Any:
        inputs, _, _ = right(self, x, **lengths)
        return inputs, inputs["decoder_token_ids"], inputs["decoder_padding_mask"]

    return call


def _without_lengths(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not key.endswith("sequence_length")}


def _lax(right: Any) -> Any:
    """Weights that can't be read are zero, with no more than a shrug."""

    def read(self: Any, layout: Any, dtype: str) -> Any:
        layout = list(layout)
        try:
            return right(self, layout, dtype)
        except ValueError:
            return {weight.name: np.zeros(weight.shape, dtype) for weight in layout}

    return read


MUTANTS = [
    Mutant("no-splitting", "X17", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(r"(?s).+")),)),
    Mutant("split-at-spaces-only", "X17", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(r" ?\S+|\s+(?!\S)|\s+")),)),
    Mutant("digits-by-three", "X17", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")),)),
    Mutant("contractions-in-capitals", "X17", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")),)),
    Mutant("letters-by-ascii", "X07", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(
        r"'s|'t|'re|'ve|'m|'ll|'d| ?[a-zA-Z]+| ?[0-9]+| ?[^\sa-zA-Z0-9]+|\s+(?!\S)|\s+")),)),
    Mutant("spaces-all-before-the-word", "X17", (SPLIT,), ((BPE, "SPLIT_PATTERN", pattern(
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+")),)),
    Mutant("text-normalized", "X08", (SPLIT, "tokenizers.byte-level.table"), ((BPE, "to_characters", lambda right: lambda text: right(
        unicodedata.normalize("NFKC", text))),)),
    Mutant("merges-leftmost-first", "X17", ("tokenizers.byte-pair.merge-order",),
           ((BPE, "merge_word", lambda right: lambda symbols, ranks: right(symbols, dict.fromkeys(ranks, 0))),)),
    Mutant("merges-last-first", "X17", ("tokenizers.byte-pair.merge-order",),
           ((BPE, "merge_word", lambda right: lambda symbols, ranks: right(symbols, {k: -r for k, r in ranks.items()})),)),
    Mutant("specials-are-text", "X02", ("tokenizers.byte-pair.unsplittable",),
           ((BPE, "BytePairTokenizer.unsplittable_tokens", _specials(lambda tokens: [])),)),
    Mutant("mask-is-special", "X02", ("tokenizers.bart.special-tokens",),
           ((BPE, "BytePairTokenizer.unsplittable_tokens", _specials(lambda tokens: [*tokens, "<mask>"])),)),
    Mutant("special-ids-are-constants", "X02", ("tokenizers.vocabulary.look-up", "preprocessing.bart.frames"),
           ((BPE, "BytePairTokenizer.set_vocabulary_and_merges", _constants),)),
    Mutant("bad-bytes-dropped", "X11", ("tokenizers.detokenize.invalid-utf8",),
           ((BPE, "to_text", result(lambda text: text.replace("\ufffd", ""))),)),
    Mutant("decoded-piece-by-piece", "X11", ("tokenizers.detokenize.byte-level",),
           ((BPE, "to_text", lambda right: lambda characters: "".join(map(right, characters))),)),
    Mutant("text-stripped", "X15", ("tokenizers.detokenize.byte-level",), ((BPE, "to_text", result(str.strip)),)),
    Mutant("end-token-cut-off", "X16", ("preprocessing.packer.truncation",), ((PREPROCESSOR, "pack", _pack(_cut_late)),)),
    Mutant("mask-by-pad-id", "D05", ("preprocessing.packer.mask",), ((PREPROCESSOR, "pack", _pack(_mask_by_id)),)),
    Mutant("padded-on-the-left", "P06", ("preprocessing.bart.frames",), ((PREPROCESSOR, "pack", _pack(_left)),)),
    Mutant("decoder-starts-with-start-token", "D04", ("preprocessing.bart.frames", "preprocessing.seq2seq.prompt"),
           ((BART, "BartSeq2SeqLMPreprocessor.decoder_frame", lambda right: property(lambda self: self.encoder_frame)),)),
    Mutant("labels-not-shifted", "D06", ("preprocessing.seq2seq.shift",),
           ((PREPROCESSOR, "Seq2SeqLMPreprocessor.__call__", _not_shifted),)),
    Mutant("specials-in-the-text", "D04", ("preprocessing.seq2seq.postprocess",),
           (("refimpl.tokenizers.tokenizer", "Tokenizer.special_token_ids", lambda _right: property(lambda self: [])),)),
    Mutant("lengths-lost-on-save", "W03", ("presets.save.sequence-lengths",),
           ((PREPROCESSOR, "Seq2SeqLMPreprocessor.get_config", result(_without_lengths)),)),
    Mutant("default-lengths-of-1024", "P07", ("presets.preprocessor.default-lengths",),
           ((PREPROCESSOR, "Seq2SeqLMPreprocessor.fit_to_positions", lambda _right: lambda *a: None),)),
    Mutant("missing-weights-stay-random", "W01", ("presets.weights.complete",),
           (("refimpl.presets.folder", "PresetFolder.read_weights", _lax),)),
    Mutant("extra-weights-unread", "W02", ("presets.weights.extra",),
           ((HDF5, "Hdf5Weights._refuse_extras", lambda _right: lambda *a: None),)),
    Mutant("task-json-not-compared", "W11", ("presets.task.config-agrees",),
           ((TASK, "_saved_task", lambda _right: lambda folder: {}),)),
    Mutant("unknown-keys-dropped", "W11", ("presets.config.unknown-key",),
           ((BACKBONE, "Backbone.__init__", lambda right: lambda self, *a, no_such_key=0, **k: right(self, *a, **k)),)),
    Mutant("unset-epsilon-is-larger", "W11", ("presets.config.defaults",),
           ((BACKBONE, "Backbone.__init__", lambda right: lambda self, *a, **k:
             right(self, *a, **({"layer_norm_epsilon": 1e-5} if "activation" not in k and "num_layers" in k and
                                type(self).__name__ == "T5Backbone" else {}) | k)),)),
    Mutant("positions-saved-in-half-precision", "W03", ("presets.save.round-trip",),
           ((BACKBONE, "Backbone.write_preset_files", lambda right: lambda self, *a, **k: _rounded(self, right, a, k)),)),
]  # fmt: skip


def _rounded(self: Any, right: Any, words: Any, keywords: Any) -> None:
    """Saves the position tables in half precision."""
    kept = dict(self.params)
    self.params = {k: w.astype(np.float16).astype(w.dtype) if "position" in k else w for k, w in kept.items()}
    try:
        right(self, *words, **keywords)
    finally:
        self.params = kept
