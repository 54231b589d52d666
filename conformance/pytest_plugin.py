"""`pytest --conformance-backend module:Class`: every case is a test item, whose name is the case's id.

Installed with the package (entry point `pytest11`). Without one of its options it does nothing and imports nothing.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.suite.cases import Case
    from conformance.suite.runner import Verdict


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `python -m conformance run`, under names that collide with nobody's."""
    group = parser.getgroup("conformance", "conformance of a Seq2SeqLM implementation")
    group.addoption("--conformance-backend", metavar="NAME", help="refimpl, keras_hub, or module:Class of your own")
    group.addoption("--conformance-command", metavar="COMMAND", help="a program that answers JSON lines")
    group.addoption("--conformance-only", default="", metavar="ID-PREFIX", help="cases whose id starts so")
    group.addoption("--conformance-profile", default="float32", help="float32, float16, bfloat16 or int8")
    group.addoption("--conformance-expected-failures", type=Path, metavar="FILE", help="known failures, with reasons")


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the cases to what was collected."""
    if config.getoption("--conformance-backend") or config.getoption("--conformance-command"):
        suite = Suite.from_parent(session, name="conformance", nodeid="conformance")
        items.extend(session.genitems(suite))


class Suite(pytest.Collector):
    """The cases against one adapter, which is started at the first of them."""

    adapter: Any = None

    def collect(self) -> Iterator[CaseItem]:
        """An item for each case."""
        from conformance.suite.cases import read_cases

        for case in read_cases(self.config.getoption("--conformance-only")):
            yield CaseItem.from_parent(self, name=case.id, case=case)

    def setup(self) -> None:
        """Start the adapter; a broken one is an error of each case, no failure."""
        from conformance.adapters import find
        from conformance.commands.smoke import adapter_problems
        from conformance.suite.divergences import expected_failures

        option = self.config.getoption
        sys.path.insert(0, str(self.config.invocation_params.dir))  # as `python -m` does
        self.adapter = find(option("--conformance-backend") or "", option("--conformance-command"))
        self.info = self.adapter.start()
        if problems := adapter_problems(self.adapter, self.info):
            raise RuntimeError("The adapter is broken: " + "; ".join(problems))
        self.expected = expected_failures(self.info, option("--conformance-expected-failures"))

    def teardown(self) -> None:
        """Stop it."""
        if self.adapter is not None:
            self.adapter.stop()


class FailedCaseError(Exception):
    """A case that did not go as it should."""


class CaseItem(pytest.Item):
    """One case."""

    def __init__(self, *, case: Case, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.case = case
        self.add_marker("conformance")

    def runtest(self) -> None:
        """Ask it, and turn the verdict into pytest's own."""
        from conformance.suite.runner import run

        suite: Any = self.parent
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an implementation is judged by its answers
            asked = run(
                suite.adapter, [self.case], suite.info.get("capabilities", ("core",)), suite.expected,
                self.config.getoption("--conformance-profile"), suite.info.get("lacks"),
            )  # fmt: skip
            (verdict,) = asked
        for name in ("ratio", "ratio_99"):
            self.user_properties.append((name, getattr(verdict, name)))
        if verdict.bad:
            from conformance.suite.diagnosis import explained

            (verdict,) = explained(suite.adapter, suite.info, [verdict])
            raise FailedCaseError(self.told(verdict))
        if verdict.verdict == "expected failure":
            pytest.xfail(verdict.message)
        if verdict.verdict == "unsupported":
            pytest.skip(verdict.message)

    def told(self, verdict: Verdict) -> str:
        """What pytest prints of a failure."""
        from conformance.commands.report import details

        option = self.config.getoption
        command, backend = option("--conformance-command"), option("--conformance-backend")
        how = f"--command '{command}'" if command else f"--backend {backend}"
        return details([verdict], f"python -m conformance run {how}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The verdict instead of a traceback through the suite."""
        if isinstance(excinfo.value, FailedCaseError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the case stands."""
        return self.case.file, None, self.case.id


def pytest_configure(config: pytest.Config) -> None:
    """Make the items' mark known."""
    config.addinivalue_line("markers", "conformance: a case of the conformance suite")
