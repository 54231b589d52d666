# ruff: noqa: E501  (tables read better unbroken)
"""A row's result depends on the row alone, to the last bit. The capability `exact-rows` is for who promises that."""

from typing import Any

from conformance.make.questions import ask, load, step
from conformance.make.questions.batches import TINY, padded, poisoned, rows_of


def questions() -> list[dict[str, Any]]:
    """All questions of the chapter."""
    rows = "invariance.rows"
    same = {"step": 1, "keys": ["logits"]}

    def pair(
        slug: str, about: str, flags: str, inputs: Any, rule: dict[str, Any], capability: str = "exact-rows"
    ) -> Any:
        """The same model asked twice; the second answer must be (a part of) the first."""
        return ask(slug, about, flags, load("bart_tiny"), step("logits", None, inputs=TINY),
                   step("logits", {"same_as": same | rule}, inputs=inputs), capability=capability, by="hand")  # fmt: skip

    cached = {"inputs": TINY, "chunks": [4] + [1] * 9}
    return [
        pair(f"{rows}#alone", "A row alone has the bits that it has in its batch.", "Exact BatchMate",
             rows_of(TINY, 2), {"rows": [2]}),
        pair(f"{rows}#order", "The order of the rows changes no bit.", "Exact BatchMate", rows_of(TINY, 2, 0, 1),
             {"rows": [2, 0, 1]}),
        pair(f"{rows}#copies", "The same row twice in a batch has the same bits twice.", "Exact BatchMate",
             rows_of(TINY, 1, 1, 0, 1), {"rows": [1, 1, 0, 1]}),
        pair(f"{rows}#poison", "What stands under the encoder's mask changes no bit.", "Exact Padding",
             poisoned(TINY, "encoder", 99), {}),
        ask(f"{rows}#more-padding", "More padding on both sides changes no bit.", "Exact Padding", load("bart_tiny"),
            step("logits", None, inputs=padded(TINY, 5, 4, 1)),
            step("logits", {"same_as": same | {"columns": 13}}, inputs=TINY), capability="exact-rows", by="hand"),
        ask(f"{rows}#cached", "Cached decoding of a row alone has the bits that it has in its batch.", "Exact Cache",
            load("bart_tiny"), step("cached_logits", None, **cached),
            step("cached_logits", {"same_as": same | {"rows": [1]}}, inputs=rows_of(TINY, 1), chunks=cached["chunks"]),
            capability="exact-rows", by="hand"),
        pair("invariance.calls#twice", "The same call gives the same bits: no dropout, no state.", "SideEffect", TINY, {},
             "probe"),
    ]  # fmt: skip
