"""Every case against `refimpl`; the case's id is the test's id."""

import pytest

from conformance.adapters.refimpl import Refimpl
from conformance.cases import read_cases
from conformance.runner import run


@pytest.fixture(scope="module", params=[True, False], ids=["twin", "definition"])
def subject(request):
    adapter = Refimpl(jit_compile=request.param)
    yield adapter, adapter.start()["capabilities"]
    adapter.stop()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", read_cases(), ids=lambda case: case.id)
def test_case(case, subject):
    adapter, capabilities = subject
    (verdict,) = run(adapter, [case], capabilities)
    assert verdict.verdict == "pass", verdict.message
