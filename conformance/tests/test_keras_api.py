"""The adapter of everything that has KerasHub's API."""

from conformance.adapters import find
from conformance.suite.cases import GOLDEN


def test_lengths_of_one_case_are_gone_in_the_next() -> None:
    adapter = find("refimpl-definition")
    preset = {"preset": str(GOLDEN / "presets" / "bart_tiny")}
    own = adapter.load(preset)
    assert adapter.load(preset | {"encoder_sequence_length": 7})["encoder_sequence_length"] == 7
    assert adapter.load(preset) == own
