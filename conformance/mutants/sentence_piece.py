# ruff: noqa: ARG001, ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of SentencePiece and of T5's text and packing."""

import unicodedata
from typing import Any

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import result

MODEL, TOKENIZER = "refimpl.tokenizers.sentence_piece_model", "refimpl.tokenizers.sentence_piece_tokenizer"
T5, PREPROCESSOR = "refimpl.tokenizers.t5_tokenizer", "refimpl.preprocessing.t5_seq_2_seq_lm_preprocessor"
RULES, CONTROL = "tokenizers.sentence-piece.model-rules", "tokenizers.sentence-piece.control-pieces"
DETOKENIZE, SENTINELS = "tokenizers.sentence-piece.detokenize", "tokenizers.t5.sentinels"
FRAMES, SPECIALS = "preprocessing.t5.frames", "tokenizers.t5.special-tokens"


def _without_normalizer(right: Any) -> Any:
    """Characters that the model's table would replace have no piece."""

    def encode(self: Any, text: str) -> list[int]:
        return right(self, "".join(c if unicodedata.normalize("NFKC", c) == c else "\U0010fffd" for c in text))

    return encode


def _greedy(right: Any) -> Any:
    """The longest piece first, from the left, in place of the best sum of scores."""

    def encode(self: Any, text: str) -> list[int]:
        rest, ids = "\u2581" + "\u2581".join(text.split()) if text.split() else "", []
        while rest:
            size = next((n for n in range(len(rest), 0, -1) if rest[:n] in self.ids), 0)
            ids.append(self.ids[rest[:size]] if size else self.unknown_id)
            rest = rest[max(size, 1) :]
        return ids

    return encode


def _unknown_each(right: Any) -> Any:
    """One unknown id for each character without a piece, not for each run."""

    def encode(self: Any, text: str) -> list[int]:
        pieces = zip(self.encode_pieces(text), right(self, text), strict=True)
        return [id for piece, id in pieces for _ in range(len(piece) if id == self.unknown_id else 1)]

    return encode


def _finding(tokens: Any) -> Any:
    """Tokens of `tokens(self)` are found in text."""

    def wrong(right: Any) -> Any:
        def parts(self: Any, text: str) -> Any:
            kept, self.added_tokens = self.added_tokens, tokens(self)
            try:
                return list(right(self, text))
            finally:
                self.added_tokens = kept

        return parts

    return wrong


def _constants(right: Any) -> Any:
    """The special ids of released models in place of the model's own."""

    def set_proto(self: Any, proto: Any) -> None:
        right(self, proto)
        self.pad_token_id, self.end_token_id, self.start_token_id = 0, 1, 1

    return set_proto


def _bare(change: Any) -> Any:
    """`SentencePieceTokenizer._decode` that treats ids beyond the pieces by `change(ids, model)`."""
    return lambda right: lambda self, ids: self._model.decode(change(ids, self._model))


def _masked_start(right: Any) -> Any:
    """The decoder's first <pad> counts as padding."""

    def pack(self: Any, key: str, *a: Any) -> Any:
        ids, is_token = right(self, key, *a)
        return ids, is_token & ~((ids == self.tokenizer.pad_token_id) & (key == "decoder_text"))

    return pack


def _encode(wrong: Any) -> Any:
    return ((MODEL, "SentencePieceModel.encode", wrong),)


