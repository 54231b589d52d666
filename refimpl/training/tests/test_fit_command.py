"""`refimpl fit`: rows, output, resuming."""

import json

import numpy as np
import pytest

from refimpl.cli import main
from refimpl.errors import TrainingDataError
from refimpl.models import Seq2SeqLM
from refimpl.training.grouping import LengthGroups
from refimpl.training.rows import read_pairs
from refimpl.training.tests.small import TEXTS, same, task

PAIRS = list(zip(TEXTS["encoder_text"], TEXTS["decoder_text"], strict=True))
COLUMNS = ("encoder_text", "decoder_text")


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("\t".join(COLUMNS) + "\n" + "".join(f"{a}\t{b}\n" for a, b in PAIRS), encoding="utf-8")
    return path


@pytest.fixture
def preset(tmp_path):
    lm = task()
    lm.save_to_preset(tmp_path / "preset")
    return tmp_path / "preset"


def fit(data, preset, out, *options):
    wanted = ["--data", data, "--preset", preset, "--out", out, "--learning-rate", "0.01", "--batch-size", "3"]
    return main(["fit", *map(str, wanted), *map(str, options)])


def test_the_folder_is_a_preset_of_the_best_epoch(data, preset, tmp_path, capsys):
    out = tmp_path / "out"
    assert fit(data, preset, out, "--epochs", 3, "--validation-split", 0.25) == 0
    assert {"config.json", "last", "log.csv", "model.weights.h5"} <= {path.name for path in out.iterdir()}
    assert not (out / "best").exists()
    lm, before = Seq2SeqLM.from_preset(out), Seq2SeqLM.from_preset(preset)
    assert not same(lm, before)
    assert isinstance(lm.generate("air plane"), str)
    assert len((out / "log.csv").read_text().splitlines()) == 4
    assert "3/3" in capsys.readouterr().out


def test_a_stopped_run_goes_on_to_the_same_weights(data, preset, tmp_path):
    fit(data, preset, tmp_path / "whole", "--epochs", 2)
    fit(data, preset, tmp_path / "parts", "--epochs", 1)
    assert fit(data, preset, tmp_path / "parts", "--epochs", 2) == 1  # neither new nor --resume
    assert fit(data, preset, tmp_path / "parts", "--epochs", 2, "--resume") == 0
    whole, parts = (Seq2SeqLM.from_preset(tmp_path / name / "last") for name in ("whole", "parts"))
    assert same(whole, parts)
    assert (tmp_path / "whole" / "log.csv").read_text() == (tmp_path / "parts" / "log.csv").read_text()
    assert same(*(Seq2SeqLM.from_preset(tmp_path / name) for name in ("whole", "parts")))


def test_a_picture_of_the_scores(data, preset, tmp_path):
    pytest.importorskip("matplotlib")
    fit(data, preset, tmp_path / "out", "--epochs", 2)
    assert (tmp_path / "out" / "learning_curve.png").read_bytes().startswith(b"\x89PNG")


def test_all_formats_give_the_same_pairs(data, tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text(",".join(["n", *COLUMNS]) + "\n" + "".join(f'1,"{a}",{b}\n' for a, b in PAIRS), encoding="utf-8")
    lines = tmp_path / "pairs.jsonl"
    lines.write_text("".join(json.dumps(dict(zip(COLUMNS, p, strict=True))) + "\n" for p in PAIRS), encoding="utf-8")
    read = [read_pairs(path, COLUMNS) for path in (data, table, lines)]
    assert read[0] == read[1] == read[2] == (TEXTS["encoder_text"], TEXTS["decoder_text"], 0)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.tsv", b"encoder_text\tdecoder_text\na\tb\nc\n", "line 3: it has 1 fields"),
        ("a.tsv", b"encoder_text\tdecoder_text\na\tb\nc\t\xff\n", "line 3: it is no UTF-8"),
        ("a.csv", b"encoder_text,decoder_text\na,b\n,c\n", "line 3: 'encoder_text' is ''"),
        ("a.jsonl", b'{"encoder_text": "a", "decoder_text": "b"}\n{"encoder_text": "a"\n', "line 2: it is no JSON"),
        ("a.jsonl", b'{"encoder_text": "a", "decoder_text": "b"}\n\n[1]\n', "line 3: it holds"),
        ("a.jsonl", b'{"encoder_text": "a", "decoder_text": "b"}\n{"encoder_text": "a"}\n', "line 2: there is no"),
        ("a.jsonl", b'{"encoder_text":"a","decoder_text":"b"}\n{"encoder_text":"\\ud800"}', "line 2: .enc.* is"),
        ("a.json", b'[{"encoder_text": "a", "decoder_text": "b"},\n{"encoder_text": "a"}]', "row 2: there is no"),
        ("a.tsv", b"encoder_text\tdecoder_text\na\tb\nc\0d\tb\n", r"line 3: 'encoder_text' is 'c.x00d'"),
        ("a.csv", b"encoder_text,decoder_text\na,b\nc\rd,e\n", "line 3: it is no CSV"),
        ("a.csv", b'encoder_text,decoder_text\na,b\nc,"d\ne,f\n', "line 3: it is no CSV"),
        ("a.csv", b'encoder_text,decoder_text\n"c\n\xff",d\na,b\n', "line 2: it is no UTF-8"),
        ("a.csv", b"encoder_text,decoder_text\na,b\nc," + b"d" * 140_000, "line 3: it is no CSV .field larger"),
    ],
)
def test_a_bad_row_is_named_or_left_out(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingDataError, match=problem):
        read_pairs(tmp_path / name, COLUMNS)
    assert read_pairs(tmp_path / name, COLUMNS, skip_bad=True) == (["a"], ["b"], 1)


