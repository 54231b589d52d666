"""Cases that are in the goldens already: `make` asks the producers only what is new or was changed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from conformance.suite.messages import encode

PRODUCERS = {"hand": "by hand", "tokenizers": "tokenizers", "keras_hub": "keras_hub", "jax": "keras_hub"}


def kept_cases(folder: Path, questions: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Case id -> case, for the questions that are in the folder as they are asked now."""
    cases = {}
    for path in sorted(folder.glob("*/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        cases |= {case["id"]: case for case in content.get("cases", []) if isinstance(content, dict)}
    return {q["id"]: cases[q["id"]] for q in questions if q["id"] in cases and unchanged(q, cases[q["id"]])}


def unchanged(question: dict[str, Any], case: dict[str, Any]) -> bool:
    """Whether a case is this question with its answer."""
    same = all(question[key] == case[key] for key in ("about", "flags", "capability"))
    if not same or PRODUCERS.get(question["by"], "transformers") != case["provenance"]["producer"]:
        return False
    pairs = list(zip(question["steps"], case["steps"], strict=False))
    return len(question["steps"]) == len(case["steps"]) and all(_same_step(*pair) for pair in pairs)


def _same_step(asked: dict[str, Any], kept: dict[str, Any]) -> bool:
    """What is sent is equal, and what is expected is of the same kinds and keys."""
    sent = [{"args": {}, "damage": None, **step, "expect": None} for step in (asked, kept)]
    if json.dumps(encode(sent[0]), sort_keys=True) != json.dumps(sent[1], sort_keys=True):
        return False
    open_, filled = asked.get("expect"), kept.get("expect")
    if open_ is None or filled is None or set(open_) != set(filled):
        return open_ is None and filled is None
    return all(_same_rule(open_[kind], filled[kind]) and _whole(kind, filled[kind]) for kind in open_)


def _whole(kind: str, kept: Any) -> bool:
    """Whether the figures of all profiles are there."""
    if kind == "numeric":
        return all({"floor_99", "profiles"} <= set(rule) for rule in kept.values())
    return kind != "generation" or "profiles" in kept


def _same_rule(asked: Any, kept: Any) -> bool:
    """A list of keys is answered by a dictionary with these keys, None by anything; the rest stands as it was asked."""
    if asked is None:
        return True
    if isinstance(asked, list) and isinstance(kept, dict):
        return sorted(asked) == sorted(kept)
    return json.dumps(encode(asked), sort_keys=True) == json.dumps(kept, sort_keys=True)


def arrays_of(case: dict[str, Any], file: Path) -> dict[str, np.ndarray]:
    """The arrays that a case names in the file beside it."""
    wanted = [step.get("expect", {}) for step in case["steps"]]
    rules = [rule for expect in wanted for rule in expect.get("numeric", {}).values()]
    rules += [rule for expect in wanted for rule in expect.get("trace", {}).get("tensors", {}).values()]
    stored = load_file(file.with_suffix(".safetensors")) if rules else {}
    return {rule["truth"]: stored[rule["truth"]] for rule in rules}
