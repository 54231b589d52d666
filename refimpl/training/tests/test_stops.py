"""What a run of `refimpl fit` leaves when it is stopped, and when what it left is damaged."""

import json
import signal
import struct
import threading

import numpy as np
import pytest

from refimpl.errors import CheckpointError
from refimpl.models import Seq2SeqLM
from refimpl.presets.folder import CONFIG_FILE
from refimpl.training import fit_command
from refimpl.training.callbacks import Callback, CSVLogger, Interruption, ModelCheckpoint
from refimpl.training.tests.small import fitted, same, task
from refimpl.training.tests.test_fit_command import data, fit, preset  # noqa: F401  (fixtures)

STATE = "training_state.safetensors"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A checkpoint's folder, and the bytes of its training state."""
    lm = task()
    fitted(lm)
    folder = tmp_path_factory.mktemp("state") / "last"
    lm.save_checkpoint(folder, epoch=1)
    return folder, (folder / STATE).read_bytes()


def changed(content, change):
    """A training state with another description, which `change` edits or gives."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    about = json.loads(header["__metadata__"]["state"])
    result = change(about)
    header["__metadata__"]["state"] = json.dumps(about if result is None else result)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + size :]


DAMAGES = {
    "empty": lambda content: content[:0],
    "cut off": lambda content: content[: len(content) // 2],
    "header": lambda content: content[:40] + b"\xff" + content[41:],
    "not finite": lambda content: content[:-64] + b"\xff" * 64,
    "list": lambda content: changed(content, lambda about: [*about]),
    **{
        f"{key} {value!r}": lambda content, key=key, value=value: changed(content, lambda about: about | {key: value})
        for key, values in {
            "iterations": ("x", -9, 1.5, None, True, 2**70),
            "seed": (None, -1),
            "slots": (5, None),
            "optimizer": (None, []),
            "extra": ([1], None, {"epoch": "x"}, {"epoch": -4}, {"epoch": True}),
        }.items()
        for value in values
    },
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_state_is_named_and_changes_nothing(state, damage):
    folder, content = state
    lm = task()
    before = [array.copy() for array in lm.get_weights()]
    try:
        (folder / STATE).write_bytes(damage(content))
        with pytest.raises(CheckpointError, match=r"training\.checkpoint\.damaged"):
            lm.load_checkpoint(folder)
    finally:
        (folder / STATE).write_bytes(content)
    assert all(map(np.array_equal, before, lm.get_weights()))
    assert lm.optimizer.iterations == 0
    assert lm.load_checkpoint(folder) == {"epoch": 1}


@pytest.mark.parametrize(
    "log",
    [
        b"\xff\xfe\0garbage\nval_loss,x\n",
        *(
            pytest.param(text, marks=pytest.mark.slow)
            for text in (b"epoch,val_loss\n0,abc\n", b"epoch,loss\n0,abc\n", b"loss\n1\n")
        ),
    ],
)
def test_a_damaged_log_is_named(log, data, preset, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "out"
    assert fit(data, preset, out, "--epochs", 1, "--validation-split", 0) == 0
    (out / "log.csv").write_bytes(log)
    assert fit(data, preset, out, "--epochs", 2, "--validation-split", 0, "--resume") == 1
    assert "training.checkpoint.damaged" in capsys.readouterr().err
    assert (out / "log.csv").read_bytes() == log


def test_a_log_that_is_none_is_named_by_its_callback(tmp_path):
    (tmp_path / "log.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError, match=r"log\.csv"):
        fitted(task(), callbacks=[CSVLogger(tmp_path / "log.csv", append=True)])


@pytest.mark.slow
def test_an_epoch_that_was_logged_and_not_saved_is_logged_once(data, preset, tmp_path):  # noqa: F811
    for name, epochs in (("whole", 3), ("parts", 2)):
        assert fit(data, preset, tmp_path / name, "--epochs", epochs) == 0
    log = tmp_path / "parts" / "log.csv"
    log.write_text(log.read_text() + "2,0.1,9.9,1.0,0.1,9.9,1.0\n")
    assert fit(data, preset, tmp_path / "parts", "--epochs", 3, "--resume") == 0
    assert log.read_text() == (tmp_path / "whole" / "log.csv").read_text()


@pytest.mark.slow
def test_the_best_epoch_is_kept_until_it_is_saved(data, preset, tmp_path, capsys):  # noqa: F811
    out = tmp_path / "out"
    (out / "task.json").mkdir(parents=True)  # in the way of a file
    for options in ((), ("--resume",)):
        assert fit(data, preset, out, "--epochs", 1, *options) == 1
        assert isinstance(Seq2SeqLM.from_preset(out / "best").generate("air"), str)
    (out / "task.json").rmdir()
    assert "saved" not in capsys.readouterr().out
    assert fit(data, preset, out, "--epochs", 1, "--resume") == 0
    assert "saved" in capsys.readouterr().out
    assert isinstance(Seq2SeqLM.from_preset(out).generate("air"), str)
    (out / CONFIG_FILE).unlink()
    assert fit(data, preset, out, "--epochs", 1, "--resume") == 1
    told = capsys.readouterr()
    assert "saved" not in told.out
    assert "holds no preset" in told.err


def test_a_first_checkpoint_that_was_killed_is_no_run(data, preset, tmp_path):  # noqa: F811
    (tmp_path / "out" / "last" / ".refimpl-new-1").mkdir(parents=True)
    assert fit(data, preset, tmp_path / "out", "--epochs", 1, "--resume") == 1
    assert fit(data, preset, tmp_path / "out", "--epochs", 1) == 0


class PressesCtrlC(Callback):
    """Presses Ctrl-C in a step of an epoch, and notes all steps."""

    def __init__(self, epoch, step):
        self.at, self.steps = (epoch, step), []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append((self.epoch, batch))
        if self.steps[-1] == self.at:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def python_minds_ctrl_c():
    """Also where the tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize(("step", "last"), [(2, (1, 2)), (0, (1, 0)), (1, (1, 1))])
