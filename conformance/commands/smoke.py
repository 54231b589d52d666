"""Tells a broken adapter from a broken library, by questions that no library can get wrong."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance.suite.cases import CAPABILITIES, GOLDEN, Case
from conformance.suite.messages import answer

ECHOED = {
    "floats": np.array([[1.5, -(2.0**-149), 3.4028235e38]], "float32"),
    "ids": [[0, 2147483647, -1], []],
    "text": 'naïve 東京 \U0001f600 "quoted"\n\ttab \\ \u2028',
    "other": [None, True, False, 0, 1e-300],
}
PROMPT = {
    "encoder_token_ids": [[3, 9, 5]],
    "encoder_padding_mask": [[True] * 3],
    "decoder_token_ids": [[5, 3, 0, 0, 0, 0]],
    "decoder_padding_mask": [[True, True, False, False, False, False]],
}


def adapter_problems(adapter: Any, info: Any) -> list[str]:
    """What is wrong with an adapter, whatever the library behind it can do; nothing if all is well."""
    if not isinstance(info, dict):
        return [f"the answer to `start` is {info!r:.60}, not an object"]
    return [problem for check in (_greeting, _refusal, _echo, _form) for problem in check(adapter, info)]


def _greeting(_adapter: Any, info: dict[str, Any]) -> Iterator[str]:
    """`start` says who answers."""
    missing = [key for key in ("implementation", "version", "backend", "capabilities") if key not in info]
    if missing:
        yield f"the answer to `start` lacks {', '.join(missing)}"
    for key in ("implementation", "version", "backend"):
        if not isinstance(info.get(key, ""), str):
            yield f"`start` gives {key} as {info[key]!r:.60}, not as a text"
    lacks = info.get("lacks") or {}
    if not isinstance(lacks, dict) or not all(isinstance(why, str) for why in lacks.values()):
        yield f"`start` gives lacks as {lacks!r:.60}, not as an object of beginnings of ids and reasons"
    capabilities = info.get("capabilities", [])
    if not isinstance(capabilities, (list, tuple)):
        yield f"`start` gives capabilities as {capabilities!r:.60}, not as a list of texts"
        return
    unknown = sorted(set(map(str, capabilities)) - {"engine", *CAPABILITIES})
    if unknown:
        yield f"`start` names unknown capabilities {', '.join(unknown)}; known are {', '.join(CAPABILITIES)}"


def _refusal(adapter: Any, _info: dict[str, Any]) -> Iterator[str]:
    """An operation that does not exist is unsupported, and no error of the library."""
    reply = answer(adapter, "no-such-operation", {})
    if "unsupported" not in reply:
        yield f"an unknown operation must be answered by `unsupported`, not {str(reply)[:120]}"


def _echo(adapter: Any, _info: dict[str, Any]) -> Iterator[str]:
    """`echo` gives back what it got. In Python it may be left out: nothing is encoded on the way."""
    reply = answer(adapter, "echo", dict(ECHOED))
    if "unsupported" in reply:
        return
    if "result" not in reply:
        yield f"`echo` must give back its arguments, not {str(reply)[:120]}"
        return
    for key, sent in ECHOED.items():
        got = reply["result"].get(key) if isinstance(reply["result"], dict) else None
        same = np.array_equal(got, sent) if isinstance(sent, np.ndarray) else got == sent
        if not same:
            yield f"`echo` turned {key} {sent!r:.80} into {got!r:.80}"


def _form(adapter: Any, info: dict[str, Any]) -> Iterator[str]:
    """A load and a generation on the scripted preset: any tokens will do, but they must come in the form asked for."""
    if "core" not in str(info.get("capabilities")):
        return
    reply = answer(adapter, "load", {"preset": str(GOLDEN / "presets" / "bart_scripted"), "preprocessor": None})
    if "broken" in reply or "unsupported" in reply:
        yield f"`load` gave no answer: {str(reply)[:160]}"
    if "result" not in reply:
        return
    reply = answer(adapter, "generate", {"inputs": PROMPT, "stop_token_ids": None})
    if "broken" in reply:
        yield f"`generate` gave no answer: {reply['broken']:.160}"
    rows = result.get("decoder_token_ids") if isinstance(result := reply.get("result"), dict) else None
    if "result" in reply and np.shape(rows) != (1, 6):
        yield f"`generate` must give `decoder_token_ids` of shape [1, 6] here, not {str(rows)[:80]}"


def smoke_cases(cases: list[Case]) -> list[Case]:
    """The first case of each clause."""
    return list({case.clause: case for case in reversed(cases)}.values())[::-1]
