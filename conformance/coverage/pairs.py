"""`python -m conformance coverage`: which pairs of values some case reaches, chapter by chapter, and which none."""

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.coverage.facts import facts_of
from conformance.suite.cases import read_cases

DATA = Path(__file__).with_name("dimensions.json")
Pair = tuple[tuple[str, str], tuple[str, str]]


@dataclass
class Section:
    """A part of a chapter: its dimensions with their values, pairs that can't be with their reasons."""

    name: str
    chapters: list[str]
    when: dict[str, list[Any]]
    dimensions: dict[str, list[Any]]
    impossible: list[dict[str, Any]] = field(default_factory=list)
    least: float = 0.0
    drawn: bool = False  # whether a covering array makes its cases

    def point(self, facts: dict[str, Any]) -> dict[str, str]:
        """Which value each dimension has there; a dimension that the step says nothing of is left out."""
        found = {}
        for name, values in self.dimensions.items():
            if name in facts and (value := next((str(v) for v in values if fits(facts[name], v)), None)):
                found[name] = value
        return found

    def why_impossible(self, pair: Iterable[tuple[str, str]]) -> str | None:
        """The reason, if some rule names both values."""
        given = dict(pair)
        for rule in self.impossible:
            named = {name: value for name, value in rule.items() if name != "why"}
            if named.keys() <= given.keys() and all(given[n] in map(str, values) for n, values in named.items()):
                return str(rule["why"])
        return None

    def pairs(self) -> Iterator[Pair]:
        """All pairs of values of two dimensions."""
        for (one, values), (other, others) in itertools.combinations(self.dimensions.items(), 2):
            yield from (((one, str(a)), (other, str(b))) for a, b in itertools.product(values, others))

    def reached(self) -> set[Pair]:
        """The pairs that the cases reach."""
        found: set[Pair] = set()
        for case in (case for case in read_cases() if case.chapter in self.chapters):
            for facts in facts_of(case):
                if all(any(fits(facts.get(name), v) for v in values) for name, values in self.when.items()):
                    found |= set(itertools.combinations(self.point(facts).items(), 2))
        return found

    def missing(self) -> tuple[list[Pair], int]:
        """The possible pairs that no case reaches, and how many are possible."""
        possible = [pair for pair in self.pairs() if self.why_impossible(pair) is None]
        reached = self.reached()
        return [pair for pair in possible if pair not in reached], len(possible)


def fits(value: Any, wanted: Any) -> bool:
    """Whether a value is the one wanted, or lies in a range `"2-32"` or `"3-"`."""
    low, dash, high = wanted.partition("-") if isinstance(wanted, str) else ("", "", "")
    if dash and low.isdigit():
        return isinstance(value, (int, float)) and int(low) <= value <= float(high or "inf")
    return type(value) is type(wanted) and value == wanted


def sections() -> list[Section]:
    """All sections, in the order of the file."""
    content = json.loads(DATA.read_text(encoding="utf-8"))
    return [Section(name, **data) for name, data in content.items()]


def coverage(verbose: bool) -> int:
    """Print the percentages and what is missing; 1 if a section has less than it must."""
    below = False
    for section in sections():
        missing, possible = section.missing()
        share = 100 * (1 - len(missing) / possible)
        below |= share < section.least
        mark = f"  BELOW {section.least:g} %" if share < section.least else ""
        print(f"{section.name:22} {possible - len(missing):5} of {possible:5} pairs, {share:5.1f} %{mark}")
        for (one, a), (other, b) in missing if verbose else []:
            print(f"    {one} = {a}, {other} = {b}")
    if verbose:
        print("\nimpossible:")
        for section in sections():
            for rule in section.impossible:
                named = ", ".join(f"{n} = {' or '.join(map(str, v))}" for n, v in rule.items() if n != "why")
                print(f"    {section.name}: {named}: {rule['why']}")
    return int(below)
