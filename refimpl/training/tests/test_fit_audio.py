"""`refimpl fit` on recordings."""

import pytest

from refimpl.cli import main
from refimpl.models import AudioToText
from refimpl.tests.speech import SOUND, task, write_wav


@pytest.mark.parametrize("options", [[], ["--group-by-length", "--validation-split", "0"]])
def test_a_table_of_recordings(options, tmp_path, capsys):
    (tmp_path / "audio").mkdir()
    for n in range(4):
        write_wav(tmp_path / "audio" / f"{n}.wav", SOUND[: 1700 + 200 * n])
    rows = "".join(f"audio/{n}.wav\t{n}\n" for n in range(4))
    (tmp_path / "pairs.tsv").write_text(f"audio\ttext\n{rows}", encoding="utf-8")
    task().save_to_preset(tmp_path / "preset")
    wanted = {"--data": "pairs.tsv", "--preset": "preset", "--out": "out"}
    paths = [part for name, file in wanted.items() for part in (name, str(tmp_path / file))]
    assert main(["fit", *paths, "--epochs", "2", "--batch-size", "2", *options]) == 0
    assert "2/2" in capsys.readouterr().out
    lm = AudioToText.from_preset(tmp_path / "out")
    assert lm.preprocessor.decoder_sequence_length == 6
    assert isinstance(lm.generate(SOUND), str)


def test_a_recording_that_is_not_there_is_named(tmp_path, capsys):
    (tmp_path / "pairs.tsv").write_text("audio\ttext\nno.wav\t1\n", encoding="utf-8")
    task().save_to_preset(tmp_path / "preset")
    paths = [
        "--data",
        str(tmp_path / "pairs.tsv"),
        "--preset",
        str(tmp_path / "preset"),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["fit", *paths]) == 1
    assert "no.wav can't be read" in capsys.readouterr().err
