"""Each divergence of KerasHub can be switched on in refimpl, and then gives what KerasHub gave."""

import pytest

from conformance.adapters.refimpl_quirks import RefimplQuirks
from conformance.quirks import BACKENDS, Quirk, all_quirks, switched_on
from conformance.quirks.proof import UNRECORDED, agreement, difference, links, live_differences, problem, replies_to
from conformance.suite.cases import read_cases
from conformance.suite.divergences import read_divergences
from conformance.suite.runner import run_case

LINKS = list(links())


ON_JAX = {link.case.id for link in LINKS if link.backend == "jax"}
# Most divergences are the same on all backends: the others' answers are left to the slower stage.
MARKED = [
    pytest.param(link, id=str(link), marks=[pytest.mark.slow] * (link.backend != "jax" and link.case.id in ON_JAX))
    for link in LINKS
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("link", MARKED)
def test_divergence_is_explained(link):
    """Without the quirk refimpl passes and KerasHub fails; with it refimpl gives KerasHub's answer."""
    told = problem(link)
    if told == UNRECORDED:
        pytest.skip(told)
    assert told is None


def test_every_divergence_has_a_quirk_or_a_reason():
    made = {quirk.divergence for backend in BACKENDS for quirk in all_quirks(backend)}
    entries = {entry.name: entry for entry in read_divergences()}
    assert made <= set(entries)
    assert {name for name, entry in entries.items() if not entry.quirk} == made
    assert all(entry.quirk.startswith("none (") for entry in entries.values() if entry.quirk)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", BACKENDS)
def test_with_all_quirks_on_refimpl_is_keras_hub(backend):
    both, strayed, unlike = agreement(backend)
    print(f"{backend}: {both} cases pass in both, {strayed} give KerasHub's own answer, {len(unlike)} differ")
    assert both > 150
    assert strayed > 25
    assert not unlike


@pytest.mark.filterwarnings("ignore")
def test_the_adapter_switches_quirks_on_and_off():
    case = read_cases("generate.input.unchanged#dictionary")[0]
    adapter = RefimplQuirks()
    assert adapter.start()["implementation"] == "refimpl_quirks"
    assert run_case(adapter, case, {"core"}).verdict == "fail"
    adapter.stop()
    assert run_case(adapter, case, {"core"}).verdict == "pass"


def test_differences_are_seen():
    case = read_cases("samplers.temperature.zero#greedy")[0]
    with switched_on([]):
        replies = replies_to(RefimplQuirks(), case)
    assert difference(case, replies, [{"result": {"ids": [[[0] * 7] * 2]}}])
    assert difference(case, replies, [{"error": {"kinds": ["value"], "message": ""}}])
    assert difference(case, replies, [{"result": replies[0]["result"]}]) is None


def test_a_quirk_whose_place_is_gone_says_so():
    gone = Quirk("gone", (("refimpl.errors", "NoSuchThing", lambda right: right),))
    with pytest.raises(LookupError, match="mend the quirk"), switched_on([gone]):
        pass


@pytest.mark.peers
def test_every_answer_is_recorded():
    assert [str(link) for link in LINKS if problem(link) == UNRECORDED] == []


@pytest.mark.peers
def test_keras_hub_still_answers_as_it_did():
    assert live_differences() == []
