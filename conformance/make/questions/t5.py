# ruff: noqa: E501  (tables read better unbroken)
"""T5: the forward pass, cached decoding and generation. The truth is Hugging Face's T5 in float64 on the same weights."""

from typing import Any

from conformance.make.questions import ask, load, step
from conformance.make.questions.batches import padded, poisoned, rows_of
from conformance.make.questions.covering import changes

SIZES = {"t5_tiny": 347, "t5_gated": 401}
STATES = {"numeric": ["encoder_sequence_output", "decoder_sequence_output"]}
LOGITS = {"numeric": ["logits"]}
FAINT = 9  # the token whose embedding is so small that the norm's epsilon matters


def batch(preset: str, rows: list[tuple[int, int]], source: int, spoken: int) -> dict[str, Any]:
    """Ids from a written sequence; `rows` gives the number of encoder and decoder tokens of each row. Padding is 0."""
    found: dict[str, Any] = {}
    for n, (side, width) in enumerate((("encoder", source), ("decoder", spoken))):
        used = [pair[n] for pair in rows]
        found[f"{side}_token_ids"] = [
            [(7919 * (i + 1) * (b + 2) + 31 * n + 101 * i * i) % (SIZES[preset] - 3) + 3 for i in range(count)]
            + [0] * (width - count)
            for b, count in enumerate(used)
        ]
        found[f"{side}_padding_mask"] = [[True] * count + [False] * (width - count) for count in used]
        for row in found[f"{side}_token_ids"]:
            row[2:3] = [FAINT if id else id for id in row[2:3]]
            row[0] = 0 if n else row[0]
    return found


TINY = batch("t5_tiny", [(11, 13), (6, 9), (3, 4)], 11, 13)
GATED = batch("t5_gated", [(9, 8), (4, 5), (7, 2)], 9, 8)


def questions() -> list[dict[str, Any]]:
    """All questions about T5."""
    return passes() + positions() + masks() + cached() + generated()


def probe(id: str, about: str, flags: str, preset: str, op: str, inputs: Any, by: str = "transformers") -> Any:
    """One numeric question."""
    expect = STATES if op == "states" else LOGITS
    return ask(id, about, flags, load(preset), step(op, expect, inputs=inputs), capability="probe", by=by)


def passes() -> list[dict[str, Any]]:
    """Every position of ragged batches, and parts of the arithmetic one by one."""
    one = {"encoder_token_ids": [[5]], "encoder_padding_mask": [[True]],
           "decoder_token_ids": [[0]], "decoder_padding_mask": [[True]]}  # fmt: skip
    faint = {"encoder_token_ids": [[FAINT] * 4], "encoder_padding_mask": [[True] * 4],
             "decoder_token_ids": [[FAINT] * 3], "decoder_padding_mask": [[True] * 3]}  # fmt: skip
    t5 = "models.t5"
    return [
        probe("models.logits#t5-two-layers-ragged", "Three ragged rows of T5 1.0: two layers, three heads of 5 in a width of 14.",
              "Arithmetic", "t5_tiny", "logits", TINY),
        probe("models.logits#t5-gated-ragged", "Three ragged rows of T5 1.1: gates, a head of its own, two heads of 7 in a width of 11.",
              "Arithmetic", "t5_gated", "logits", GATED),
        probe(f"{t5}.encoder-layer#states", "Encoder states of every position, two layers.", "Arithmetic", "t5_tiny",
              "states", rows_of(TINY, 0)),
        probe(f"{t5}.decoder-layer#states", "Decoder states of every position, one layer with gates.", "Arithmetic",
              "t5_gated", "states", rows_of(GATED, 0, 1)),
        probe(f"{t5}.embedding#one-token", "One token on each side: no position, no scale, no norm on the embedding.",
              "Arithmetic", "t5_tiny", "states", one),
        probe(f"{t5}.attention#width-of-heads", "Scores are not divided by the root of the head's width, 7 here.",
              "Arithmetic", "t5_gated", "states", rows_of(GATED, 2)),
        probe(f"{t5}.feed-forward#plain-relu", "One projection and relu.", "Arithmetic", "t5_tiny", "states",
              rows_of(TINY, 2)),
        probe(f"{t5}.feed-forward#gates-and-exact-gelu", "The exact gelu is on the first projection, the gate is linear.",
              "Arithmetic", "t5_gated", "states", rows_of(GATED, 1)),
        probe(f"{t5}.rms-norm#faint-two-layers", "A token whose mean square is near the epsilon of 1e-6.", "Epsilon", "t5_tiny",
              "states", faint),
        probe(f"{t5}.rms-norm#faint-other-epsilon", "The configuration's epsilon is 1e-5 here.", "Epsilon", "t5_gated",
              "states", faint),
        probe(f"{t5}.head#tied-is-scaled", "Logits, not only their order: times the root of 1/14.", "Arithmetic", "t5_tiny",
              "logits", rows_of(TINY, 1)),
        probe(f"{t5}.head#own-table-is-not", "A head with a table of its own is not scaled.", "Arithmetic", "t5_gated", "logits",
              rows_of(GATED, 0)),
        ask("models.backbone.count-params#t5-tied", "The table counts once.", "Load", load("t5_tiny", {"exact": ["params"]})),
        ask("models.backbone.count-params#t5-own-head", "Both tables count.", "Load", load("t5_gated", {"exact": ["params"]})),
    ]  # fmt: skip


