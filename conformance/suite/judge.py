"""Judges one reply of a case by what the case expects of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conformance.suite import compare
from conformance.suite.cases import GOLDEN, Case
from conformance.suite.signals import spelled_out


def offered(result: dict[str, Any], order: list[str]) -> list[str]:
    """The tensors that an implementation must give: those of the kinds that it gives of any layer."""
    kinds = {re.sub(r"\d+", "n", name) for name in result}
    return [name for name in order if re.sub(r"\d+", "n", name) in kinds] or order[:1]


@dataclass(frozen=True)
class Judge:
    """`replies` are those of the case so far, the last one is judged; `scratch` is where the case's files are."""

    case: Case
    replies: list[dict[str, Any]]
    profile: str
    scratch: Path

    def judged(self, wanted: dict[str, Any]) -> compare.Finding:
        """The first difference between the reply and what was expected, and the worst ratios up to there."""
        reply = self.replies[-1]
        if "error" in wanted:
            return compare.Finding(compare.error(reply, wanted["error"]))
        seen: list[compare.Finding] = []
        difference = None
        try:
            for finding in self.findings(wanted, reply["result"]):
                seen.append(finding)
                if finding.difference:
                    break
        except (LookupError, TypeError, ValueError, OSError) as error:  # one wrong result must not end the run of all
            difference = f"the result has not the form asked for: {type(error).__name__} {error}"
        ratios = [f.ratio for f in seen if f.ratio is not None]
        ratios_99 = [f.ratio_99 for f in seen if f.ratio_99 is not None]
        return compare.Finding(
            difference or next((f.difference for f in seen if f.difference), None),
            max(ratios, default=None),
            next((f.note for f in seen if f.note), ""),
            max(ratios_99, default=None),
        )

    def findings(self, wanted: dict[str, Any], result: dict[str, Any]) -> Iterator[compare.Finding]:
        """What each expectation finds, one by one."""
        if "exact" in wanted:
            yield compare.Finding(compare.exact(result, spelled_out(wanted["exact"])))
        for key, shape in wanted.get("shape", {}).items():
            got = list(np.shape(result.get(key)))
            yield compare.Finding(None if got == shape else f"{key} has shape {got}, wanted {shape}")
        if "same_as" in wanted:
            rule = wanted["same_as"]
            earlier = self.replies[rule["step"]].get("result", {})
            yield compare.Finding(compare.same(result, earlier, rule))
        for key, rule in wanted.get("numeric", {}).items():
            yield self.numeric(key, rule, result)
        if "trace" in wanted:
            yield from self.trace(wanted["trace"], result)
        if "frequencies" in wanted:
            yield compare.frequencies(result, wanted["frequencies"])
        if "generation" in wanted:
            yield compare.generation(result, wanted["generation"], self.profile)
        if "saved_weights" in wanted:
            rule = wanted["saved_weights"]
            folder = self.scratch / rule["path"].removeprefix("$scratch/")
            yield compare.Finding(compare.saved_weights(folder, GOLDEN / "presets" / rule["preset"]))

    def trace(self, wanted: dict[str, Any], result: dict[str, Any]) -> Iterator[compare.Finding]:
        """Every tensor offered, in the order of execution; at least one, and none left out of a stack of layers."""
        for name in offered(result, wanted["order"]):
            yield self.numeric(name, wanted["tensors"][name], result)

    def numeric(self, key: str, rule: dict[str, Any], result: dict[str, Any]) -> compare.Finding:
        """One array against its truth, by the floors of the profile."""
        if key not in result:
            return compare.Finding(f"{key} is missing")
        truth = compare.taken(self.case.array(rule["truth"]), rule)
        floors = compare.floors(rule, self.profile)
        if floors is None:
            return compare.Finding(note=f"{key} has no floor for {self.profile}, only its shape was looked at")
        got = np.asarray(result[key])
        if "at" in rule:  # the truth keeps some rows and positions
            if list(got.shape) != rule["shape"]:
                return compare.Finding(f"{key} has shape {got.shape}, wanted {tuple(rule['shape'])}")
            got = compare.sparse(got, rule["at"])
        return compare.numeric(key, got, truth, *floors)
