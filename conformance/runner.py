"""Runs cases against an adapter: the case is sent without its answer, the answer is judged here."""

import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conformance import compare
from conformance.cases import GOLDEN, Case
from conformance.damage import damaged
from conformance.messages import answer

VERDICTS = ("pass", "fail", "error", "unsupported", "expected failure", "unexpected pass")
BAD = ("fail", "error", "unexpected pass")


@dataclass(frozen=True)
class Verdict:
    """How a case went. `ratio` is the worst error / floor of its numeric expectations."""

    case: Case
    verdict: str
    message: str = ""
    ratio: float | None = None
    seconds: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether it makes the run fail."""
        return self.verdict in BAD


def run(
    adapter: Any,
    cases: Iterable[Case],
    capabilities: Iterable[str] = ("core", "probe"),
    expected: Mapping[str, str] | None = None,
) -> Iterator[Verdict]:
    """Verdicts, one by one. `expected` gives the reason for each case that is known to fail."""
    for case in cases:
        began = time.perf_counter()
        verdict, message, ratio = run_case(adapter, case, set(capabilities))
        reason = (expected or {}).get(case.id)
        if reason is not None and verdict in ("fail", "error"):
            verdict, message = "expected failure", f"{reason} | {message}"
        elif reason is not None and verdict == "pass":
            verdict, message = "unexpected pass", f"listed as failing: {reason}"
        yield Verdict(case, verdict, message, ratio, time.perf_counter() - began)


def run_case(adapter: Any, case: Case, capabilities: set[str]) -> tuple[str, str, float | None]:
    """Verdict, message and worst ratio of one case."""
    if case.capability not in capabilities:
        return "unsupported", f"needs the capability {case.capability}", None
    replies: list[dict[str, Any]] = []
    worst: float | None = None
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, step in enumerate(case.steps):
            reply = answer(adapter, step["op"], filled_in(step, Path(scratch), number))
            replies.append(reply)
            at = f"step {number} ({step['op']}): " if len(case.steps) > 1 else ""
            wanted = step.get("expect", {})
            if "result" not in reply and not ("error" in reply and "error" in wanted):
                verdict, why = without_result(case, reply)
                return verdict, at + why, worst
            finding = judged(case, wanted, reply, replies)
            if finding.ratio is not None:
                worst = max(worst or 0.0, finding.ratio)
            if finding.difference:
                return "fail", at + finding.difference, worst
            notes += [finding.note] if finding.note else []
    return "pass", "; ".join(notes), worst


def without_result(case: Case, reply: dict[str, Any]) -> tuple[str, str]:
    """Verdict and message of a reply that holds nothing to compare."""
    if "broken" in reply:
        return "error", reply["broken"]
    if "unsupported" in reply:
        return ("fail" if case.capability == "core" else "unsupported"), reply["unsupported"]
    told = reply["error"]
    return "error", f"{told.get('type', ', '.join(told['kinds']))}: {told['message']:.300}"


def filled_in(step: dict[str, Any], scratch: Path, number: int) -> dict[str, Any]:
    """The arguments, with presets as paths: of the suite, of a damaged copy, or below the case's own folder."""
    args = dict(step.get("args", {}))
    if isinstance(name := args.get("preset"), str):
        path = scratch / name.removeprefix("$scratch/") if name.startswith("$scratch/") else GOLDEN / "presets" / name
        if "damage" in step:
            path = damaged(path, step["damage"], scratch / f"damaged-{number}" / name)
        args["preset"] = str(path)
        args |= {"keep": False} if path.is_relative_to(scratch) else {}
    if isinstance(args.get("path"), str):
        args["path"] = str(scratch / args["path"].removeprefix("$scratch/"))
    return args


def judged(case: Case, wanted: dict[str, Any], reply: dict[str, Any], replies: list[dict[str, Any]]) -> compare.Finding:
    """The first difference between a reply and what was expected, and the worst ratio up to there."""
    if "error" in wanted:
        return compare.Finding(compare.error(reply, wanted["error"]))
    worst: float | None = None
    note = ""
    try:
        for finding in findings(case, wanted, reply["result"], replies):
            worst = worst if finding.ratio is None else max(worst or 0.0, finding.ratio)
            note = note or finding.note
            if finding.difference:
                return compare.Finding(finding.difference, worst)
    except (LookupError, TypeError, ValueError) as error:  # one wrong result must not end the run of all
        return compare.Finding(f"the result has not the form asked for: {type(error).__name__} {error}", worst)
    return compare.Finding(None, worst, note)


def findings(
    case: Case, wanted: dict[str, Any], result: dict[str, Any], replies: list[dict[str, Any]]
) -> Iterator[compare.Finding]:
    """What each expectation finds, one by one."""
    if "exact" in wanted:
        yield compare.Finding(compare.exact(result, wanted["exact"]))
    for key, shape in wanted.get("shape", {}).items():
        got = list(np.shape(result.get(key)))
        yield compare.Finding(None if got == shape else f"{key} has shape {got}, wanted {shape}")
    if "same_as" in wanted:
        rule = wanted["same_as"]
        yield compare.Finding(compare.same(result, replies[rule["step"]].get("result", {}), rule))
    for key, rule in wanted.get("numeric", {}).items():
        if key not in result:
            yield compare.Finding(f"{key} is missing")
        else:
            truth = compare.taken(case.array(rule["truth"]), rule)
            yield compare.numeric(key, result[key], truth, rule["floor"])
    if "frequencies" in wanted:
        yield compare.frequencies(result, wanted["frequencies"])
    if "generation" in wanted:
        yield compare.generation(result, wanted["generation"])
