"""Adapters of engines: what they lack is unsupported, and their rows keep KerasHub's form."""

import json
from pathlib import Path
from typing import Any

from conformance.adapters import KNOWN, expected_file
from conformance.adapters.engine import Engine, settings_of
from conformance.suite.cases import read_cases
from conformance.suite.runner import run

# Programs are asked by --command and name their file by --expected.
OVER_THE_WIRE = {"transformers-js", "transformers-flax", "torchtext"}


class Parrot(Engine):
    """Says 7 until it stops with 5; knows no logits."""

    def __init__(self) -> None:
        self.special = {"eos": 5, "pad": 0, "bos": 3, "decoder_start": 5}

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        return {}

    def decode(self, sources: Any, prompts: Any, length: int, stops: Any, sampler: Any) -> list[list[int]]:
        return [[*prompt, 7, 5, 9, 9, 9, 9, 9, 9][:length] for prompt in prompts]


def test_rows_stop_are_padded_and_keep_their_order() -> None:
    inputs = {
        "encoder_token_ids": [[3, 5], [3, 5], [3, 5]],
        "encoder_padding_mask": [[True, True]] * 3,
        "decoder_token_ids": [[5, 3, 8, 8, 8], [5, 0, 0, 0, 0], [5, 3, 0, 0, 0]],
        "decoder_padding_mask": [[1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0]],
    }
    found = Parrot().op_generate(inputs)
    assert found["decoder_token_ids"].tolist() == [[5, 3, 8, 8, 8], [5, 7, 5, 0, 0], [5, 3, 7, 5, 0]]
    assert found["decoder_padding_mask"].sum(axis=1).tolist() == [5, 3, 4]


def test_an_engine_is_not_failed_for_what_it_lacks() -> None:
    cases = [case for case in read_cases() if case.id.startswith(("presets.save", "models.logits", "tokenizers.input"))]
    verdicts = list(run(Parrot(), cases, Parrot.capabilities, None, lacks=Engine.lacks))
    assert {v.verdict for v in verdicts} == {"unsupported"}
    assert "converted" in next(v.message for v in verdicts if v.case.id.startswith("presets."))
    assert "fail" in {v.verdict for v in run(Parrot(), cases, ("core",))}


def test_expected_failures_name_cases_that_there_are() -> None:
    ids = {case.id for case in read_cases()}
    for file in (Path(__file__).parents[1] / "adapters" / "expected").glob("*.json"):
        assert file == expected_file(file.stem)
        assert set(json.loads(file.read_text("utf-8"))) <= ids, file.name
        assert file.stem in KNOWN or file.stem in OVER_THE_WIRE


def test_samplers_of_keras_hub_have_short_names() -> None:
    assert settings_of({"class_name": "keras_hub>TopKSampler", "config": {"k": 3}}) == ("top_k", {"k": 3})
    assert settings_of("beam") == ("beam", {})
