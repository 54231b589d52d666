"""Coverage of conditions is held at what was reached, and what is counted is what the cases ask."""

from conformance.coverage.draw import needed, pairs_of
from conformance.coverage.facts import mask_kind
from conformance.coverage.pairs import Section, fits, sections

VALUES = {"a": [1, 2, "3-"], "b": [True, False], "c": ["p", "q"]}
NEVER = [{"a": [1], "b": [True], "why": "never"}, {"a": [2], "b": [True], "c": ["p"], "why": "nor that"}]
SMALL = Section("x/y", [], {}, VALUES, NEVER)


def test_no_section_falls_below_what_it_must_have():
    for section in sections():
        missing, possible = section.missing()
        assert 100 * (1 - len(missing) / possible) >= section.least, (section.name, missing[:9])


def test_every_impossible_pair_has_a_reason_and_names_values_that_are_there():
    for section in sections():
        for rule in section.impossible:
            assert rule["why"], section.name
            named = {name: values for name, values in rule.items() if name != "why"}
            assert all(name in section.dimensions for name in named), (section.name, rule)


def test_values_are_told_apart():
    assert fits(3, "3-")
    assert fits(32, "2-32")
    assert not fits(33, "2-32")
    assert fits("one by one", "one by one")
    assert not fits(1, True), "a number is no switch"
    kinds = {
        "full": [[True]],
        "ragged": [[True, False]],
        "holes": [[False, True]],
        "empty": [[False]],
        "numbers": [[1]],
    }
    assert {kind: mask_kind(mask) for kind, mask in kinds.items()} == {kind: kind for kind in kinds}


def test_rows_that_are_drawn_reach_all_that_is_possible():
    rows = needed(SMALL, set(), seed=1)
    assert rows == needed(SMALL, set(), seed=1)
    reached = set().union(*(pairs_of(row) for row in rows))
    possible = {pair for pair in SMALL.pairs() if SMALL.why_impossible(pair) is None}
    assert reached == possible
    assert not any(row["a"] == 2 and row["b"] is True and row["c"] == "p" for row in rows)
    assert needed(SMALL, reached, seed=1) == []
