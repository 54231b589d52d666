"""Truths and floors of the tensors inside a model, in the whole pass and of each block alone."""

from typing import Any

import numpy as np

from conformance.make.truth import truth_and_floor


def trace_rule(replies: dict[str, dict[str, Any]], truth: dict[str, np.ndarray], case: str, store: Any) -> Any:
    """The expectation of one `trace` step: the truth's order, and for each tensor its truth and floors.

    `truth` are the tensors of the whole pass: those of the forced pass are the same.
    """
    rules = {}
    for name, array in truth.items():
        honest = {who: reply for who, reply in replies.items() if who == "truth" or name in reply.get("result", {})}
        honest["truth"] = {"result": {name: array}}
        _, floor, floor_99, _ = truth_and_floor(honest, name, case)
        rules[name] = {"truth": store(array, f"{case}/{name}"), "floor": floor, "floor_99": floor_99}
    return {"order": list(truth), "tensors": rules}
