# ruff: noqa: E501  (tables read better unbroken)
"""The forward pass. The truth is Hugging Face's BART in float64 on the same weights."""

from typing import Any

from conformance.make.questions import ask, load, refused, step
from conformance.make.questions.batches import DROPOUT0, TINY, padded, poisoned, rows_of

STATES = {"numeric": ["encoder_sequence_output", "decoder_sequence_output"]}
LOGITS = {"numeric": ["logits"]}


def questions() -> list[dict[str, Any]]:
    """All questions of the chapter."""
    return passes() + masks() + nothing_to_attend() + refusals()


def probe(id: str, about: str, flags: str, preset: str, op: str, inputs: Any, by: str = "transformers") -> Any:
    """One numeric question."""
    expect = STATES if op == "states" else LOGITS
    return ask(id, about, flags, load(preset), step(op, expect, inputs=inputs), capability="probe", by=by)


def passes() -> list[dict[str, Any]]:
    """Every position of ragged batches."""
    one = rows_of(TINY, 0)
    first = one | {"encoder_token_ids": [[0]], "encoder_padding_mask": [[True]],
                   "decoder_token_ids": [[2]], "decoder_padding_mask": [[True]]}  # fmt: skip
    other = {"encoder_token_ids": [[0, 77, 2]], "encoder_padding_mask": [[True] * 3],
             "decoder_token_ids": [[2, 0, 31, 207, 5]], "decoder_padding_mask": [[True] * 5]}  # fmt: skip
    longest = {"encoder_token_ids": [[(i * 37) % 280 + 3 for i in range(19)]], "encoder_padding_mask": [[True] * 19],
               "decoder_token_ids": [[(i * 53) % 280 + 3 for i in range(19)]], "decoder_padding_mask": [[True] * 19]}  # fmt: skip
    flat = {"encoder_token_ids": [[0, 5, 9, 9]], "encoder_padding_mask": [[True] * 4],
            "decoder_token_ids": [[2, 0, 9, 9]], "decoder_padding_mask": [[True] * 4]}  # fmt: skip
    full = {"encoder_token_ids": [[(i * 41 + 7) % 280 + 3 for i in range(17)]], "encoder_padding_mask": [[True] * 17],
            "decoder_token_ids": [[(i * 59 + 5) % 280 + 3 for i in range(17)]], "decoder_padding_mask": [[True] * 17]}  # fmt: skip
    steep = [{"change": "scale-dataset", "file": "model.weights.h5", "factor": 64, "dataset": f"layers/{place}/vars/0"}
             for place in ("transformer_encoder/_self_attention_layer/query_dense",
                           "transformer_decoder/_self_attention_layer/key_dense",
                           "transformer_decoder_1/_cross_attention_layer/query_dense")]  # fmt: skip
    words = {"encoder_token_ids": [[0, 1, 286, 3, 2]], "encoder_padding_mask": [[True] * 5],
             "decoder_token_ids": [[2, 0, 286, 1, 0, 3]], "decoder_padding_mask": [[True] * 6]}  # fmt: skip
    return [
        probe("models.bart.position-limit#longest-two-layers", "Every row of the position tables, in two layers.",
              "Arithmetic Length", "bart_tiny", "states", full),
        probe("models.bart.embedding#first-and-last-word", "Ids 0, 1 and the last one are words like others, unmasked.",
              "Arithmetic", "bart_tiny", "logits", words),
        ask("models.attention.scale#steep", "Scores in the hundreds: the highest one is taken away before exponentials.",
            "Arithmetic", load("bart_tiny", None, steep), step("logits", LOGITS, inputs=TINY), capability="probe",
            by="transformers"),
        probe("models.logits#two-layers-ragged", "Three ragged rows, two layers, three heads.", "Arithmetic",
              "bart_tiny", "logits", TINY),
        probe("models.logits#one-layer-ragged", "Another width, another number of layers, dropout 0.", "Arithmetic",
              "bart_dropout0", "logits", DROPOUT0),
        probe("models.bart.encoder-layer#states", "Encoder states of every position, padding positions too.",
              "Arithmetic", "bart_tiny", "states", TINY),
        probe("models.bart.decoder-layer#states", "Decoder states of every position, one layer.", "Arithmetic",
              "bart_dropout0", "states", DROPOUT0),
        probe("models.bart.embedding#first-position", "One token on each side: position row 0, no offset, no scale.",
              "Arithmetic", "bart_tiny", "states", first),
        probe("models.bart.embedding#tables-of-both-sides", "Encoder and decoder have position tables of their own.",
              "Arithmetic", "bart_dropout0", "states", other),
        probe("models.bart.position-limit#longest", "Every row of the position tables is used.", "Arithmetic Length",
              "bart_dropout0", "logits", longest),
        probe("models.bart.layer-norm-epsilon#flat-two-layers", "A sum of embeddings whose variance is near the epsilon.",
              "Epsilon", "bart_dropout0", "states", flat),
        probe("models.bart.tied-head#no-scale-no-bias", "Logits, not only their order.", "Arithmetic", "bart_scripted",
              "logits", {"encoder_token_ids": [[3, 1, 5]], "encoder_padding_mask": [[True] * 3],
                         "decoder_token_ids": [[5, 3, 1, 10, 7]], "decoder_padding_mask": [[True] * 5]}),
        ask("models.backbone.count-params#tiny", "The number of parameters, tied tables counted once.", "Load",
            load("bart_tiny", {"exact": ["params"]})),
        ask("models.backbone.outputs#keys-and-shapes", "Encoder and decoder states by name.", "InputKind",
            load("bart_tiny"),
            step("states", {"shape": {"encoder_sequence_output": [3, 11, 12], "decoder_sequence_output": [3, 13, 12]}},
                 inputs=TINY), capability="probe", by="hand"),
    ]  # fmt: skip


