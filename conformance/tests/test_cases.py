"""Every case against `refimpl`; the case's id is the test's id."""

import pytest

from conformance.adapters.refimpl import Refimpl
from conformance.cases import read_cases
from conformance.runner import run

# Texts and folders know no kernels: there the definition is asked once more in the slower stage only.
COMPUTED = ("decoding", "generate", "invariance", "models", "samplers", "training")
ASKED = [
    pytest.param(compiled, case, id=f"{name}-{case.id}", marks=[pytest.mark.slow] * (not compiled and late))
    for compiled, name in ((True, "twin"), (False, "definition"))
    for case in read_cases()
    for late in [case.chapter not in COMPUTED]
]


@pytest.fixture(scope="module")
def subject(request):
    adapter = Refimpl(jit_compile=request.param)
    yield adapter, adapter.start()["capabilities"]
    adapter.stop()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("subject", "case"), ASKED, indirect=["subject"])
def test_case(subject, case):
    adapter, capabilities = subject
    (verdict,) = run(adapter, [case], capabilities)
    assert verdict.verdict == "pass", verdict.message
