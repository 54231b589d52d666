# ruff: noqa: E501  (tables read better unbroken)
"""SentencePiece and T5: text to ids and back, and what T5 puts around them. The producer is KerasHub."""

from typing import Any

from conformance.make.questions import ask, load, refused, step
from conformance.make.questions.preprocessing import DECODER, ENCODER, TRAIN

UNIGRAM, BPE = "t5_tiny", "t5_gated"
RULES, CONTROL = "tokenizers.sentence-piece.model-rules", "tokenizers.sentence-piece.control-pieces"
SHORT = {"encoder_sequence_length": 6, "decoder_sequence_length": 5}
MODEL = "assets/tokenizer/vocabulary.spm"

TEXTS = [
    (RULES, "unigram", UNIGRAM, "Segment", "the Licensor shall include any Contribution of the Works"),
    (RULES, "unigram-is-not-greedy", UNIGRAM, "Segment", "thereofthe includingany workship reproduction"),
    (RULES, "spaces", UNIGRAM, "Whitespace", "  the   Work\tof\nany \u3000 You\u00a0 "),
    (RULES, "only-spaces", UNIGRAM, "Whitespace", " \t\n \u3000"),
    (RULES, "empty", UNIGRAM, "Whitespace", ""),
    (RULES, "lower-one-eighth-block", UNIGRAM, "Whitespace", "the\u2581Work \u2581\u2581of\u2581"),
    (RULES, "compatibility", UNIGRAM, "Normalize", "\ufb01le \uff37\uff4f\uff52\uff4b \u2460 \u00bd \u338f \u2026 \ufdfa"),
    (RULES, "composed-and-not", UNIGRAM, "Normalize", "caf\u00e9 cafe\u0301 \u1e9b\u0323 q\u0307\u0323 \u1100\u1161 \u0958 \u212b"),
    (RULES, "invisible", UNIGRAM, "Normalize", "a\u200bb a\u200db a\u00adb \ufeffthe a\u0000b a\u007fb \u2028of"),
    (RULES, "tilde-and-dashes", UNIGRAM, "Normalize", "\uff5e \u301c ~ \uff0d \u2212 \u2013 \u2014"),
    (RULES, "unknown-runs-are-one", UNIGRAM, "Unknown", "\u65e5\u672c\u8a9e the \U0001f600\U0001f600 \u65e5 \u672c of \U0001f600x\u8a9e"),
    (RULES, "combining-marks", UNIGRAM, "Normalize Unknown", "x\u0301\u0302\u0303 \u0e01\u0e47\u0e48 \U0001f469\u200d\U0001f467"),
    (RULES, "bpe", BPE, "Segment", "the Licensor shall include any Contribution of the Works"),
    (RULES, "bpe-order", BPE, "Segment", "tion ation tionic intention thet orer orork tttt nnnn"),
    (RULES, "digits-alone", BPE, "Segment", "12 2004 a1b2"),
    (RULES, "bytes", BPE, "Unknown", "na\u00efve \u65e5\u672c \U0001f600 the\tWork\n \u00e9e\u0301"),
    (RULES, "byte-pieces-in-text-are-text", BPE, "Unknown", "<0x41> <0x0A>"),
    (RULES, "not-normalized", BPE, "Normalize", "\ufb01le \uff37 \u2460 e\u0301"),
    (RULES, "long", BPE, "Segment", "thetheinthe" * 40),
    (CONTROL, "end-in-the-text", UNIGRAM, "SpecialToken", "the</s> Work </s>of </s>"),
    (CONTROL, "pad-and-unknown", UNIGRAM, "SpecialToken", "<pad> the <unk> of<pad>"),
    (CONTROL, "begin-in-the-text", BPE, "SpecialToken", "<s> the </s><pad>"),
    (CONTROL, "pieces-of-the-user", UNIGRAM, "SpecialToken", "the [MASK] of<b>any <b> [MASK][MASK] [mask]"),
    ("tokenizers.t5.sentinels", "in-the-text", UNIGRAM, "SpecialToken", "the <extra_id_0> of<extra_id_99>"),
]  # fmt: skip