@pytest.mark.parametrize(
    ("name", "content", "pairs"),
    [
        ("utf16.tsv", "encoder_text\tdecoder_text\r\nÅ\tb\r\n".encode("utf-16"), [("Å", "b")]),
        ("bom.tsv", "\ufeffencoder_text\tdecoder_text\na\tb\n".encode(), [("a", "b")]),
        ("bom.jsonl", '\ufeff{"encoder_text": "a", "decoder_text": "b"}'.encode(), [("a", "b")]),
        ("list.json", '\ufeff\n[{"encoder_text": "a",\n"decoder_text": "b"}]'.encode(), [("a", "b")]),
        ("lines.json", b'{"encoder_text": "a", "decoder_text": "b"}\n', [("a", "b")]),
        ("list.jsonl", b'[{"encoder_text": "a", "decoder_text": "b"}]', [("a", "b")]),
        ("return.tsv", b"encoder_text\tdecoder_text\na\rb\tc\r\n", [("a\rb", "c")]),
        ("returns.tsv", b"encoder_text\tdecoder_text\ra\tb\r", [("a", "b")]),
        ("return.csv", b'encoder_text,decoder_text\r\n"a\rb\r\nc",d\r\n', [("a\rb\nc", "d")]),
        ("long.tsv", b"encoder_text\tdecoder_text\n" + b"a" * 140_000 + b"\tb\n", [("a" * 140_000, "b")]),
    ],
)
def test_what_other_programs_write(tmp_path, name, content, pairs):
    (tmp_path / name).write_bytes(content)
    sources, targets, bad = read_pairs(tmp_path / name, COLUMNS)
    assert list(zip(sources, targets, strict=True)) == pairs
    assert not bad


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("space.csv", b"encoder_text, decoder_text\na, b\n", "' decoder_text'.*without spaces"),
        ("semicolon.csv", b"encoder_text;decoder_text\na;b\n", "encoder_text;decoder_text.*commas"),
        ("latin.tsv", b"\xe9\tdecoder_text\na\tb\n", "no UTF-8"),
        ("cut.tsv", "encoder_text\tdecoder_text\na\tb\n".encode("utf-16")[:-1], "UTF-16"),
    ],
)
def test_a_table_of_another_form_is_named(tmp_path, name, content, problem):
    (tmp_path / name).write_bytes(content)
    for skip_bad in (False, True):
        with pytest.raises(TrainingDataError, match=problem):
            read_pairs(tmp_path / name, COLUMNS, skip_bad)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.txt", b""), ("a.tsv", b""), ("a.tsv", b"x\ty\na\tb\n"), ("a.tsv", b"encoder_text\tdecoder_text\n")],
)
def test_files_that_can_not_be_used(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TrainingDataError):
        read_pairs(tmp_path / name, COLUMNS, skip_bad=True)
    with pytest.raises(TrainingDataError):
        read_pairs(tmp_path / "none.tsv", COLUMNS)


def test_skipped_rows_are_counted(data, preset, tmp_path, capsys):
    data.write_text(data.read_text() + "one field\n")
    assert fit(data, preset, tmp_path / "out", "--epochs", 1) == 1
    assert "line 10" in capsys.readouterr().err
    assert fit(data, preset, tmp_path / "out", "--epochs", 1, "--skip-bad") == 0
    assert "left out 1 of 9 rows" in capsys.readouterr().err


