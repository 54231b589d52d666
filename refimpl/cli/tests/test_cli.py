"""The command line, on a small preset."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from threadpoolctl import threadpool_info

import refimpl
from refimpl.autograd.blas_threads import spare_threads
from refimpl.cli import main
from refimpl.presets import shipped
from refimpl.tests.tiny import seq2seq


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "tiny"
    seq2seq().save_to_preset(folder)
    return str(folder)


def test_one_line_for_each_input(preset, capsys):
    assert main(["generate", "--preset", preset, "air", "at"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_lines_of_standard_input_in_batches(preset, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"air\r\n\nplane at\nx")))
    assert main(["generate", "--preset", preset, "--json", "--batch-size", "3"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["input"] for row in rows] == ["air", "", "plane at", "x"]
    alone = [seq2seq().generate(row["input"], max_length=11) for row in rows]
    assert [row["output"] for row in rows] == alone


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["generate", "--preset", "no/such/folder", "a"], "identifier"),
        (["generate", "--max-length", "99", "a"], "19 positions"),
        (["generate", "--max-length", "-1", "a"], "max_length=-1"),
        (["generate", "--batch-size", "0", "a"], "at least 1"),
        (["generate", "--sampler", "best", "a"], "sampler"),
        (["inspect", "no/such/folder"], "identifier"),
    ],
)
def test_errors_are_one_line(arguments, word, preset, capsys):
    if "no/such/folder" not in arguments:
        arguments = [arguments[0], "--preset", preset, *arguments[1:]]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert word in error
    assert len(error.splitlines()) == 1


def test_a_sentence_for_the_default_model_is_told_once(preset, capsys):
    assert main(["generate", "elephant"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["generate", "--batch-size", "1", "elephant", "The quick brown fox.", "A b."]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert len(err.splitlines()) == 1
    assert "single English words" in err
    assert main(["generate", "--preset", preset, "air plane"]) == 0
    assert capsys.readouterr().err == ""


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"refimpl {refimpl.__version__}\n"


def test_a_cut_text_is_one_warning(preset, capsys):
    assert main(["generate", "--preset", preset, "air" * 30]) == 0
    assert capsys.readouterr().err.startswith("refimpl: warning: A `encoder_text`")


def test_inspect_shows_every_weight(preset, capsys):
    assert main(["inspect", preset]) == 0
    out = capsys.readouterr().out
    assert "BartSeq2SeqLM" in out
    assert "transformer_decoder_layer_1/cross_attention/attention_output/kernel" in out
    assert f"{seq2seq().count_params():,}" in out


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    assert "refimpl generate elephant conformance" in capsys.readouterr().out


def test_a_closed_pipe_is_no_error(preset):
    command = f"{sys.executable} -m refimpl.cli inspect {preset} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def shell(command, **environment):
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} -m refimpl.cli {command}"],
        capture_output=True,
        env=os.environ | environment,
        check=False,
    )


@pytest.mark.parametrize(
    "redirection",
    ["<&-", *(pytest.param(way, marks=pytest.mark.slow) for way in ("air >&-", "air 2>&-", "air <&- >&- 2>&-"))],
)
def test_closed_streams_are_no_error(preset, redirection):
    done = shell(f"generate --preset {preset} {redirection}")
    assert (done.returncode, done.stderr) == (0, b"")
    assert bool(done.stdout) == (redirection == "air 2>&-")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["generate --preset {} air", "inspect {}"])
def test_a_full_disk_is_one_line(preset, command):
    done = shell(f"{command.format(preset)} > /dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith(b"refimpl: Writing the output failed")
    assert len(done.stderr.splitlines()) == 1


def test_arguments_are_utf8_whatever_the_locale(preset):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = shell(f"generate --json --preset {preset} \u00e9 $'a\\xffb'", **plain)
    assert done.returncode == 0
    assert [json.loads(row)["input"] for row in done.stdout.splitlines()] == ["\u00e9", "a\ufffdb"]


def test_small_models_take_one_thread_and_the_user_decides(monkeypatch):
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    before = blas_threads()
    with spare_threads(1_000):
        assert set(blas_threads()) == {1}
    with spare_threads(200_000_000):
        assert blas_threads() == before
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with spare_threads(1_000):
        assert blas_threads() == before
    assert blas_threads() == before


def blas_threads():
    return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]


@pytest.mark.parametrize("place", ["golden", "refimpl/golden"])
def test_shipped_preset_in_a_checkout_and_in_an_installation(place, tmp_path, monkeypatch):
    folder = tmp_path / place / "presets" / "some"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "refimpl" / "presets" / "shipped.py"))
    assert shipped.shipped_preset("some") == folder
