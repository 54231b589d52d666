"""The tensors inside the model, so that a difference can be followed to the block where it arises."""

from typing import Any

from conformance.make.questions import ask, load, moonshine, step, t5, t5gemma
from conformance.make.questions.batches import DROPOUT0, TINY, batch, rows_of


def questions() -> list[dict[str, Any]]:
    """Whole passes, and the same with every block fed with the truth's input."""
    full = batch("bart_dropout0", [(9, 8), (4, 8)], 9, 8)
    flat = {"encoder_token_ids": [[0, 5, 9, 9]], "encoder_padding_mask": [[True] * 4],
            "decoder_token_ids": [[2, 0, 9, 9]], "decoder_padding_mask": [[True] * 4]}  # fmt: skip
    empty = DROPOUT0 | {"encoder_padding_mask": [[False] * 9, *DROPOUT0["encoder_padding_mask"][1:]]}
    rows = [
        ("two-layers", "Two layers, ragged rows.", "bart_tiny", rows_of(TINY, 0, 2)),
        ("one-layer", "One layer, full rows: also the truth of decoding over the cache.", "bart_dropout0", full),
        ("flat", "A sum of embeddings whose variance is near the epsilon.", "bart_dropout0", flat),
        ("nothing-to-attend", "A row without source.", "bart_dropout0", rows_of(empty, 0, 1)),
        ("t5-two-layers", "T5 1.0 with two layers, ragged rows.", "t5_tiny",
         t5.batch("t5_tiny", [(7, 5), (4, 3)], 7, 5)),
        ("t5-one-layer", "T5 1.1 with one layer, a full row: also the truth of decoding over the cache.", "t5_gated",
         t5.batch("t5_gated", [(9, 8)], 9, 8)),
        ("t5-beyond-128", "T5 1.1 with 131 tokens of source: all 32 buckets.", "t5_gated",
         t5.batch("t5_gated", [(131, 2)], 131, 2)),
        ("t5-nothing-to-attend", "A row of T5 without source.", "t5_gated",
         t5.batch("t5_gated", [(4, 3), (4, 3)], 4, 3) | {"encoder_padding_mask": [[False] * 4, [True] * 4]}),
        ("t5gemma-two-layers", "T5Gemma with two layers: norms before and behind each part.", "t5gemma_tiny",
         t5gemma.batch([(7, 5), (4, 5)], 7, 5)),
        ("moonshine", "Moonshine: the stem's blocks, one layer and two.", "moonshine_tiny",
         moonshine.batch([1400, 895], [3, 2])),
    ]  # fmt: skip
    return [
        ask(f"models.trace.blocks#{slug}", about, "Trace", load(preset), step("trace", {"trace": None}, inputs=inputs),
            step("trace", {"trace": None}, inputs=inputs, forced="truth"), capability="trace", by="transformers")
        for slug, about, preset, inputs in rows
    ]  # fmt: skip