@pytest.mark.slow
def test_schedules_and_optimizers(data, preset, tmp_path):
    for n, options in enumerate((["--cosine"], ["--cosine", "--warmup-steps", 2], ["--warmup-steps", 2])):
        assert fit(data, preset, tmp_path / str(n), "--epochs", 1, "--optimizer", "adamw", *options) == 0
    assert (
        fit(data, preset, tmp_path / "sgd", "--epochs", 1, "--optimizer", "sgd", "--clipnorm", 1, "--patience", 1) == 0
    )
    logs = [(tmp_path / name / "log.csv").read_text() for name in ("0", "1", "2", "sgd")]
    assert len(set(logs)) > 1
    assert np.isfinite([float(line.split(",")[2]) for log in logs for line in log.splitlines()[1:]]).all()


@pytest.mark.slow
def test_from_scratch_draws_new_weights_by_the_seed(data, preset, tmp_path):
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        assert (
            fit(data, preset, tmp_path / name, "--from-scratch", "--seed", seed, "--epochs", 1, "--learning-rate", 0.0)
            == 0
        )
    one, again, other, before = (Seq2SeqLM.from_preset(tmp_path / n) for n in ("one", "again", "other", "preset"))
    assert one.backbone.get_config() == before.backbone.get_config()
    assert same(one, again)
    assert not same(one, other)
    kernel = "transformer_encoder_layer_0/self_attention/query/kernel"
    assert abs(one.backbone.params[kernel]).max() <= 2 * 0.02 / 0.87962566  # a normal distribution cut at two sigma
    assert not np.array_equal(one.backbone.params[kernel], before.backbone.params[kernel])


def test_rows_of_like_lengths_share_a_batch():
    rows = [f"{n:0{1 + n % 5}d}" for n in range(50, 100)]
    lengths = [len(row) for row in rows]
    groups = LengthGroups({"text": rows}, [lengths], 10, state=iter([(0,), (1,)]).__next__)
    first, second = ([batch["text"] for batch in groups] for _ in range(2))
    assert len(groups) == len(first) == 5
    for epoch in (first, second):
        assert sorted(sum(epoch, [])) == sorted(rows)
        assert sum(max(map(len, batch)) - min(map(len, batch)) for batch in epoch) <= 3
    assert first != second
    assert [len(batch[0]) for batch in first] != sorted(len(batch[0]) for batch in first)


@pytest.mark.slow
def test_grouped_rows_can_be_resumed(data, preset, tmp_path):
    options = ("--group-by-length", "--optimizer", "adamw", "--weight-decay", 0.1)
    fit(data, preset, tmp_path / "whole", "--epochs", 3, *options)
    fit(data, preset, tmp_path / "parts", "--epochs", 1, *options)
    assert fit(data, preset, tmp_path / "parts", "--epochs", 3, "--resume", *options) == 0
    assert same(*(Seq2SeqLM.from_preset(tmp_path / name / "last") for name in ("whole", "parts")))


@pytest.mark.slow
def test_epochs_before_a_stop_count_for_patience(data, preset, tmp_path):
    options = ("--patience", 2, "--learning-rate", 0.0, "--validation-split", 0.25)  # nothing ever gets better
    fit(data, preset, tmp_path / "whole", "--epochs", 9, *options)
    fit(data, preset, tmp_path / "parts", "--epochs", 2, *options)
    assert fit(data, preset, tmp_path / "parts", "--epochs", 9, "--resume", *options) == 0
    whole, parts = ((tmp_path / name / "log.csv").read_text() for name in ("whole", "parts"))
    assert len(whole.splitlines()) == 1 + 3
    assert parts == whole


def test_an_output_that_can_not_be_written_is_named_at_once(data, preset, tmp_path, capsys):
    out = tmp_path / "file" / "out"
    out.parent.write_text("no folder")
    assert fit(data, preset, out) == 1
    told = capsys.readouterr().err
    assert str(out) in told
    assert "training.command.output" in told


@pytest.mark.parametrize("option", ["--epochs", "--batch-size", "--patience", "--encoder-length"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many"])
def test_numbers_that_mean_nothing_are_wrong_usage(option, value, data, preset, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        fit(data, preset, tmp_path / "out", f"{option}={value}")
    assert "whole number above 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
