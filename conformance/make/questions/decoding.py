# ruff: noqa: E501  (tables read better unbroken)
"""Decoding over the cache must give what the whole pass gives, at every step. The truth has no cache."""

from typing import Any

from conformance.make.questions import ask, load, step
from conformance.make.questions.batches import DROPOUT0, batch, rows_of

SCORES = {"numeric": ["logits"]}


def questions() -> list[dict[str, Any]]:
    """All questions of the chapter. The decoder's own padding is not masked in cached steps, so rows are full."""
    tiny = batch("bart_tiny", [(11, 13), (6, 13), (3, 13)], 11, 13)
    small = batch("bart_dropout0", [(9, 8), (4, 8)], 9, 8)
    cases = [
        ("one-by-one", "One token a step, ragged sources.", "bart_dropout0", small, [1] * 8),
        ("two-layers-one-by-one", "One token a step, two layers.", "bart_tiny", rows_of(tiny, 0, 1), [1] * 13),
        ("prompt-then-steps", "A prompt of five tokens, then one a step.", "bart_tiny", rows_of(tiny, 0, 2), [5] + [1] * 8),
        ("chunks", "Chunks of several tokens after the prompt: the causal mask starts at the cache's index.",
         "bart_dropout0", small, [3, 4, 1]),
        ("all-at-once", "The whole sequence as one chunk.", "bart_dropout0", small, [8]),
        ("short-source", "A source of three tokens beside padding, several decoder tokens at once.", "bart_tiny",
         rows_of(tiny, 2), [4, 4, 5]),
        ("all-positions", "Up to the last row of the position table, one by one.", "bart_tiny",
         batch("bart_tiny", [(17, 17), (5, 17)], 17, 17), [1] * 17),
        ("chunk-after-chunk", "Chunks of three and more tokens after others, ragged sources of three rows.", "bart_tiny",
         tiny, [2, 5, 3, 3]),
    ]  # fmt: skip
    found = [
        ask(f"decoding.cache.equals-uncached#{slug}", about, "Cache", load(preset),
            step("cached_logits", SCORES, inputs=inputs, chunks=chunks), capability="probe", by="transformers")
        for slug, about, preset, inputs, chunks in cases
    ]  # fmt: skip
    twice = rows_of(DROPOUT0, 0)
    ask_small = {"inputs": twice, "chunks": [1] * 8}
    found.append(
        ask("decoding.cache.no-state-between-calls#a-b-a", "A batch gives the same bits after another one has run.",
            "Cache SideEffect", load("bart_dropout0"), step("cached_logits", None, **ask_small),
            step("cached_logits", None, inputs=rows_of(small, 1, 0), chunks=[3, 5]),
            step("cached_logits", {"same_as": {"step": 1, "keys": ["logits"]}}, **ask_small),
            capability="probe", by="hand")
    )  # fmt: skip
    other = {key: [row[::-1] if key == "encoder_token_ids" else row for row in value] for key, value in small.items()}
    third = small | {"decoder_token_ids": [[2, 0, *row[:1:-1]] for row in small["decoder_token_ids"]]}
    found.append(
        ask("decoding.cache.no-state-between-calls#equal-shapes",
            "Another source, then other prompts, in batches of one shape: nothing of the call before is used.",
            "Cache SideEffect", load("bart_dropout0"),
            *(step("cached_logits", SCORES, inputs=inputs, chunks=[2] + [1] * 6) for inputs in (small, other, third)),
            capability="probe", by="transformers")
    )  # fmt: skip
    return found
