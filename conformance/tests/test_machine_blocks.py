"""Which names are right for a change by machine, and what the report says of them."""

import json

import pytest

from conformance.machine_mutants.blocks import ROOMS, figure, is_right, killer
from conformance.machine_mutants.campaign import all_changes, report
from conformance.machine_mutants.operators import Change
from conformance.mutants.blocks import names_at


def change(module, scope, text="a -> b"):
    return Change(f"refimpl.{module}", 1, 0, scope, text, (1,))


@pytest.mark.parametrize(
    ("module", "scope", "right", "wrong"),
    [("models.bart.backbone", "BartBackbone.feed_forward", "encoder.layer.0.feed_forward", "encoder.embed"),
     ("models.encoder_decoder", "EncoderDecoder.encode", "encoder.embed", "decoder.embed"),
     ("models.encoder_decoder", "EncoderDecoder.decoder_layer", "decoder.layer.1.cross_attention", "encoder.embed"),
     ("models.positions", "relative_buckets", "encoder.position_bias", "encoder.layer.0.self_attention"),
     ("models.t5.backbone", "T5Config", "models.t5", "models.bart"),
     ("models.bart.transformers", "", "presets.transformers", "models.bart"),
     ("models.inputs", "require_shapes", "models.inputs", "encoder.embed"),
     ("decoding.steps", "prefill", "cache", "samplers.greedy"),
     ("decoding.stop", "output_mask", "generate.stop", "samplers.loop")],
)  # fmt: skip
def test_the_place_of_a_change_says_which_names_are_right(module, scope, right, wrong):
    assert is_right(change(module, scope), right)
    assert not is_right(change(module, scope), wrong)


def test_every_change_has_names_that_are_right():
    places = {(each.module, each.scope) for room in ROOMS for each in all_changes()[room]}
    assert [place for place in places if not names_at(*place)] == []


def test_the_report_tells_how_many_blocks_are_named(tmp_path):
    texts = {"a": "models.bart#x", "b": "generate.stop#y", "c": "refimpl/test_x.py::test_y", "d": "(import)", "e": ""}
    drawn = [("decoding", change("decoding.stop", "output_mask", text)) for text in texts]
    known = {each.id: {"case": texts[each.text], "unreached": False} for _, each in drawn}
    assert [killer(room, each, known) for room, each in drawn] == ["cases", "cases", "tests", "end", ""]
    assert figure(drawn, known, tmp_path) == ""
    rows = [{"id": drawn[0][1].id, "block": "samplers.greedy"}, {"id": drawn[1][1].id, "block": "generate.stop"}]
    (tmp_path / "blocks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = figure(drawn, known, tmp_path)
    assert told.startswith("The suite names the faulty block of 50.0% of 2 mutants")
    assert "1 more are killed by tests beside the code alone, and 1 end at their import" in told
    assert told in report(drawn, known, told)
