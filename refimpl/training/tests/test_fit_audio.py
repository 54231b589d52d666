"""`refimpl fit` on recordings."""

import pytest

from refimpl.cli import main
from refimpl.errors import InputError
from refimpl.models import AudioToText
from refimpl.tests.speech import SOUND, task, write_wav
from refimpl.training.rows import with_recordings


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


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ([], 1, "no.wav can't be read"),
        (["--skip-bad"], 0, "left out 1 of 3 rows"),
        (["--encoder-length", "900"], 1, "A recording is taken whole"),
    ],
)
def test_a_recording_that_is_not_there_is_named_or_left_out(options, code, says, tmp_path, capsys):
    for n in (1, 2):
        write_wav(tmp_path / f"{n}.wav")
    (tmp_path / "pairs.tsv").write_text("audio\ttext\n1.wav\t1\nno.wav\t3\n2.wav\t2\n", encoding="utf-8")
    task().save_to_preset(tmp_path / "preset")
    wanted = {"--data": "pairs.tsv", "--preset": "preset", "--out": "out"}
    paths = [part for name, file in wanted.items() for part in (name, str(tmp_path / file))]
    assert main(["fit", *paths, "--epochs", "1", *options]) == code
    assert says in capsys.readouterr().err


def test_a_table_without_a_recording_that_can_be_read_is_refused(tmp_path):
    with pytest.raises(InputError, match="b.wav"):
        with_recordings(["a.wav", "b.wav"], ["1", "2"], tmp_path, 16_000, skip_bad=True)