def test_ctrl_c_ends_training_between_two_batches(step, last, data, preset, tmp_path, monkeypatch, capsys):  # noqa: F811
    """After the last batch of an epoch, the epoch is saved first. A resumed run gives the same weights."""
    out, presses, before = tmp_path / "out", PressesCtrlC(1, step), signal.getsignal(signal.SIGINT)
    options = ("--epochs", 3, "--validation-split", 0)
    with monkeypatch.context() as patch:
        right = fit_command._callbacks
        patch.setattr(fit_command, "_callbacks", lambda *rest: [*right(*rest), presses])
        assert fit(data, preset, out, *options) == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert presses.steps[-1] == last
    assert "press Ctrl-C again" in capsys.readouterr().err
    assert task().load_checkpoint(out / "last")["epoch"] == (2 if step == 2 else 1)
    assert fit(data, preset, out, *options, "--resume") == 0
    assert fit(data, preset, tmp_path / "whole", *options) == 0
    assert same(*(Seq2SeqLM.from_preset(folder / "last") for folder in (out, tmp_path / "whole")))
    assert (out / "log.csv").read_text() == (tmp_path / "whole" / "log.csv").read_text()


def test_a_second_ctrl_c_ends_at_once():
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.seen
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_signals_are_left_alone_where_they_are_ignored_and_in_other_threads():
    def enter():
        before = signal.getsignal(signal.SIGINT)
        with Interruption():
            found.append(signal.getsignal(signal.SIGINT) is before)

    found = []
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        enter()
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == [True, True]


def test_a_score_that_is_no_number_is_not_the_best_for_ever(tmp_path):
    lm = task()
    checkpoint = ModelCheckpoint(tmp_path / "best", "loss", save_best_only=True)
    checkpoint.set_model(lm)
    for epoch, score in enumerate((float("nan"), 2.0, float("nan"), 3.0)):
        checkpoint.on_epoch_end(epoch, {"loss": score})
    assert checkpoint.best == 2.0
