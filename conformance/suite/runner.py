"""Runs cases against an adapter: the case is sent without its answer, the answer is judged here."""

import copy
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from conformance.suite.cases import GOLDEN, Case
from conformance.suite.damage import damaged
from conformance.suite.judge import Judge
from conformance.suite.messages import answer
from conformance.suite.signals import spelled_out

VERDICTS = ("pass", "fail", "error", "unsupported", "expected failure", "unexpected pass")
BAD = ("fail", "error", "unexpected pass")
PROFILES = ("float32", "float16", "bfloat16", "int8")


class Outcome(NamedTuple):
    """What asking one case gave: verdict, reason, and the worst ratios of its numeric expectations."""

    verdict: str
    message: str = ""
    ratio: float | None = None
    ratio_99: float | None = None


@dataclass(frozen=True)
class Verdict:
    """How a case went. `ratio` is the worst error / floor of its numeric expectations, `ratio_99` the worst of their
    99th percentiles; `block` says where the first difference arises, if that is known.
    """

    case: Case
    verdict: str
    message: str = ""
    ratio: float | None = None
    seconds: float = 0.0
    ratio_99: float | None = None
    block: str = ""

    @property
    def bad(self) -> bool:
        """Whether it makes the run fail."""
        return self.verdict in BAD

    @property
    def numeric(self) -> bool:
        """Whether numbers decided it."""
        return self.ratio is not None


def run(
    adapter: Any,
    cases: Iterable[Case],
    capabilities: Iterable[str] = ("core", "probe"),
    expected: Mapping[str, str] | None = None,
    profile: str = "float32",
    lacks: Mapping[str, str] | None = None,
) -> Iterator[Verdict]:
    """Verdicts, one by one. `expected` gives the reason for each case that is known to fail.

    `lacks` says what the implementation has not by design: beginnings of clause ids, with reasons.
    """
    for case in cases:
        began = time.perf_counter()
        if why := next((why for start, why in (lacks or {}).items() if case.id.startswith(start)), None):
            yield Verdict(case, "unsupported", why)
            continue
        verdict, message, ratio, ratio_99 = run_case(adapter, case, set(capabilities), profile)
        reason = (expected or {}).get(case.id)
        if reason is not None and verdict in ("fail", "error"):
            verdict, message = "expected failure", f"{reason} | {message}"
        elif reason is not None and verdict == "pass":
            verdict, message = "unexpected pass", f"listed as failing: {reason}"
        yield Verdict(case, verdict, message, ratio, time.perf_counter() - began, ratio_99)


def run_case(adapter: Any, case: Case, capabilities: set[str], profile: str = "float32") -> Outcome:
    """Verdict, message and worst ratios of one case."""
    partial = "engine" in capabilities  # it does a part of what the API promises, and says what it does not
    if case.capability not in capabilities and not (partial and case.capability == "core"):
        return Outcome("unsupported", f"needs the capability {case.capability}, which the adapter does not declare")
    replies: list[dict[str, Any]] = []
    worst: tuple[float | None, float | None] = (None, None)
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, step in enumerate(case.steps):
            reply = answer(adapter, step["op"], true_input(case, step, filled_in(step, Path(scratch), number)))
            replies.append(reply)
            at = f"step {number} ({step['op']}): " if len(case.steps) > 1 else ""
            wanted = step.get("expect", {})
            if "result" not in reply and not ("error" in reply and "error" in wanted):
                verdict, why = without_result(case, reply, "core" in capabilities)
                return Outcome(verdict, at + why, *worst)
            finding = Judge(case, replies, profile, Path(scratch)).judged(wanted)
            worst = (larger(worst[0], finding.ratio), larger(worst[1], finding.ratio_99))
            if finding.difference:
                return Outcome("fail", at + finding.difference, *worst)
            notes += [finding.note] if finding.note else []
    return Outcome("pass", "; ".join(notes), *worst)


def larger(one: float | None, other: float | None) -> float | None:
    """The larger of two numbers either of which may be missing."""
    return max((n for n in (one, other) if n is not None), default=None)


def without_result(case: Case, reply: dict[str, Any], whole: bool = True) -> tuple[str, str]:
    """Verdict and message of a reply that holds nothing to compare. `whole` promises all of the core."""
    if "broken" in reply:
        return "error", reply["broken"]
    if "unsupported" in reply:
        return ("fail" if whole and case.capability == "core" else "unsupported"), reply["unsupported"]
    told = reply["error"]
    return "error", f"{told.get('type', ', '.join(told['kinds']))}: {told['message']:.300}"


def true_input(case: Case, step: dict[str, Any], args: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with the truth's tensors where a trace is to be forced to them."""
    if args.get("forced") != "truth":
        return args
    tensors = step["expect"]["trace"]["tensors"]
    return args | {"forced": {name: case.array(rule["truth"]).astype("float32") for name, rule in tensors.items()}}


def filled_in(step: dict[str, Any], scratch: Path, number: int) -> dict[str, Any]:
    """The arguments, with presets as paths: of the suite, of a damaged copy, or below the case's own folder."""
    args = spelled_out(copy.deepcopy(step.get("args", {})))  # an implementation may change what it is given
    if isinstance(name := args.get("preset"), str):
        path = scratch / name.removeprefix("$scratch/") if name.startswith("$scratch/") else GOLDEN / "presets" / name
        if "damage" in step:
            path = damaged(path, step["damage"], scratch / f"damaged-{number}" / name)
        args["preset"] = str(path)
        args |= {"keep": False} if path.is_relative_to(scratch) else {}
    if isinstance(args.get("path"), str):
        args["path"] = str(scratch / args["path"].removeprefix("$scratch/"))
    return args
