"""Every case against `refimpl`; the case's id is the test's id."""

import functools

import pytest

from conformance.adapters.refimpl import Refimpl
from conformance.suite.cases import read_cases
from conformance.suite.runner import run

# Texts, folders and samplers alone know no kernels: there the definition is asked once more in the slower stage only,
# and so is all that was drawn.
COMPUTED = ("decoding", "generate", "invariance", "models", "training")
ASKED = [
    pytest.param(compiled, case, id=f"{name}-{case.id}", marks=[pytest.mark.slow] * (not compiled and late))
    for compiled, name in ((True, "twin"), (False, "definition"))
    for case in read_cases()
    for late in [case.chapter not in COMPUTED or "#drawn" in case.id]
]


@functools.cache
def subject():
    """One adapter for all cases: a fixture would load every preset again for each of them."""
    adapter = Refimpl()
    return adapter, adapter.start()["capabilities"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("compiled", "case"), ASKED)
def test_case(compiled, case):
    adapter, capabilities = subject()
    adapter.jit_compile = compiled
    (verdict,) = run(adapter, [case], capabilities)
    assert verdict.verdict == "pass", verdict.message
