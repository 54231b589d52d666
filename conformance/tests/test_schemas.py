"""The schemas in golden/schema say what files, messages and results really are."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from conformance.adapters.refimpl import Refimpl
from conformance.commands.report import content
from conformance.suite.cases import GOLDEN, read_cases
from conformance.suite.messages import answer, encode
from conformance.suite.runner import filled_in, run

FILES = [path for path in sorted(GOLDEN.glob("*/*.json")) if b'"format": 1' in path.read_bytes()[:40]]
RESULTS = sorted((Path(__file__).parents[1] / "results").glob("*.json"))
SCHEMAS = {path.stem: json.loads(path.read_text("utf-8")) for path in (GOLDEN / "schema").glob("*.json")}


def check(name, value, part=""):
    schema = SCHEMAS[name]
    if part:
        assert part in schema["$defs"]
        schema = {**schema, "$ref": f"#/$defs/{part}"}
        schema.pop("oneOf", None)
    Draft202012Validator(schema).validate(value)


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas(name):
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_files_of_cases(path):
    check("case", json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_published_results(path):
    check("result", json.loads(path.read_text("utf-8")))


def test_messages_of_every_operation(tmp_path):
    adapter, left = Refimpl(), {case.id: case for case in read_cases()}
    told = adapter.start()
    check("message", {"seq": 0, "op": "start", "args": {}})
    check("message", encode(told), "start result")
    seen = {"start"}
    for case in left.values():
        if {step["op"] for step in case.steps} <= seen:
            continue
        for n, step in enumerate(case.steps):
            args = filled_in(step, tmp_path / case.id, n)
            check("message", encode({"seq": n, "op": step["op"], "args": args}))
            reply = encode(answer(adapter, step["op"], args))
            check("message", {"seq": n, **reply})
            if "result" in reply:
                seen.add(step["op"])
                check("message", reply["result"], f"{step['op']} result")
    asked = {step["op"] for case in left.values() for step in case.steps}
    assert asked <= seen


def test_a_result_of_a_run():
    found = content(Refimpl().start(), list(run(Refimpl(), read_cases("models.logits")[:2])))
    check("result", json.loads(json.dumps(found)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("message", {"seq": 1, "op": "load", "args": {}}),
        ("message", {"seq": 1, "result": {}, "unsupported": "both"}),
        ("message", {"seq": 1, "error": {"kinds": [], "message": ""}}),
        ("case", {"format": 2, "flags": {}, "cases": []}),
        ("result", {"cases": [{"id": "a.b#c", "verdict": "passed"}]}),
    ],
)
def test_what_is_wrong_is_refused(name, value):
    with pytest.raises(ValidationError):
        check(name, value)
