"""Recordings at the command line."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from refimpl.cli import main
from refimpl.errors import InputError
from refimpl.preprocessing.audio_file import read_recording
from refimpl.tests.speech import SOUND, task, write_wav
from refimpl.tests.tiny import seq2seq


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "speech"
    task().save_to_preset(folder)
    return str(folder)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_samples_of_all_widths(width, tmp_path):
    samples = read_recording(write_wav(tmp_path / "a.wav", SOUND, width), 16_000)
    assert samples.dtype == np.float32
    assert np.abs(samples - SOUND).max() < 2.0 / 2 ** (8 * width - 1) + 1e-7


def test_a_line_for_each_recording_as_if_it_were_alone(preset, tmp_path, capsys):
    files = [str(write_wav(tmp_path / f"{n}.wav", SOUND[:n])) for n in (2400, 1700)]
    assert main(["generate", "--preset", preset, "--json", "--audio", *files]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    alone = [task().generate(read_recording(tmp_path / f"{n}.wav", 16_000)) for n in (2400, 1700)]
    assert [(row["input"], row["output"]) for row in rows] == list(zip(files, alone, strict=True))


def _beyond(path):
    data = write_wav(path).read_bytes()
    path.write_bytes(data[:12] + b"LIST" + (2**31 - 1).to_bytes(4, "little") + data[12:])


def _wide(path):
    data = bytearray(write_wav(path).read_bytes())
    data[32], data[34] = 5, 40  # bytes of a frame, bits of a sample
    path.write_bytes(data)


def _cut(path):
    path.write_bytes(write_wav(path).read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: write_wav(path, rate=44_100), "ffmpeg -i a.wav -ac 1 -ar 16000"),
        (lambda path: write_wav(path, channels=2), "2 channels"),
        (_cut, "1900 of 2400 samples"),
        (_wide, "of 5 bytes each"),
        (_beyond, "too early"),
        (lambda path: path.write_bytes(b""), "too early"),
        (lambda path: path.write_bytes(b"ID3 no wave at all, but a song"), "can't be read"),
        (lambda path: write_wav(path, SOUND[:0]), "empty"),
        (lambda path: write_wav(path, SOUND[:800]), "895"),
        (lambda path: path.with_name("other"), "No such file"),
        (lambda path: path.mkdir(), "directory"),
    ],
)
def test_what_is_no_recording_is_one_line(write, says, preset, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)  # as if it were not installed
    write(tmp_path / "a.wav")
    assert main(["generate", "--preset", preset, "--audio", str(tmp_path / "a.wav")]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert says in error
    assert error.startswith("refimpl: ")


def test_a_name_with_a_zero_byte_is_named():
    with pytest.raises(InputError, match="embedded null byte"):
        read_recording(Path("a\0.wav"), 16_000)


def test_a_length_that_a_pipe_could_not_know_is_no_damage(tmp_path):
    for channels in (1, 2):
        path = write_wav(tmp_path / f"{channels}.wav", channels=channels)
        data = bytearray(path.read_bytes())
        data[40:44] = (0x7FFF0000).to_bytes(4, "little")
        path.write_bytes(data)
    assert len(read_recording(tmp_path / "1.wav", 16_000)) == 2400
    with pytest.raises(InputError, match="2 channels of 16000 Hz"):
        read_recording(tmp_path / "2.wav", 16_000)


def test_soundfile_reads_what_wave_does_not(tmp_path, monkeypatch):
    path = tmp_path / "a.flac"
    path.write_bytes(b"fLaC")
    stereo = SimpleNamespace(read=lambda *_, **__: (np.stack([SOUND, SOUND], -1), 16_000))
    monkeypatch.setitem(sys.modules, "soundfile", stereo)
    with pytest.raises(InputError, match="2 channels"):
        read_recording(path, 16_000)
    monkeypatch.setattr(stereo, "read", lambda *_, **__: (SOUND[:, None], 16_000))
    assert (read_recording(path, 16_000) == SOUND).all()


def test_a_recording_is_explained(preset, tmp_path, capsys):
    path = write_wav(tmp_path / "a.wav")
    assert main(["explain", "--preset", preset, "--audio", str(path)]) == 0
    text = task().generate(read_recording(path, 16_000))
    assert capsys.readouterr().out.startswith(f"0.15 seconds of sound -> {text}".rstrip() + "\n")


@pytest.mark.parametrize("command", ["generate", "explain"])
def test_recordings_and_texts_need_their_models(command, preset, tmp_path, capsys):
    seq2seq().save_to_preset(tmp_path / "text")
    audio = ["--audio", str(write_wav(tmp_path / "a.wav"))]
    for arguments, says in (
        ([*audio, "--preset", str(tmp_path / "text")], "takes texts"),
        ([*audio, "--preset", preset, "a text"], "--audio was passed beside text"),
        (["--preset", preset, "a text"], "takes recordings"),
        (["--preset", preset], "Pass --audio FILE.wav"),
    ):
        assert main([command, *arguments]) == 1
        assert says in capsys.readouterr().err