ROWS: list[tuple[str, str, str, Any, Any]] = [
    ("sentence-piece.detokenize#words", "The space before the first word goes, the others stay.", UNIGRAM, [7, 27, 9, 5, 8], None),
    ("sentence-piece.detokenize#control-pieces", "Control pieces vanish.", UNIGRAM, [0, 7, 1, 27, 1, 0], None),
    ("sentence-piece.detokenize#unknown", "The unknown piece shows itself.", UNIGRAM, [7, 2, 2, 12, 2, 27], None),
    ("sentence-piece.detokenize#pieces-of-the-user", "Pieces of the user stand as they are.", UNIGRAM, [3, 7, 4, 27, 3, 12], None),
    ("sentence-piece.detokenize#rows", "Two rows give two texts.", UNIGRAM, [[7, 27], []], None),
    ("sentence-piece.detokenize#bytes", "Bytes are joined to characters, also across pieces of a word.", BPE, [268, 301, 244, 163, 156, 132, 396], None),
    ("sentence-piece.detokenize#bytes-cut", "Bytes that are no UTF-8 become U+FFFD.", BPE, [268, 244, 163, 156, 341, 132, 388], None),
    ("sentence-piece.detokenize#frame-of-this-model", "Which pieces are control pieces is in the model.", BPE, [2, 3, 268, 0, 4, 1], None),
    ("t5.sentinels#beyond-the-pieces", "T5's table has rows that no piece names; such an id gives no text.", UNIGRAM, [7, 331, 27, 346, 32127], "the Work"),
    ("t5.sentinels#alone", "An id beyond the pieces alone gives the empty text.", UNIGRAM, [[340], [7]], ["", "the"]),
]  # fmt: skip


def questions() -> list[dict[str, Any]]:
    """All questions about SentencePiece and T5's text."""
    found = [
        ask(f"{clause}#{slug}", f"Tokenize {text[:40]!r}.", flags, tokenizer(preset), step("tokenize", {"exact": ["ids"]}, text=text))
        for clause, slug, preset, flags, text in TEXTS
    ]  # fmt: skip
    found += [
        ask(f"tokenizers.{id}", about, "Detokenize", tokenizer(preset),
            step("detokenize", {"exact": ["text"] if text is None else {"text": text}}, ids=ids),
            by="keras_hub" if text is None else "hand")
        for id, about, preset, ids, text in ROWS
    ]  # fmt: skip
    return found + vocabularies() + framing() + generating()


def tokenizer(preset: str, expect: Any = None, damage: Any = None) -> dict[str, Any]:
    """The tokenizer of a preset alone."""
    return load(preset, expect, damage, **{"class": "T5Tokenizer"})


def vocabularies() -> list[dict[str, Any]]:
    """Ids by the model's pieces."""
    shown = {"size": 397, "special_token_ids": [2, 4], "ids": [4, 268, 0], "tokens": ["<pad>", "\u2581the", "<0x0A>"]}
    return [
        ask("tokenizers.t5.special-tokens#ids-are-the-models", "Special ids are what the model says: 2 and 4, not 0 and 1.",
            "Vocabulary", tokenizer(BPE),
            step("vocabulary", {"exact": shown}, tokens=["</s>", "\u2581the", "zzz"], ids=[2, 268, 14]), by="hand"),
        ask("tokenizers.sentence-piece.look-up#unknown-token", "What is no piece has the id of the unknown piece.",
            "Vocabulary", tokenizer(UNIGRAM),
            step("vocabulary", {"exact": ["ids"]}, tokens=["zzzz", "", "the", "\u2581the", "<extra_id_0>"])),
        ask("tokenizers.sentence-piece.look-up#id-beyond-the-pieces", "An id without a piece has no token.", "BadInput",
            tokenizer(UNIGRAM), step("vocabulary", refused("value", "key", "index", mentions=("331",)), ids=[331]), by="hand"),
        ask("tokenizers.sentence-piece.model-rules#no-model", "A file that is no model is refused.", "BadInput Load",
            tokenizer(UNIGRAM, refused("value", "os", "runtime"), [{"change": "write", "file": MODEL, "text": "no model"}]),
            by="hand"),
        ask("tokenizers.sentence-piece.detokenize#negative", "A negative id is refused.", "BadInput",
            tokenizer(UNIGRAM), step("detokenize", refused("value", "index", "overflow"), ids=[7, -1]), by="hand"),
    ]  # fmt: skip


