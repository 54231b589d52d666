"""The proof that a divergence is explained: with its quirk `refimpl` gives what KerasHub gave.

KerasHub's replies to the cases that it fails are in `keras_hub.json`.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters.command import FailedError
from conformance.adapters.refimpl import Refimpl
from conformance.quirks import BACKENDS, all_quirks, switched_on
from conformance.suite import compare
from conformance.suite.cases import Case, read_cases
from conformance.suite.divergences import Divergence, expected_failures, read_divergences
from conformance.suite.messages import UnsupportedError, answer, decode
from conformance.suite.runner import filled_in, run, run_case, true_input

RECORDED = Path(__file__).parent / "keras_hub.json"
CAPABILITIES = {"core", "probe", "formats", "trace", "jax-random", "t5gemma", "moonshine"}
UNRECORDED = "KerasHub's answer is not recorded yet: python -m conformance.quirks.record"
CLOSE = 1e-4  # of the largest number: float32 beside float32, where the case has no noise floor


class Replay:
    """An adapter that gives recorded replies in their order."""

    def __init__(self, replies: Sequence[dict[str, Any]]) -> None:
        self.left = list(replies)

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """The next reply."""
        return self.call("load", args)

    def call(self, _op: str, _args: dict[str, Any]) -> dict[str, Any]:
        """The next reply."""
        reply = self.left.pop(0)
        if "error" in reply:
            raise FailedError(reply["error"])
        if "unsupported" in reply:
            raise UnsupportedError(reply["unsupported"])
        return decode(reply["result"])


def replies_to(adapter: Any, case: Case) -> list[dict[str, Any]]:
    """The replies to all steps of a case, whatever they are."""
    with tempfile.TemporaryDirectory() as scratch:
        sent = [true_input(case, step, filled_in(step, Path(scratch), n)) for n, step in enumerate(case.steps)]
        return [answer(adapter, step["op"], args) for step, args in zip(case.steps, sent, strict=True)]


@functools.lru_cache(1)
def recorded() -> dict[str, Any]:
    """Backend -> {"version", "answers": case id -> replies}."""
    return dict(json.loads(RECORDED.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Link:
    """A divergence, a case that shows it, and a backend that has it."""

    entry: Divergence
    case: Case
    backend: str

    def __str__(self) -> str:
        return f"{self.entry.name} {self.case.id} {self.backend}"


def links() -> Iterator[Link]:
    """Every case of every divergence on each backend that fails it."""
    cases = {case.id: case for case in read_cases()}
    for entry in read_divergences():
        for id, backends in entry.cases.items():
            for backend in backends.replace(",", " ").split() or BACKENDS:
                yield Link(entry, cases[id], backend)


def problem(link: Link) -> str | None:
    """What is missing in the proof of one link, if anything."""
    replies = recorded()[link.backend]["answers"].get(link.case.id)
    if replies is None:
        return UNRECORDED
    if run_case(Replay(replies), link.case, CAPABILITIES).verdict not in ("fail", "error"):
        return "the recorded answer is right: there is no divergence"
    outcome = run_case(Refimpl(jit_compile=False), link.case, CAPABILITIES)
    if outcome.verdict != "pass":
        return f"refimpl without quirks: {outcome.verdict}: {outcome.message}"
    if link.entry.quirk:  # why there is none
        return None
    quirks = [quirk for quirk in all_quirks(link.backend) if quirk.divergence == link.entry.name]
    if not quirks:
        return "there is no quirk, and the entry does not say why"
    with switched_on(quirks):
        return difference(link.case, replies_to(Refimpl(jit_compile=False), link.case), replies)


def difference(case: Case, ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> str | None:
    """The first difference between two implementations' replies to what a case asks."""
    for number, (step, mine, other) in enumerate(zip(case.steps, ours, theirs, strict=True)):
        found = _unlike(step.get("expect"), mine, other)
        if found:
            return f"step {number} ({step['op']}): {found}"
        if "error" in mine and "error" not in step.get("expect", {}):
            return None  # both have failed here; what follows has nothing to stand on
    return None


