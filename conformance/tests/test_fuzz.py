"""The fuzzer: what it draws loads, what differs is found and shrunk, and a campaign loses and doubles nothing."""

import json
import os
import signal
import time
from dataclasses import replace

import pytest

pytest.importorskip("hypothesis")

from conformance.__main__ import main
from conformance.fuzz.ledger import Ledger, LedgerError
from conformance.fuzz.options import ARCHITECTURES
from conformance.fuzz.unit import Plan, Report, duel_of, run_unit
from conformance.suite.cases import read_cases

STRAY = "conformance.tests.strays:"
TOKENIZE = Plan("refimpl", STRAY + "SmallLetters", calls=("tokenize",), examples=15, shrink=30)


SCALES = {kind: [0.5, 1.0] for kind in ("gamma", "beta", "bias", "kernel", "table", "position")}
MODEL = {
    "sizes": {"num_layers": 1, "num_heads": 2, "hidden_dim": 6, "intermediate_dim": 5, "dropout": 0.0,
              "max_sequence_length": 12},
    "merges": [["h", "e"]], "rotate": 7, "spare_ids": 2,
    "weights": {"seed": 3, "scales": SCALES, "flat_rows": [1], "equal_rows": [4, 5]},
}  # fmt: skip


def test_a_drawn_model_loads_and_a_difference_is_told():
    call = {"op": "tokenize", "load": {}, "args": {"text": ["he A"]}}
    told = duel_of(TOKENIZE).difference({"model": MODEL, "call": call})
    assert (told.signature, told.a != told.b) == ("tokenize: other result", True)
    call["args"]["text"] = ["he a"]
    assert duel_of(TOKENIZE).difference({"model": MODEL, "call": call}) is None


@pytest.mark.slow
def test_what_differs_is_shrunk_and_a_unit_does_the_same_wherever_it_runs():
    plan = replace(TOKENIZE, shrink=1000, models=("bart",))
    report = run_unit(plan, 0)
    assert report.finding["question"]["call"]["args"]["text"] == ["A1b2-!?"], "nothing smaller has a capital letter"
    merges = report.finding["question"]["model"]["merges"]
    assert len(merges) == 1, "KerasHub loads no tokenizer without one"
    again = run_unit(plan, 0)
    assert (again.finding, again.asked) == (report.finding, report.asked)


@pytest.mark.parametrize(
    "architecture", ["t5", *(pytest.param(a, marks=pytest.mark.slow) for a in ARCHITECTURES if a != "t5")]
)
def test_numbers_of_one_implementation_agree_with_themselves(architecture):
    plan = Plan("refimpl", "refimpl", calls=("logits", "cached_logits"), examples=4, models=(architecture,))
    report = run_unit(plan, 0)
    assert report.finding is None
    assert report.asked >= 4


def test_one_loads_what_the_other_saved():
    call = {"op": "tokenize", "load": {}, "args": {"text": ["he A"]}}
    plan = Plan("refimpl", STRAY + "Saver", calls=("tokenize",))
    question = {"model": MODEL, "call": call, "saved_by": "a"}
    assert duel_of(plan).difference(question) is None
    assert duel_of(plan).difference(question | {"saved_by": "b"}).signature == "tokenize: other result"


@pytest.mark.parametrize(
    ("stray", "tied", "signature"),
    [
        ("WithoutPiece", True, None),
        ("WithoutPiece", False, "generate: result and IndexError"),
        ("Fails", True, "generate: result and IndexError"),
        ("Ends", True, "generate: result and broken"),
    ],
)
def test_only_a_missing_piece_of_a_token_that_is_as_good_excuses_an_error(stray, tied, signature):
    lengths = {"encoder_sequence_length": 6, "decoder_sequence_length": 6}
    call = {"op": "generate", "load": lengths, "args": {"inputs": ["he"], "stop_token_ids": None}}
    drawn = {"scales": SCALES | {"table": [0.0 if tied else 0.5, 1.0]}, "flat_rows": []}
    model = MODEL | {"weights": MODEL["weights"] | drawn}
    told = duel_of(Plan("refimpl", STRAY + stray)).difference({"model": model, "call": call})
    assert (told and told.signature) == signature