def framing() -> list[dict[str, Any]]:
    """What `fit` is fed."""
    frames = "preprocessing.t5.frames"
    long = "the Work of any You the Work of any You"
    pairs: list[tuple[str, str, str, str, Any]] = [
        ("train", "No start token in the encoder; the decoder starts from <pad>, which is a token there.", "Packing Shift", UNIGRAM,
         {"encoder_text": ["the Work", "of"], "decoder_text": ["of any", "the Work of"]}),
        ("ids-are-the-models", "The decoder starts from the model's own <pad>, here 2.", "Packing Vocabulary", BPE,
         {"encoder_text": ["the Work", "of"], "decoder_text": ["of any", "the Work of"]}),
        ("too-long", "A text that is too long keeps its end token.", "Truncation", UNIGRAM,
         {"encoder_text": [long, "the"], "decoder_text": [long, "the"]}),
        ("empty-texts", "Empty texts: the encoder has an end, the decoder a start and an end.", "Packing", UNIGRAM,
         {"encoder_text": ["", "the"], "decoder_text": ["", "the"]}),
        ("exact-fit", "A text that fills the decoder: the label still ends with </s>.", "Shift Truncation", UNIGRAM,
         {"encoder_text": ["the Work of any You", "of"], "decoder_text": ["the Work of any", "the Work of any You"]}),
    ]  # fmt: skip
    return [
        ask(f"{frames}#{slug}", about, flags, load(preset, **SHORT), step("preprocess", {"exact": TRAIN}, x=x))
        for slug, about, flags, preset, x in pairs
    ]


def generating() -> list[dict[str, Any]]:
    """What `generate` is fed, and what it gives."""
    frames, post = "preprocessing.t5.frames", "preprocessing.seq2seq.postprocess"
    rows: list[tuple[str, str, str, Any]] = [
        ("no-prompt", "Without prompt: one <pad>, which is a token, and no end.", UNIGRAM, ["the Work", "of"]),
        ("prompts", "Prompts of different lengths.", UNIGRAM,
         {"encoder_text": ["the", "Work of"], "decoder_text": ["the", "of any Work"]}),
        ("no-prompt-of-this-model", "The start is the model's own <pad>.", BPE, ["the Work"]),
    ]  # fmt: skip
    found = [
        ask(f"{frames}#{slug}", about, "Packing", load(preset, **SHORT),
            step("generate_preprocess", {"exact": [*ENCODER, *DECODER]}, x=x))
        for slug, about, preset, x in rows
    ]  # fmt: skip
    ids = [[0, 7, 2, 27, 1, 9], [0, 3, 0, 7, 1, 1]]
    mask = [[True] * 5 + [False], [True] * 6]
    return [
        *found,
        ask(f"{post}#t5", "Ends and padding are left out, unknown pieces are shown.", "Packing SpecialToken",
            load(UNIGRAM, **SHORT), step("generate_postprocess", {"exact": ["text"]}, decoder_token_ids=ids, decoder_padding_mask=mask)),
        ask(f"{post}#t5-ids-beyond-the-pieces", "A model may say an id that no piece names: it gives no text, and no error.",
            "Detokenize", load(UNIGRAM, **SHORT),
            step("generate_postprocess", {"exact": {"text": ["the Work"]}}, decoder_token_ids=[[0, 7, 340, 27, 1]],
                 decoder_padding_mask=[[True] * 5]), by="hand"),
    ]  # fmt: skip
