"""The figures of the mutants, and the null variants that the suite must leave alone."""

import pytest

from conformance.mutants import all_mutants
from conformance.mutants.blocks import right_names
from conformance.mutants.campaign import MUTANTS, figures, judge, run_mutants
from conformance.mutants.kept import Kept, OtherCodeError, Result, fingerprint
from conformance.mutants.nulls import NULLS
from conformance.suite.cases import read_cases
from conformance.suite.compare import floors
from conformance.suite.runner import PROFILES, run

KILLED = Result("x", "models.logits#a", "m", "logits", named=True)


def test_figures_are_held_to_what_they_must_be(capsys):
    mutants = all_mutants()[:20]
    assert not figures(mutants, [KILLED] * 20, [Result("n")], part=False) or len(mutants) >= MUTANTS
    assert figures(mutants, [KILLED] * 19, [Result("n")], part=True)
    assert not figures(mutants, [KILLED] * 18, [], part=True), "90 % killed"
    assert not figures(mutants, [KILLED] * 20, [KILLED], part=True), "a null variant flagged"
    assert not figures(mutants, [KILLED] * 15 + [Result("x", "c", "", "cli")] * 5, [], part=True), "75 % named"
    assert "MISSED" in capsys.readouterr().out


def test_every_mutant_has_a_block():
    assert all(right_names(mutant) for mutant in all_mutants())


def test_results_are_kept_and_not_asked_again(tmp_path, capsys):
    file = tmp_path / "results.jsonl"
    kept = Kept(file)
    (mutant,) = [mutant for mutant in all_mutants() if mutant.name == "gelu-tanh"]
    kept.add("mutant", Result(mutant.name, "models.logits#a", "m", "encoder.layer.0.feed_forward", True, 0.5))
    with file.open("a") as more:
        more.write('["mutant", {"name": "cut o')
    again = Kept(file)
    assert again.found == kept.found
    again.add("null", Result("plain"))
    assert Kept(file).found == again.found, "the row after the one that was cut off counts"
    assert run_mutants("gelu-tanh", keep=file) == 0
    assert "1 killed, 100.0%" in capsys.readouterr().out
    file.write_text(file.read_text().replace(fingerprint(), "0"))
    with pytest.raises(OtherCodeError, match="other code"):
        Kept(file)
    assert run_mutants("gelu-tanh", keep=file) == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_mutant_is_judged():
    found = judge("gelu-tanh")
    assert (found.block, found.named) == ("encoder.layer.0.feed_forward", True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("null", [null for null in NULLS if null.threads == "1"], ids=lambda null: null.name)
def test_null_variants_are_left_alone(null):
    cases = [case for case in null.cases(read_cases()) if case.chapter in ("models", "decoding")]
    with null.active() as adapter:
        bad = [v for v in run(adapter, cases, adapter.start()["capabilities"]) if v.bad]
    assert not bad, bad[0].message


def test_every_numeric_case_has_floors_for_each_profile():
    """But for training, and for the drawn cases: their producers were asked in float32 and float64 alone."""
    rules = [rule for case in read_cases() if case.chapter != "training" and "#drawn-" not in case.id
             for step in case.steps for rule in step.get("expect", {}).get("numeric", {}).values()]  # fmt: skip
    assert rules
    for rule in rules:
        found = {profile: floors(rule, profile) for profile in PROFILES}
        missing = [profile for profile, pair in found.items() if pair is None or None in pair]
        assert missing in ([], ["int8"]), "PyTorch's int8 can't be silenced for rows without source"
        assert found["float32"][0] < min(found["float16"][0], found["bfloat16"][0])
