"""The runner's own judgement: each kind of answer gets the verdict that it deserves."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import h5py
import numpy as np
import pytest

from conformance.__main__ import main
from conformance.adapters.command import Command
from conformance.commands.report import details, table, write_json, write_junit
from conformance.suite import compare
from conformance.suite.cases import GOLDEN, CaseError, read_cases
from conformance.suite.messages import UnsupportedError, decode, encode
from conformance.suite.runner import run, run_case

CASE = read_cases("tokenizers.vocabulary.look-up#ids-are-the-presets")[0]
RIGHT = CASE.steps[1]["expect"]["exact"]


class Fake:
    """Answers what it is told to."""

    def __init__(self, result):
        self.result = result

    def start(self):
        return {"implementation": "fake", "version": "1", "backend": "-", "capabilities": ["core"]}

    def load(self, args):
        assert Path(args["preset"]).is_dir()
        return {}

    def call(self, op, args):
        assert "expect" not in args, "a case is sent without its answer"
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def stop(self):
        pass


def verdict_of(result, expected=None):
    return next(iter(run(Fake(result), [CASE], ["core"], expected)))


def test_verdicts():
    assert verdict_of(RIGHT).verdict == "pass"
    wrong = verdict_of(RIGHT | {"ids": [5, 7, 22]})
    assert (wrong.verdict, wrong.message) == ("fail", "step 1 (vocabulary): ids[1] is 7, wanted 6")
    assert verdict_of(ValueError("no")).verdict == "error"
    assert verdict_of(UnsupportedError("not here")).verdict == "fail", "core can't be left out"
    probe = replace(CASE, capability="probe")
    assert run_case(Fake(RIGHT), probe, {"core"})[0] == "unsupported"
    assert run_case(Fake(UnsupportedError("no")), probe, {"core", "probe"})[0] == "unsupported"


def test_known_failures_have_a_reason_and_must_fail():
    assert verdict_of({}, {CASE.id: "known"}).verdict == "expected failure"
    assert verdict_of(RIGHT, {CASE.id: "known"}).verdict == "unexpected pass"


def test_numeric_is_judged_in_floors():
    truth = np.array([[1.0, 2.0]])
    near = compare.numeric("x", truth + 3e-7, truth, 1e-7)
    assert near.difference is None
    assert near.ratio == pytest.approx(3.0)
    assert compare.numeric("x", truth + 5e-7, truth, 1e-7).difference is not None, "the limit is 4 floors"
    far = compare.numeric("x", truth + np.array([[0, 1e-3]]), truth, 1e-7)
    assert "x[0, 1] is 2.001, wanted 2" in far.difference
    assert "NaN" not in far.difference
    assert compare.numeric("x", truth * np.nan, truth, 1.0).ratio == np.inf
    assert "shape" in compare.numeric("x", truth.T, truth, 1.0).difference


def test_the_99th_percentile_notices_what_is_slightly_wrong_everywhere():
    truth = np.zeros(1000)
    everywhere = compare.numeric("x", truth + 3.0, truth, 1.0, 0.5)
    assert (everywhere.ratio, everywhere.ratio_99) == (3.0, 6.0)
    assert "all over" in everywhere.difference
    one = compare.numeric("x", np.where(np.arange(1000) == 7, 3.0, 0.0), truth, 1.0, 0.5)
    assert (one.difference, one.ratio, one.ratio_99) == (None, 3.0, 0.0)


def test_searches_pass_by_their_alternatives_only():
    wanted = {"decoder_token_ids": [[2, 5, 6]], "alternatives": [[[2, 9, 6]]], "least_margin": [3.0]}
    assert compare.generation({"decoder_token_ids": [[2, 9, 6]]}, wanted).difference is None
    assert "no near-tie" in compare.generation({"decoder_token_ids": [[2, 9, 5]]}, wanted).difference
    wanted["profiles"] = {"int8": 100.0}
    assert compare.generation({"decoder_token_ids": [[2, 9, 5]]}, wanted, "int8").difference is None


def test_a_broken_adapter_is_told_from_a_broken_library(tmp_path, capsys):
    program = tmp_path / "port.py"
    program.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    m = json.loads(line)\n"
        "    print(json.dumps({'seq': m['seq'], 'result': {'implementation': 'x', 'capabilities': []}}), flush=True)\n"
    )
    assert main(["run", "--command", f"{sys.executable} {program}", "--only", CASE.id]) == 3
    said = capsys.readouterr().err
    assert all(words in said for words in ("lacks version", "must be answered by `unsupported`", "`echo` turned"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"capabilities": 7}, "capabilities as 7"),
        ({"capabilities": "core"}, "capabilities as 'core'"),
        ({"capabilities": [["core"]]}, "unknown capabilities"),
        ({"capabilities": ["core"], "lacks": ["a"]}, "lacks as ['a']"),
        ({"capabilities": ["core"], "lacks": {"a": 1}}, "lacks as {'a': 1}"),
        ({"capabilities": ["core"], "version": 1}, "version as 1"),
        ({"dtype": "no such", "shape": [1], "data": [1]}, "gives no answer"),
        ({"dtype": "float32", "shape": [1], "data": [1]}, "not an object"),
    ],
)
def test_a_greeting_of_another_form_is_the_adapters_fault(answer, said, tmp_path, capsys):
    greeting = {"implementation": "x", "version": "1", "backend": "-", **answer} if "dtype" not in answer else answer
    program = tmp_path / "port.py"
    program.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        f"    print(json.dumps({{'seq': json.loads(line)['seq'], 'result': {greeting!r}}}), flush=True)\n"
    )
    assert main(["run", "--command", f"{sys.executable} {program}", "--only", CASE.id]) == 3
    assert said in capsys.readouterr().err


def test_an_error_in_answer_to_start_is_no_verdict(tmp_path, capsys):
    program = tmp_path / "port.py"
    program.write_text('print(\'{"seq": 1, "error": {"message": "no licence"}}\', flush=True); input()')
    assert main(["run", "--command", f"{sys.executable} {program}", "--only", CASE.id]) == 3
    assert "no licence" in capsys.readouterr().err


def test_saved_weights_are_compared_bit_for_bit(tmp_path):
    preset = GOLDEN / "presets" / "bart_dropout0"
    shutil.copytree(preset, tmp_path / "saved")
    assert compare.saved_weights(tmp_path / "saved", preset) is None
    with h5py.File(tmp_path / "saved" / "model.weights.h5", "r+") as file:
        place = "layers/position_embedding/vars/0"
        file[place][0, 0] = np.nextafter(file[place][0, 0], np.float32(9))
    assert place in compare.saved_weights(tmp_path / "saved", preset)


def test_generation_is_tie_aware():
    wanted = {
        "decoder_token_ids": [[2, 5, 6, 7]],
        "margins": [[None, 900.0, 1.5, 900.0]],
        "runners_up": [[None, 1, 9, 1]],
    }
    assert compare.generation({"decoder_token_ids": [[2, 5, 6, 7]]}, wanted).difference is None
    assert "near-tie at step 2" in compare.generation({"decoder_token_ids": [[2, 5, 9, 3]]}, wanted).note
    assert "step 2" in compare.generation({"decoder_token_ids": [[2, 5, 8, 7]]}, wanted).difference
    assert "step 3" in compare.generation({"decoder_token_ids": [[2, 5, 6, 1]]}, wanted).difference
    assert "columns" in compare.generation({"decoder_token_ids": [[2, 5, 6]]}, wanted).difference


def test_a_near_tie_excuses_the_mask_of_its_own_row_only():
    wanted = {
        "decoder_token_ids": [[2, 5], [2, 5]],
        "margins": [[None, 1.5], [None, 900.0]],
        "runners_up": [[None, 9], [None, 1]],
        "decoder_padding_mask": [[1, 1], [1, 1]],
    }
    got = {"decoder_token_ids": [[2, 9], [2, 5]], "decoder_padding_mask": [[1, 0], [1, 1]]}
    assert compare.generation(got, wanted).difference is None
    got["decoder_padding_mask"] = [[1, 1], [1, 0]]
    assert "decoder_padding_mask" in compare.generation(got, wanted).difference
    del got["decoder_padding_mask"]
    assert "decoder_padding_mask" in compare.generation(got, wanted).difference


def test_errors_are_judged_by_kind_and_words():
    wanted = {"kinds": ["value"], "mentions": ["Pad"]}
    assert compare.error({"error": {"kinds": ["value"], "message": "pad it"}}, wanted) is None
    assert "kind type" in compare.error({"error": {"kinds": ["type"], "message": "pad"}}, wanted)
    assert "mention" in compare.error({"error": {"kinds": ["value"], "message": "no"}}, wanted)
    assert "no error" in compare.error({"result": {}}, wanted)


def test_reports(tmp_path):
    verdicts = [verdict_of(RIGHT), verdict_of({})]
    assert table(verdicts).splitlines()[1].split() == ["tokenizers", "2", "1", "1"]
    assert f"--only '{CASE.id}'" in details(verdicts, "--backend fake")
    write_json(tmp_path / "r.json", {"implementation": "fake"}, verdicts)
    assert [row["verdict"] for row in json.loads((tmp_path / "r.json").read_text())["cases"]] == ["pass", "fail"]
    write_junit(tmp_path / "r.xml", {}, verdicts)
    assert ElementTree.parse(tmp_path / "r.xml").getroot().get("failures") == "1"


def test_messages_survive_json():
    value = {"a": np.arange(6, dtype=np.float32).reshape(2, 3) / 7, "b": np.array([[True]]), "c": [1, "x", None]}
    back = decode(json.loads(json.dumps(encode(value))))
    assert back["a"].dtype == np.float32
    assert np.array_equal(back["a"], value["a"])
    assert (back["b"], back["c"]) == ([[True]], [1, "x", None])


def test_another_language_over_a_pipe(tmp_path):
    """A program that knows three operations and no more, as a new port would."""
    program = tmp_path / "port.py"
    program.write_text(
        "import json, sys\n"
        "who = {'implementation': 'port', 'version': '1', 'backend': '-', 'capabilities': ['core']}\n"
        "answers = {'start': who, 'load': {}}\n"
        f"answers['vocabulary'] = {RIGHT!r}\n"
        "for line in sys.stdin:\n"
        "    m = json.loads(line)\n"
        "    reply = {'result': answers[m['op']]} if m['op'] in answers else {'unsupported': 'not yet'}\n"
        "    print(json.dumps({'seq': m['seq'], **reply}), flush=True)\n"
    )
    port = Command(f"{sys.executable} {program}")
    assert port.start()["implementation"] == "port"
    verdicts = list(run(port, read_cases("tokenizers.vocabulary.look-up"), ["core"]))
    port.stop()
    assert {v.case.id: v.verdict for v in verdicts}[CASE.id] == "pass"
    assert main(["run", "--command", f"{sys.executable} {program}", "--only", CASE.id]) == 0


BREAKS = {
    "ends": "sys.exit(3)",
    "is silent": "time.sleep(60)",
    "says something else": "print('panicked at main.rs', flush=True)",
    "answers another message": "print(json.dumps({'seq': -1, 'result': {}}), flush=True)",
    "answers in no known form": "print(json.dumps({'seq': m['seq'], 'value': {}}), flush=True)",
}


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, id=name, marks=[pytest.mark.slow] * (name != "ends")) for name, fault in BREAKS.items()],
)
def test_no_answer_never_passes_and_spoils_no_other_case(fault, tmp_path):
    program = tmp_path / "port.py"
    program.write_text(
        "import json, sys, time\n"
        "for line in sys.stdin:\n"
        "    m = json.loads(line)\n"
        f"    if m['op'] == 'detokenize': {fault}\n"
        f"    else: print(json.dumps({{'seq': m['seq'], 'result': {RIGHT!r}}}), flush=True)\n"
    )
    wants_error = replace(
        CASE,
        id="tokenizers.x#1",
        steps=[
            CASE.steps[0],
            {"op": "detokenize", "expect": {"error": {"kinds": ["value", "key", "runtime", "json"]}}},
        ],
    )
    port = Command(f"{sys.executable} {program}", timeout=2)
    port.start()
    broken, next_one = run(port, [wants_error, CASE], ["core"])
    port.stop()
    assert broken.verdict == "error", broken.message
    assert next_one.verdict == "pass", next_one.message


def test_a_program_that_does_not_start_is_named(capsys):
    assert main(["run", "--command", "no-such-program", "--only", CASE.id]) == 3
    assert "no-such-program" in capsys.readouterr().err


def test_a_result_of_another_form_fails_its_case_only():
    rules = {"generation": {"decoder_token_ids": [[2]], "margins": [[None]], "runners_up": [[None]]}}
    case = replace(CASE, steps=[{"op": "generate", "expect": rules}])
    (verdict,) = run(Fake({"ids": [[2]]}), [case], ["core"])
    assert (verdict.verdict, "decoder_token_ids" in verdict.message) == ("fail", True)


def test_exit_codes(capsys):
    assert main(["run", "--only", "tokenizers.vocabulary.look-up"]) == 0
    assert main(["run", "--only", "no.such"]) == 2
    assert "No case id" in capsys.readouterr().err


def test_case_files_are_checked(tmp_path):
    (tmp_path / "tokenizers").mkdir()
    content = json.loads((GOLDEN / "tokenizers" / "bart.json").read_text(encoding="utf-8"))
    for key, value, problem in (
        ("id", "tokenizers.x", "slug"),
        ("flags", ["Nonsense"], "flag"),
        ("steps", [], "nothing"),
    ):
        broken = json.loads(json.dumps(content))
        broken["cases"][0][key] = value
        (tmp_path / "tokenizers" / "bart.json").write_text(json.dumps(broken))
        with pytest.raises(CaseError, match=problem):
            read_cases(folder=tmp_path)
