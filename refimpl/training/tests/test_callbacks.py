"""Callbacks and checkpoints."""

import csv
import errno

import numpy as np
import pytest

from refimpl import callbacks, optimizers
from refimpl.errors import CheckpointError
from refimpl.models import Seq2SeqLM
from refimpl.training.tests.small import fitted, same, task


def test_two_epochs_and_two_more_are_four(tmp_path):
    whole, first = task(), task()
    first.set_weights(whole.get_weights())
    fitted(whole, epochs=4)
    fitted(first, epochs=2, callbacks=[callbacks.ModelCheckpoint(tmp_path / "run")])
    resumed = Seq2SeqLM.from_preset(tmp_path / "run")
    resumed.compile(optimizers.Adam(1e-2))
    epoch = resumed.load_checkpoint(tmp_path / "run")["epoch"]
    assert epoch == 2
    fitted(resumed, initial_epoch=epoch, epochs=4)
    assert same(whole, resumed)
    assert resumed.optimizer.iterations == whole.optimizer.iterations


def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path):
    lm = task()
    fitted(lm)
    lm.save_checkpoint(tmp_path / "run")
    other = task(seed=8, optimizer=optimizers.SGD(0.1, momentum=0.9))
    before = other.get_weights()
    with pytest.raises(CheckpointError, match="Adam"):
        other.load_checkpoint(tmp_path / "run")
    assert all(np.array_equal(a, b) for a, b in zip(before, other.get_weights(), strict=True))


def test_a_full_disk_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    lm = task()
    fitted(lm)
    lm.save_checkpoint(tmp_path / "run")
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.is_file()}

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("refimpl.training.checkpoint.save_file", full)
    fitted(lm)
    with pytest.raises(OSError, match="No space"):
        lm.save_checkpoint(tmp_path / "run")
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir() if p.is_file()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_early_stopping_goes_back_to_the_best_weights():
    class Scripted(callbacks.Callback):
        def __init__(self, values):
            self.values, self.seen = values, []

        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = self.values[epoch]
            self.seen.append(self.model.get_weights()[0])

    lm = task()
    script = Scripted([3.0, 2.0, 2.5, 2.4, 1.0])
    stopping = callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    history = fitted(lm, epochs=5, callbacks=[script, stopping])
    assert history.epoch == [0, 1, 2, 3]
    assert np.array_equal(lm.get_weights()[0], script.seen[1])


def test_checkpoints_of_the_best_epochs_only(tmp_path):
    class Scripted(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = [3.0, 2.0, 2.5][epoch]

    best = callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}-{val_loss:.1f}", save_best_only=True)
    fitted(task(), epochs=3, callbacks=[Scripted(), best])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-3.0", "02-2.0"]


def test_csv_logger(tmp_path):
    for n in range(2):
        fitted(task(), epochs=2, initial_epoch=0, callbacks=[callbacks.CSVLogger(tmp_path / "log.csv", append=n > 0)])
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [row["epoch"] for row in rows] == ["0", "1", "0", "1"]
    assert all(float(row["loss"]) > 0 for row in rows)


def test_progress_is_one_line_an_epoch_where_no_terminal_is(capsys):
    fitted(task(), epochs=2, verbose="auto")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    assert len(lines) == 4
    assert "3/3" in lines[1]
    assert "loss: " in lines[1]
