"""One unit of a campaign: Hypothesis with one seed. A unit does the same wherever and however often it runs."""

import contextlib
import os
import threading
import time
import warnings
from dataclasses import asdict, dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from conformance.adapters import find
from conformance.fuzz.duel import Difference, Duel
from conformance.fuzz.options import ARCHITECTURES, CALLS
from conformance.fuzz.strategies import drawn_questions


@dataclass(frozen=True)
class Plan:
    """What all units of a campaign share; plain values, so that it travels and can be kept in a file."""

    a: str
    b: str
    calls: tuple[str, ...] = CALLS
    examples: int = 25
    shrink: int = 150
    known: tuple[str, ...] = ()
    models: tuple[str, ...] = ARCHITECTURES


@dataclass(frozen=True)
class Report:
    """What a unit found. `finding` has the shrunk question, the difference and both answers."""

    unit: int
    asked: int
    seconds: float
    finding: dict[str, Any] | None = None
    by: str = ""
    more: dict[str, int] = field(default_factory=dict)


class _DifferError(Exception):
    """The question on which the two differ."""


class _EnoughError(BaseException):
    """As much was shrunk as the plan allows (counted, not timed, so that a unit is the same on a slow machine)."""


_DUELS: dict[tuple[str, str], Duel] = {}
_ONE = threading.Lock()  # a worker of a cluster may have threads; implementations are asked one question at a time


def duel_of(plan: Plan) -> Duel:
    """The two adapters, started once in each process."""
    key = (plan.a, plan.b)
    if key not in _DUELS:
        adapters = [find(plan.a), find(plan.b)]
        told = [adapter.start() for adapter in adapters]
        abilities = [{*info.get("capabilities", ()), info["implementation"]} for info in told]
        _DUELS[key] = Duel(*adapters, abilities)
    return _DUELS[key]


def run_unit(plan: Plan, unit: int) -> Report:
    """Ask as many questions as the plan says; the first new kind of difference is shrunk and reported."""
    began = time.perf_counter()
    search = _Search(duel_of(plan), plan)
    with _ONE, warnings.catch_warnings(), contextlib.suppress(_DifferError, _EnoughError):
        warnings.simplefilter("ignore")
        search.run(unit)
    spent = time.perf_counter() - began
    finding = None
    if search.smallest:
        question, difference = search.smallest
        finding = {"question": question, **asdict(difference)}
    return Report(unit, search.asked, spent, finding, f"process {os.getpid()}", search.others)


class _Search:
    """Follows one kind of difference from the question on which it was first seen to the smallest."""

    def __init__(self, duel: Duel, plan: Plan) -> None:
        self.duel, self.plan, self.asked = duel, plan, 0
        self.smallest: tuple[dict[str, Any], Difference] | None = None
        self.others: dict[str, int] = {}
        self.left = plan.shrink

    def run(self, unit: int) -> None:
        """Draw and ask. Raises: _DifferError at the end if anything was found."""
        chosen = settings(
            max_examples=self.plan.examples, database=None, deadline=None, verbosity=Verbosity.quiet, print_blob=False,
            phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck), report_multiple_bugs=False,
        )  # fmt: skip

        @seed(unit)
        @chosen
        @given(drawn_questions(self.plan.calls, self.plan.models))
        def ask(drawn: dict[str, Any]) -> None:
            self.ask(drawn)

        ask()

    def ask(self, drawn: dict[str, Any]) -> None:
        """The questions to one model. Raises: _DifferError if one shows the difference that is followed."""
        if self.smallest:
            self.left -= 1
            if self.left < 0:
                raise _EnoughError
        calls, question = drawn["calls"], {key: value for key, value in drawn.items() if key != "calls"}
        with contextlib.closing(self.duel.differences(question, calls)) as differences:
            for call, difference in zip(calls, differences, strict=True):
                self.asked += 1
                if difference is not None:
                    self._follow(question | {"call": call}, difference)

    def _follow(self, question: dict[str, Any], difference: Difference) -> None:
        """Keep what shows the difference that is followed, and count the others. Raises: _DifferError in that case."""
        signature = difference.signature
        if signature in self.plan.known or (self.smallest and signature != self.smallest[1].signature):
            self.others[signature] = self.others.get(signature, 0) + 1
            return
        self.smallest = (question, difference)
        raise _DifferError(difference.told)
