"""Which code each case and each test beside the code runs: what can't run a change can't notice it."""

import os
import pickle
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from conformance.suite.cases import Case

ROOT = Path(__file__).parents[2]
TOP = str(ROOT / "refimpl")
# Rooms whose tests are asked; those of kernels ask the kernels.
TESTS = ("autograd", "models", "decoding", "samplers", "tokenizers", "preprocessing", "training", "presets", "explain",
         "keras_api", "cli")  # fmt: skip
Lines = dict[str, set[int]]  # by file
Reach = dict[str, tuple[float, Lines]]  # by case or test: its seconds, and what it runs


def path_of(module: str) -> Path:
    """The file of a module of the definition."""
    return ROOT / Path(*module.split(".")).with_suffix(".py")


def reach_of(cases: list[Case], asked: Callable[[list[Case]], tuple[str, str] | None]) -> Reach:
    """Case id -> its seconds and which lines of the definition it runs; each in a process of its own."""
    import refimpl  # noqa: F401

    found = {}
    for case in cases:
        bad, *reached = apart(lambda case=case: traced(lambda: asked([case])))
        if bad:
            raise SystemExit(f"{case.id} fails without any mutant: {bad}.")
        found[case.id] = tuple(reached)
    return found


def apart(work: Callable[[], Any]) -> Any:
    """What `work` gives in a process of its own."""
    read, write = os.pipe()
    if not os.fork():
        with os.fdopen(write, "wb") as out:
            pickle.dump(work(), out)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as back:
        found = pickle.load(back)
    os.wait()
    return found


def traced(work: Callable[[], Any]) -> tuple[Any, float, Lines]:
    """A result, its seconds, and the lines that were run."""
    seen: Lines = {}

    def trace(frame: Any, event: str, _: Any) -> Any:
        file = frame.f_code.co_filename
        if not file.startswith(TOP):
            return None
        if event == "line":
            seen.setdefault(file, set()).add(frame.f_lineno)
        return trace

    began = time.perf_counter()
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        found = work()
    finally:
        sys.settrace(None)
        threading.settrace(None)
    return found, time.perf_counter() - began, seen


class Recorder:
    """A plugin of pytest: which functions each test that passes calls."""

    def __init__(self) -> None:
        self.found: Reach = {}
        self.failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        """Trace one test, its fixtures too."""
        seen: Lines = {}

        def trace(frame: Any, *_: Any) -> None:
            code = frame.f_code
            if code.co_filename.startswith(TOP):
                seen.setdefault(code.co_filename, set()).add(code.co_firstlineno)

        began = time.perf_counter()
        threading.settrace(trace)
        sys.settrace(trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            if item.nodeid not in self.failed:
                self.found[item.nodeid] = time.perf_counter() - began, seen

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Leave out a test that fails or is skipped without any mutant."""
        if not report.passed:
            self.failed.add(report.nodeid)


def reach_of_tests() -> Reach:
    """Test -> its seconds and the first lines of the functions that it calls."""
    recorder = Recorder()
    words = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", *(str(ROOT / "refimpl" / room) for room in TESTS)]
    pytest.main(words, plugins=[recorder])
    return recorder.found


def functions_at(file: Path) -> dict[int, set[int]]:
    """Line -> first lines of the functions that it belongs to."""
    found: dict[int, set[int]] = {}

    def codes(code: CodeType) -> Iterator[CodeType]:
        yield code
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                yield from codes(inner)

    for code in codes(compile(file.read_text(encoding="utf-8"), str(file), "exec")):
        for _, _, line in code.co_lines():
            if line:
                found.setdefault(line, set()).add(code.co_firstlineno)
    return found