def masks() -> list[dict[str, Any]]:
    """Padding is inert, whatever stands there."""
    mask = "models.attention.mask"
    holes = TINY | {"encoder_padding_mask": [[i != 4 for i in range(11)], *TINY["encoder_padding_mask"][1:]]}
    return [
        probe(f"{mask}#poisoned-encoder-padding", "Other tokens under the encoder's mask change nothing.", "Padding",
              "bart_tiny", "logits", rows_of(poisoned(TINY, "encoder", 77), 1, 2)),
        probe(f"{mask}#one-row-alone", "A row alone equals the row in its batch.", "Padding BatchMate", "bart_tiny",
              "logits", rows_of(TINY, 2)),
        probe(f"{mask}#more-padding", "Five more columns of padding, filled with words.", "Padding", "bart_dropout0",
              "states", padded(rows_of(DROPOUT0, 1), 5, 3, 88)),
        probe(f"{mask}#hole", "A hole in the middle of the encoder's mask hides that token.", "Padding", "bart_tiny",
              "logits", rows_of(holes, 0)),
        probe("models.attention.scale#three-heads", "Scores are divided by the root of the head's width.", "Arithmetic",
              "bart_dropout0", "states", rows_of(DROPOUT0, 0)),
    ]  # fmt: skip


def nothing_to_attend() -> list[dict[str, Any]]:
    """A row whose encoder mask is empty."""
    nothing = "models.attention.nothing-to-attend"
    found = []
    for preset, whole in (("bart_tiny", TINY), ("bart_dropout0", DROPOUT0)):
        width = len(whole["encoder_token_ids"][0])
        empty = whole | {"encoder_padding_mask": [[False] * width, *whole["encoder_padding_mask"][1:]]}
        slug = f"{nothing}#{preset.removeprefix('bart_').replace('tiny', 'dropout')}"
        about = (
            "A row without source attends to nothing: its cross-attention is the output bias. The others don't move."
        )
        found.append(probe(slug, about, "FullyMasked", preset, "logits", rows_of(empty, 0, 1), by="zeros"))
    whole = TINY | {"encoder_padding_mask": [[False] * 11, *TINY["encoder_padding_mask"][1:]]}
    whole = rows_of(whole | {"decoder_padding_mask": [[True] * 13] * 3}, 1, 0)
    found.append(
        ask(f"{nothing}#cached", "The same over the cache, the empty row after another one.", "FullyMasked Cache",
            load("bart_tiny"), step("cached_logits", LOGITS, inputs=whole, chunks=[4] + [1] * 9), capability="probe",
            by="zeros")
    )  # fmt: skip
    return found


def refusals() -> list[dict[str, Any]]:
    """Batches that can't be."""
    small = rows_of(DROPOUT0, 0)
    no_key = {key: value for key, value in small.items() if key != "decoder_padding_mask"}
    wide = {key: [row + row + row[:2] for row in value] for key, value in small.items()}
    high = small | {"decoder_token_ids": [[2, 0, 287, 4, 5, 6, 7, 8]]}
    low = small | {"encoder_token_ids": [[0, -1, 4, 5, 6, 7, 8, 9, 2]]}
    more = small | {
        "encoder_token_ids": small["encoder_token_ids"] * 2,
        "encoder_padding_mask": small["encoder_padding_mask"] * 2,
    }
    rows = [
        ("ids#beyond-the-vocabulary", "An id as high as the vocabulary is large.", high, ("value", "index", "runtime")),
        ("ids#negative", "A negative id.", low, ("value", "index", "runtime")),
        ("keys#missing", "A batch without one of its four arrays.", no_key, ("value", "key")),
        ("shapes#batch-sizes", "Two sources, one output.", more, ("value", "type", "index", "runtime")),
    ]
    found = [
        ask(f"models.inputs.{slug}", about + " It is refused.", "BadInput", load("bart_dropout0"),
            step("logits", refused(*kinds), inputs=inputs), capability="probe", by="hand")
        for slug, about, inputs, kinds in rows
    ]  # fmt: skip
    return [
        *found,
        ask("models.bart.position-limit#one-more", "One position more than the table has is refused.", "BadInput Length",
            load("bart_dropout0"), step("logits", refused("value", "type", "index", "runtime"), inputs=wide),
            capability="probe", by="hand"),
    ]  # fmt: skip