def positions() -> list[dict[str, Any]]:
    """Relative positions, also beyond the maximal distance of 128."""
    buckets, bias = "models.t5.relative-buckets", "models.t5.position-bias"
    long_source, long_spoken = batch("t5_gated", [(150, 2)], 150, 2), batch("t5_gated", [(2, 150)], 2, 150)
    return [
        probe(f"{buckets}#encoder-beyond-128", "150 tokens of source: all 32 buckets, 16 on each side.", "Arithmetic Length",
              "t5_gated", "states", long_source),
        probe(f"{buckets}#decoder-beyond-128", "150 tokens of output: all 32 buckets look back.", "Arithmetic Length",
              "t5_gated", "states", long_spoken),
        probe(f"{buckets}#two-layers-encoder", "The same with two layers, 133 tokens.", "Arithmetic Length", "t5_tiny", "states",
              batch("t5_tiny", [(133, 2)], 133, 2)),
        probe(f"{bias}#all-layers", "The second layer adds the first one's bias.", "Arithmetic", "t5_tiny", "states",
              batch("t5_tiny", [(8, 7)], 8, 7)),
        probe(f"{bias}#none-from-the-source", "Attention to a long source from two positions: no bias there.", "Arithmetic",
              "t5_tiny", "states", batch("t5_tiny", [(40, 2)], 40, 2)),
    ]  # fmt: skip


def masks() -> list[dict[str, Any]]:
    """Padding is inert, and a row without any source."""
    mask, nothing = "models.attention.mask", "models.attention.nothing-to-attend"
    empty = GATED | {"encoder_padding_mask": [[False] * 9, *GATED["encoder_padding_mask"][1:]]}
    return [
        probe(f"{mask}#t5-poisoned-encoder-padding", "Other tokens under the encoder's mask change nothing.", "Padding",
              "t5_tiny", "logits", rows_of(poisoned(TINY, "encoder", 77), 1, 2)),
        probe(f"{mask}#t5-more-padding", "Five more columns of padding, filled with words.", "Padding", "t5_gated", "states",
              padded(rows_of(GATED, 1), 5, 3, 88)),
        probe(f"{nothing}#t5", "A row without source attends to nothing: its cross-attention adds zeros. The others don't move.",
              "FullyMasked", "t5_gated", "logits", rows_of(empty, 0, 1), by="zeros"),
    ]  # fmt: skip


def cached() -> list[dict[str, Any]]:
    """Cached steps: the bias is for the query's place in the whole sequence. Rows are full."""
    cache = "decoding.cache.equals-uncached"
    narrow = changes("t5", {"vocabulary_size": 13})
    long = {key: [[int(id) % 13 if key.endswith("ids") else id for id in row] for row in rows]
            for key, rows in batch("t5_gated", [(3, 133)], 3, 133).items()}  # fmt: skip
    rows: list[tuple[str, str, str, Any, list[int]]] = [
        ("t5-one-by-one", "One token a step, two layers.", "t5_tiny", batch("t5_tiny", [(11, 13), (6, 13)], 11, 13), [1] * 13),
        ("t5-prompt-then-chunks", "A prompt, then several tokens at once.", "t5_gated",
         batch("t5_gated", [(9, 8), (4, 8)], 9, 8), [3, 4, 1]),
        ("t5-beyond-128", "A prompt of 126 tokens, then one a step over the maximal distance; a table of 13 tokens.", "t5_gated",
         long, [126] + [1] * 7),
    ]  # fmt: skip
    return [
        ask(f"{cache}#{slug}", about, "Cache", load(preset, damage=narrow if inputs is long else None), step("cached_logits", LOGITS, inputs=inputs, chunks=chunks),
            capability="probe", by="transformers")
        for slug, about, preset, inputs, chunks in rows
    ]  # fmt: skip


def generated() -> list[dict[str, Any]]:
    """Greedy tokens, each of them certain by the truth."""
    tiny = batch("t5_tiny", [(11, 1), (6, 3), (3, 2)], 11, 13)
    gated = batch("t5_gated", [(9, 1), (4, 1)], 9, 8)
    rows = [("t5-three-rows", "t5_tiny", tiny), ("t5-gated", "t5_gated", gated)]
    return [
        ask(f"generate.greedy.argmax#{slug}", "Greedy tokens of ragged prompts, from the token dictionary.", "Arithmetic Cache",
            load(preset, preprocessor=None), step("generate", {"generation": None}, inputs=inputs, stop_token_ids=None))
        for slug, preset, inputs in rows
    ]  # fmt: skip