MUTANTS = [
    Mutant("sentencepiece-without-normalizer", "X08", (RULES,), _encode(_without_normalizer)),
    Mutant("sentencepiece-normalizes-by-itself", "X08", (RULES,), _encode(lambda right: lambda self, text: right(self, unicodedata.normalize("NFKC", text)))),
    Mutant("sentencepiece-composes-first", "X07", (RULES,), _encode(lambda right: lambda self, text: right(self, unicodedata.normalize("NFD", text)))),
    Mutant("sentencepiece-greedy", "X17", (RULES,), _encode(_greedy)),
    Mutant("sentencepiece-unknowns-not-fused", "X17", (RULES,), _encode(_unknown_each)),
    Mutant("sentencepiece-spaces-at-the-end", "X15", (RULES,), _encode(lambda right: lambda self, text: right(self, text) + ([self.ids["\u2581"]] if text.endswith(" ") else []))),
    Mutant("control-pieces-in-text", "X02", (CONTROL,), ((TOKENIZER, "SentencePieceTokenizer._parts", _finding(
        lambda self: {token: self._model.ids[token] for token in ("</s>", "<pad>", "<unk>")})),)),
    Mutant("user-pieces-are-text", "X02", (CONTROL,), _encode(lambda right: lambda self, text: [id for part in text.replace("[", "[ ").replace("<", "< ").split(" ") for id in right(self, part)])),
    Mutant("sentinels-in-text", "X04", (SENTINELS,), ((TOKENIZER, "SentencePieceTokenizer._parts", _finding(
        lambda self: {f"<extra_id_{n}>": len(self._model.pieces) + n for n in range(100)})),)),
    Mutant("ids-beyond-the-pieces-crash", "X12", (SENTINELS, "preprocessing.seq2seq.postprocess"),
           ((TOKENIZER, "SentencePieceTokenizer._decode", _bare(lambda ids, model: ids)),)),
    Mutant("ids-beyond-the-pieces-unknown", "X12", (SENTINELS,), ((TOKENIZER, "SentencePieceTokenizer._decode", _bare(
        lambda ids, model: [id if id < len(model.pieces) else model.unknown_id for id in ids])),)),
    Mutant("sentencepiece-bytes-one-by-one", "X11", (DETOKENIZE,), ((MODEL, "SentencePieceModel.decode", lambda right: lambda self, ids: "".join(
        (" " if n and self.pieces[id].startswith("\u2581") else "") + right(self, [id]) for n, id in enumerate(ids))),)),
    Mutant("first-space-stays", "X15", (DETOKENIZE,), ((MODEL, "SentencePieceModel.decode", result(lambda text: " " + text if text else text)),)),
    Mutant("unknown-piece-vanishes", "X15", (DETOKENIZE,), ((MODEL, "SentencePieceModel.decode", lambda right: lambda self, ids: right(self, [id for id in ids if id != self.unknown_id])),)),
    Mutant("control-pieces-shown", "X15", (DETOKENIZE,), ((MODEL, "SentencePieceModel.decode", lambda right: lambda self, ids: "".join(self.pieces[id] for id in ids).replace("\u2581", " ").strip()),)),
    Mutant("unknown-is-special", "X02", (SPECIALS, "preprocessing.seq2seq.postprocess"), (("refimpl.tokenizers.tokenizer", "Tokenizer.special_token_ids", lambda right: property(
        lambda self: [*right.fget(self), *([self._model.unknown_id] if hasattr(self, "_model") else [])])),)),
    Mutant("t5-special-ids-are-constants", "X02", (SPECIALS, FRAMES), ((TOKENIZER, "SentencePieceTokenizer.set_proto", _constants),)),
    Mutant("unknown-pieces-refused", "X02", ("tokenizers.sentence-piece.look-up",), ((TOKENIZER, "SentencePieceTokenizer.token_to_id", lambda right: lambda self, token: self._model.ids[token]),)),
    Mutant("t5-decoder-starts-with-end", "D04", (FRAMES,), ((PREPROCESSOR, "T5Seq2SeqLMPreprocessor.decoder_frame", lambda right: property(
        lambda self: ([self.tokenizer.start_token_id], right.fget(self)[1]))),)),
    Mutant("t5-encoder-with-start", "D04", (FRAMES,), ((PREPROCESSOR, "T5Seq2SeqLMPreprocessor.encoder_frame", lambda right: property(
        lambda self: ([self.tokenizer.pad_token_id], right.fget(self)[1]))),)),
    Mutant("t5-encoder-without-end", "D04", (FRAMES,), ((PREPROCESSOR, "T5Seq2SeqLMPreprocessor.encoder_frame", lambda right: property(lambda self: ([], []))),)),
    Mutant("t5-first-pad-is-padding", "D05", (FRAMES,), (("refimpl.preprocessing.seq_2_seq_lm_preprocessor", "Seq2SeqLMPreprocessor._pack", _masked_start),)),
]  # fmt: skip