def _unlike(expect: Any, mine: dict[str, Any], other: dict[str, Any]) -> str | None:
    """The difference of one reply. Kinds of errors must meet; texts and ids be equal; floats within the noise."""
    kinds = [next(iter(reply)) for reply in (mine, other)]
    if kinds[0] != kinds[1]:
        return f"refimpl gave {mine!r:.160}, KerasHub {other!r:.160}"
    if "error" in mine:
        met = set(mine["error"]["kinds"]) & set(other["error"]["kinds"])
        return None if met else f"refimpl raised {mine['error']}, KerasHub {other['error']}"
    if expect is None or "result" not in mine:
        return None
    if "frequencies" in expect:
        return _other_shares(mine["result"], decode(other["result"]))
    theirs = decode(other["result"])
    # A load that should have been refused: the lengths of what was loaded are another divergence's matter.
    every = {key for key in theirs if not key.endswith("_sequence_length")}
    for key in sorted(asked(expect) or every):
        a, b = np.asarray(mine["result"].get(key)), np.asarray(theirs.get(key))
        if b.dtype.kind != "f":
            found = compare.exact({key: a.tolist()}, {key: b.tolist()})
        else:
            # A trace's floors were measured inside the right model: they are not those of a block that strays.
            rule = expect.get("numeric", {}).get(key)
            floor = 2 * rule["floor"] if rule else CLOSE * float(np.abs(b[np.isfinite(b)]).max(initial=1e-6))
            same_holes = a.shape == b.shape and np.array_equal(np.isnan(a), np.isnan(b))
            found = compare.numeric(key, *(np.nan_to_num(x) if same_holes else x for x in (a, b)), floor).difference
        if found:
            return found
    return None


def asked(expect: dict[str, Any]) -> set[str]:
    """The keys of the result that an expectation looks at; none where an error is wanted: then all count."""
    rules = [expect.get(kind, {}) for kind in ("exact", "shape", "numeric", "generation")]
    rules.append(expect.get("trace", {}).get("tensors", {}))
    keys = {key for rule in rules for key in rule if key not in ("margins", "runners_up")}
    return keys | set(expect.get("same_as", {}).get("keys", ()))


def _other_shares(mine: dict[str, Any], other: dict[str, Any]) -> str | None:
    """Whether two runs of draws are of one distribution: each token's share differs by at most 0.03."""
    shares = []
    for result in (mine, other):
        tokens = np.asarray(result["ids"])[..., 1:].ravel()
        shares.append(np.bincount(tokens, minlength=8) / tokens.size)
    return None if np.abs(shares[0] - shares[1]).max() <= 0.03 else f"shares {shares[0]} and {shares[1]}"


def agreement(backend: str = "jax", only: str = "") -> tuple[int, int, list[str]]:
    """With all quirks on: how many cases go as KerasHub's own do, because both pass, or by its recorded other answer.

    The third part names the cases that do not.
    """
    failing = expected_failures({"implementation": "keras_hub", "backend": backend})
    both, strayed, unlike = 0, 0, []
    unexplained = {link.case.id for link in links() if link.backend == backend and link.entry.quirk}
    with switched_on(all_quirks(backend)):
        adapter = Refimpl(jit_compile=False)
        for case in read_cases(only):
            if case.capability not in CAPABILITIES or (case.capability == "jax-random" and backend != "jax"):
                continue
            if case.id not in failing:
                (verdict,) = run(adapter, [case], CAPABILITIES)
                both += not verdict.bad
                unlike += [f"{case.id}: {verdict.message}"] if verdict.bad else []
            elif case.id not in unexplained and case.id in recorded()[backend]["answers"]:
                told = difference(case, replies_to(adapter, case), recorded()[backend]["answers"][case.id])
                strayed += told is None
                unlike += [f"{case.id}: {told}"] if told else []
    return both, strayed, unlike


def explain() -> int:
    """Print the proof: each divergence by itself, then all together; 1 if something is missing."""
    missing = 0
    for link in links():
        told = problem(link)
        missing += told is not None
        print(f"{link}: {told or link.entry.quirk or 'explained'}")
    for backend in BACKENDS:
        both, strayed, unlike = agreement(backend)
        missing += len(unlike)
        print(f"\nAll quirks on, beside KerasHub on {backend}: {both} cases pass in both, {strayed} fail alike,")
        print("\n  ".join([f"{len(unlike)} differ", *unlike]))
    return int(missing > 0)


def live_differences() -> list[str]:
    """Where the KerasHub that is installed answers otherwise than the recorded one, on its backend."""
    from conformance.adapters.keras_hub import KerasHub

    adapter, found = KerasHub(), []
    backend = adapter.start()["backend"]
    for link in links():
        if link.backend == backend and link.case.id in recorded()[backend]["answers"]:
            told = difference(link.case, replies_to(adapter, link.case), recorded()[backend]["answers"][link.case.id])
            found += [f"{link}: {told}"] if told else []
    return found
