"""What `make` keeps and asks again, without any producer."""

import copy

import h5py
import numpy as np
import pytest

from conformance.make.check import check, unlike
from conformance.make.kept import arrays_of, kept_cases, unchanged
from conformance.make.questions import all_questions
from conformance.suite.cases import GOLDEN
from conformance.suite.damage import damaged

H5 = "model.weights.h5"


@pytest.mark.slow
def test_every_question_is_answered_as_it_is_asked():
    """A question that was changed without `make` shows here."""
    questions = all_questions()
    ids = [question["id"] for question in questions]
    assert len(set(ids)) == len(ids)
    assert sorted(set(ids) - set(kept_cases(GOLDEN, questions))) == []


@pytest.mark.slow
def test_a_changed_question_is_asked_again():
    question = next(q for q in all_questions() if q["id"] == "models.logits#one-layer-ragged")
    case = kept_cases(GOLDEN, [question])[question["id"]]
    assert unchanged(question, case)
    for change in (
        lambda q: q.update(about="Something else."),
        lambda q: q["steps"][0]["args"].update(preset="bart_tiny"),
        lambda q: q["steps"][1]["expect"].update(shape={"logits": [1, 1, 1]}),
        lambda q: q["steps"][1].update(expect={"numeric": ["states"]}),
        lambda q: q.update(by="hand"),
        lambda q: q["steps"].append({"op": "logits", "args": {}}),
    ):
        other = copy.deepcopy(question)
        change(other)
        assert not unchanged(other, case)
    (array,) = arrays_of(case, GOLDEN / "models" / "logits.json").values()
    assert array.dtype == np.float64


def test_weights_are_scaled_and_rounded(tmp_path):
    place = "layers/transformer_encoder/_feedforward_output_dense/vars/0"
    source = GOLDEN / "presets" / "bart_dropout0"
    with h5py.File(source / H5) as file:
        kept = file[place][...]
    changes = [{"change": "scale-dataset", "file": H5, "dataset": place, "factor": 3}]
    for name, more, wanted in (
        ("scaled", [], kept * 3),
        ("half", [{"change": "round", "file": H5, "to": "float16"}], (kept * 3).astype(np.float16)),
    ):
        with h5py.File(damaged(source, changes + more, tmp_path / name) / H5) as file:
            assert np.array_equal(file[place][...], wanted.astype(np.float32))
    brain = damaged(source, [{"change": "round", "file": H5, "to": "bfloat16"}], tmp_path / "brain")
    with h5py.File(brain / H5) as file, h5py.File(GOLDEN / "presets" / "bart_bfloat16" / H5) as other:
        bits = other[place][...].view("<u2").astype("<u4") << 16  # as KerasHub rounds
        assert np.array_equal(file[place][...], bits.view("<f4"))


def test_check_compares_arrays_by_value_and_lets_dates_differ():
    path = GOLDEN / "models" / "logits.json"
    question = next(q for q in all_questions() if q["id"] == "models.logits#one-layer-ragged")
    case = kept_cases(GOLDEN, [question])[question["id"]]
    arrays = arrays_of(case, path)
    (name,) = arrays
    made = copy.deepcopy(case)
    made["provenance"]["date"] = "another"
    rule = made["steps"][1]["expect"]["numeric"]["logits"]
    rule["truth"] = "another name"
    assert unlike(case, arrays, made, {"another name": arrays[name]}) == []
    moved = arrays[name] + 1e-9
    assert unlike(case, arrays, made, {"another name": moved}) == [
        f"{case['id']}: the truth {name} comes out otherwise"
    ]
    rule["floor"] *= 5
    assert len(unlike(case, arrays, made, {"another name": arrays[name]})) == 1
    rule["floor"] /= 5
    made["steps"][1]["expect"]["shape"] = {"logits": [1]}
    (told,) = unlike(case, arrays, made, {"another name": arrays[name]})
    assert "steps[1].expect" in told


def test_check_names_what_it_can_not_find():
    assert check("no.such") == ["No case's id begins with no.such."]
