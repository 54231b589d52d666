"""The pytest plugin: cases are items, verdicts are pytest's own, and without its options nothing happens."""

import pytest

from conformance.suite.cases import read_cases

pytest_plugins = ["pytester"]
PORT = """
from conformance.adapters.refimpl import Refimpl

class Port(Refimpl):
    def op_vocabulary(self, tokens=(), ids=()):
        return super().op_vocabulary(tokens, ids) | {"size": 3}
"""
ARGS = ["-p", "conformance.pytest_plugin", "-p", "no:cacheprovider"]
ONLY = "--conformance-only=tokenizers.vocabulary"
ASKED = sum(case.id.startswith("tokenizers.vocabulary.") for case in read_cases())


@pytest.fixture
def rest(pytester, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(port=PORT)
    pytester.makepyfile(test_mine="def test_one(): pass")
    return pytester


def test_cases_are_items(rest):
    result = rest.runpytest_inprocess(*ARGS, "--conformance-backend=port:Port", ONLY, "-v")
    result.assert_outcomes(passed=ASKED, failed=1)  # test_mine.py, and all cases but the one
    result.stdout.fnmatch_lines(["*size is 3, wanted 23*"])
    chosen = rest.runpytest_inprocess(*ARGS, "--conformance-backend=port:Port", ONLY, "-k", "unknown-token")
    chosen.assert_outcomes(passed=1, deselected=ASKED)


def test_known_failures_are_xfail(rest):
    rest.makefile(".json", known='{"tokenizers.vocabulary.look-up#ids-are-the-presets": "counts its words wrongly"}')
    words = [*ARGS, "--conformance-backend=port:Port", ONLY, "--conformance-expected-failures=known.json"]
    rest.runpytest_inprocess(*words).assert_outcomes(passed=ASKED, xfailed=1)


def test_other_runs_are_not_disturbed(rest):
    rest.runpytest_inprocess(*ARGS).assert_outcomes(passed=1)
