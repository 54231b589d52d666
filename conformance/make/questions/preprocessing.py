# ruff: noqa: E501  (tables read better unbroken)
"""Texts to packed ids, masks and labels."""

from typing import Any

from conformance.make.questions import ask, load, refused, step

SHORT = {"encoder_sequence_length": 6, "decoder_sequence_length": 5}
LONG = "the re in an a the ing 12 12 the the in an a b c d"
ENCODER = ["encoder_token_ids", "encoder_padding_mask"]
DECODER = ["decoder_token_ids", "decoder_padding_mask"]
TRAIN = [*ENCODER, *DECODER, "labels", "weights"]


def questions() -> list[dict[str, Any]]:
    """All questions of the chapter."""
    return training() + generating() + after_generating() + refusals()


def training() -> list[dict[str, Any]]:
    """What `fit` is fed."""
    both = "preprocessing.bart.frames#train"
    rows: list[tuple[str, str, str, Any, dict[str, int]]] = [
        (both, "Frames of both sides, and labels moved by one.", "Packing Shift",
         {"encoder_text": [" the in", " the"], "decoder_text": [" the", " the ining"]}, {}),
        ("preprocessing.seq2seq.shift#exact-fit", "A text that fills the decoder: the label still ends with </s>.",
         "Shift Truncation", {"encoder_text": ["abcd", "abc"], "decoder_text": ["abc", "ab"]}, {}),
        ("preprocessing.packer.truncation#train", "Texts too long lose their end, never start or end token.",
         "Truncation", {"encoder_text": [LONG], "decoder_text": [LONG]}, {}),
        ("preprocessing.packer.truncation#some-rows", "Of three rows one is cut, one fits exactly, one is padded.",
         "Truncation Shift", {"encoder_text": [LONG, "abcd", "a"], "decoder_text": ["abc", LONG, ""]}, {}),
        ("preprocessing.packer.truncation#special-token-at-the-cut", "Special tokens in the text are cut like others.",
         "Truncation SpecialToken", {"encoder_text": ["abc</s></s>d"], "decoder_text": ["a</s><s>bcd"]}, {}),
        ("preprocessing.packer.mask#empty-texts", "Empty texts: only start and end tokens are tokens.", "Packing",
         {"encoder_text": ["", "a"], "decoder_text": ["", "a"]}, {}),
        ("preprocessing.packer.mask#pad-token-in-text", "A <pad> written in a text is a token, not padding.",
         "Packing SpecialToken", {"encoder_text": ["a<pad>b"], "decoder_text": ["<pad>"]}, {}),
        ("preprocessing.seq2seq.shift#lengths-in-the-call", "Lengths given in the call win.", "Length Shift",
         {"encoder_text": ["the"], "decoder_text": ["the in"]},
         {"encoder_sequence_length": 4, "decoder_sequence_length": 7}),
    ]  # fmt: skip
    found = [
        ask(id, about, flags, load("bart_tiny", **SHORT), step("preprocess", {"exact": TRAIN}, x=x, **lengths))
        for id, about, flags, x, lengths in rows
    ]
    one = {"encoder_text": "the", "decoder_text": " the in"}
    found.append(
        ask("preprocessing.seq2seq.shift#single-text", "A single text gives arrays without the batch axis.",
            "InputKind", load("bart_tiny", **SHORT), step("preprocess", {"exact": TRAIN}, x=one))
    )  # fmt: skip
    return found


def generating() -> list[dict[str, Any]]:
    """What `generate` is fed."""
    prompts = {"encoder_text": [" the in", " the"], "decoder_text": [" the", " the in 12 the"]}
    rows: list[tuple[str, str, str, Any, dict[str, int]]] = [
        ("preprocessing.seq2seq.prompt#no-prompt", "Without prompt: </s> <s>, and no end token.", "Packing",
         [" the in", " the"], {}),
        ("preprocessing.seq2seq.prompt#ragged", "Prompts of different lengths; the long one is cut to fit.",
         "Packing Truncation", prompts, {}),
        ("preprocessing.seq2seq.prompt#max-length", "sequence_length is the decoder's width.", "Length",
         {"encoder_text": ["the"], "decoder_text": [" the"]}, {"sequence_length": 3}),
        ("preprocessing.seq2seq.prompt#max-length-zero", "0 means the default.", "Length", ["the"],
         {"sequence_length": 0}),
        ("preprocessing.bart.frames#scripted-vocabulary", "Frame ids come from the vocabulary: </s> is 5, <s> is 3.",
         "Packing Vocabulary", {"encoder_text": ["ab", "q"], "decoder_text": ["a", "bcd"]}, {}),
    ]  # fmt: skip
    return [
        ask(id, about, flags, load("bart_scripted" if "scripted" in id else "bart_tiny", **SHORT),
            step("generate_preprocess", {"exact": [*ENCODER, *DECODER]}, x=x, **lengths))
        for id, about, flags, x, lengths in rows
    ] + [
        ask("preprocessing.packer.truncation#shorter-than-the-frame",
            "With sequence_length 1 there is one column, however long the frame and the prompt are.", "Truncation Length",
            load("bart_tiny", **SHORT),
            step("generate_preprocess", {"exact": {"decoder_token_ids": [[2]], "decoder_padding_mask": [[True]]}},
                 x={"encoder_text": ["a"], "decoder_text": [" the in"]}, sequence_length=1), by="hand"),
    ]  # fmt: skip


def after_generating() -> list[dict[str, Any]]:
    """Ids back to texts."""
    post = "preprocessing.seq2seq.postprocess"
    ids = [[2, 0, 259, 74, 2, 259], [2, 0, 72, 0, 1, 73]]
    mask = [[True] * 5 + [False], [True] * 6]
    return [
        ask(f"{post}#special-tokens-and-mask", "What the mask hides and all special tokens are left out.",
            "Packing SpecialToken", load("bart_tiny", **SHORT),
            step("generate_postprocess", {"exact": ["text"]}, decoder_token_ids=ids, decoder_padding_mask=mask)),
        ask(f"{post}#one-row", "A single row gives a single text.", "InputKind", load("bart_tiny", **SHORT),
            step("generate_postprocess", {"exact": ["text"]}, decoder_token_ids=ids[1], decoder_padding_mask=mask[1])),
    ]  # fmt: skip


def refusals() -> list[dict[str, Any]]:
    """Inputs that can't be."""
    both = {"encoder_text": ["a", "b"], "decoder_text": ["a"]}
    return [
        ask("preprocessing.input.keys#no-decoder-text", "Training needs the output sequence.", "BadInput",
            load("bart_tiny", **SHORT),
            step("preprocess", refused("value", "key", mentions=("decoder_text",)), x={"encoder_text": ["a"]}),
            by="hand"),
        ask("preprocessing.input.keys#no-encoder-text", "The input sequence is required.", "BadInput",
            load("bart_tiny", **SHORT),
            step("generate_preprocess", refused("value", "key", mentions=("encoder_text",)), x={"decoder_text": ["a"]}),
            by="hand"),
        ask("preprocessing.input.batch-sizes#two-and-one", "As many outputs as inputs.", "BadInput",
            load("bart_tiny", **SHORT), step("generate", refused("value", "type", "index", "runtime"), inputs=both), by="hand"),
        ask("preprocessing.input.batch-sizes#none", "An empty batch is refused, not answered.", "BadInput",
            load("bart_tiny", **SHORT), step("generate", refused("value"), inputs=[]), by="hand"),
    ]  # fmt: skip