def test_a_unit_is_entered_once(tmp_path):
    plan = Plan("a", "b")
    ledger = Ledger(tmp_path, plan)
    found = {"signature": "s: t", "told": "", "question": {}, "a": "", "b": ""}
    assert ledger.enter(Report(3, 10, 1.0, found)) is not None
    assert ledger.enter(Report(3, 10, 1.0, found)) is None
    assert ledger.enter(Report(4, 10, 1.0, found)) is None, "a known kind of difference is no new finding"
    with (tmp_path / "units.jsonl").open("a") as file:
        file.write('{"unit": 5, "as')  # the machine went down here
    again = Ledger(tmp_path, plan, resume=True)
    assert (again.done, again.asked, again.current_plan.known) == ({3, 4}, 20, ("s: t",))
    again.enter(Report(5, 10, 1.0))
    assert Ledger(tmp_path, plan, resume=True).done == {3, 4, 5}, "the row after the one that was cut off counts"
    with pytest.raises(LedgerError, match="already"):
        Ledger(tmp_path, plan)
    with pytest.raises(LedgerError, match="other settings"):
        Ledger(tmp_path, Plan("a", "c"), resume=True)


@pytest.mark.parametrize("option", ["--calls", "--models"])
def test_wrong_words_are_named(option, capsys):
    assert main(["fuzz", option, "fly"]) == 2
    assert "fly" in capsys.readouterr().err


@pytest.mark.slow
def test_a_campaign_in_processes_resumes_and_replays(tmp_path, capsys):
    words = ["fuzz", "--a", "refimpl", "--b", STRAY + "SmallLetters", "--calls", "tokenize", "--examples", "15",
             "--seconds", "200", "--workers", "2", "--out", str(tmp_path / "out")]  # fmt: skip
    assert main([*words, "--units", "2"]) == 1
    assert main([*words, "--units", "4", "--resume"]) == 1
    rows = [json.loads(line) for line in (tmp_path / "out" / "units.jsonl").read_text().splitlines()]
    assert sorted(row["unit"] for row in rows) == [0, 1, 2, 3]
    (finding,) = (tmp_path / "out" / "findings").glob("*.json")
    assert main(["fuzz", "--replay", str(finding), "--golden", str(tmp_path / "golden")]) == 1
    assert "A1b2" in capsys.readouterr().out
    (case,) = read_cases(folder=tmp_path / "golden")
    assert case.steps[1]["expect"]["exact"]["ids"]


@pytest.mark.slow
def test_a_unit_that_ends_its_process_is_a_finding(tmp_path):
    words = ["fuzz", "--a", "refimpl", "--b", STRAY + "Crashes", "--calls", "tokenize", "--seconds", "200"]
    assert main([*words, "--units", "1", "--out", str(tmp_path)]) == 1
    assert [path.name for path in (tmp_path / "findings").glob("*.json")] == ["000000-crash-of-unit-0.json"]


@pytest.mark.slow
def test_a_cluster_loses_a_worker_and_nothing_else(tmp_path):
    distributed = pytest.importorskip("distributed")
    from conformance.fuzz import campaign
    from conformance.fuzz.workers import Cluster

    plan = Plan("refimpl", STRAY + "SmallLetters", calls=("tokenize", "detokenize"), examples=5)
    ledger = Ledger(tmp_path, plan)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        pool = Cluster(cluster.scheduler_address)
        doomed = _pids(pool)[0]
        entered = []

        def enter(report, right=ledger.enter):
            entered.append(report.unit)
            if len(entered) == 3:
                os.kill(doomed, signal.SIGKILL)
            return right(report)

        ledger.enter = enter
        campaign.give_out(pool, ledger, seconds=300, most=12)
        deadline = time.monotonic() + 20
        while doomed in _pids(pool) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert doomed not in _pids(pool), "it was really lost"
        pool.close()
    units = [json.loads(line)["unit"] for line in (tmp_path / "units.jsonl").read_text().splitlines()]
    assert sorted(units) == list(range(12)), "each unit once"
    assert len(ledger.signatures) == 1


def _pids(pool):
    """The cluster's processes."""
    return list(pool.client.run(os.getpid).values())
