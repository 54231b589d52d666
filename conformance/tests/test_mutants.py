"""Each mutant is noticed; all of them in the slower stage, a few always."""

import pytest

from conformance.adapters.refimpl import Refimpl
from conformance.mutants import Mutant, all_mutants, killer
from conformance.suite.cases import read_cases
from conformance.suite.clauses import read_clauses
from conformance.suite.runner import run

MUTANTS = all_mutants()


def test_names_and_clauses():
    names = [mutant.name for mutant in MUTANTS]
    assert len(set(names)) == len(names) >= 30
    assert {clause for mutant in MUTANTS for clause in mutant.clauses} <= set(read_clauses())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mutant", MUTANTS[::100], ids=lambda mutant: mutant.name)
def test_some_mutants_are_killed(mutant):
    assert killer(mutant), "the suite does not notice"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_is_killed(mutant):
    assert killer(mutant), "the suite does not notice"


def test_afterwards_refimpl_is_right_again():
    cases = read_cases("models.logits")
    adapter = Refimpl(jit_compile=False)
    with MUTANTS[0].active():
        assert any(v.bad for v in run(adapter, read_cases("models"), adapter.capabilities))
    assert not any(v.bad for v in run(adapter, cases, adapter.capabilities))


def test_every_mutant_has_its_place():
    for mutant in MUTANTS:
        with mutant.active():
            pass


def test_a_mutant_whose_place_is_gone_says_so():
    gone = Mutant("gone", "-", (), (("refimpl.errors", "NoSuchThing", lambda right: right),))
    with pytest.raises(LookupError, match="mend the mutant"), gone.active():
        pass
