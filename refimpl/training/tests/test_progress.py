"""What `fit` shows, and where there is nothing to show it on."""

import io
import sys

import pytest

from refimpl.training import compile_clock
from refimpl.training.callbacks import EarlyStopping, ModelCheckpoint, ProgressBar, progress
from refimpl.training.tests.small import TEXTS, fitted, task

event = pytest.importorskip("numba.core.event")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("compiled", [0.2, 9.0])
def test_the_wait_for_compiling_is_named_and_does_not_count(compiled, monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    compile_clock.listen()
    bar = ProgressBar(2, 2)
    bar.set_params({"epochs": 1})
    bar.on_epoch_begin(0)
    for _ in range(2):  # one in another counts once
        event.start_event("numba:compile")
    clock[0] += compiled
    for _ in range(2):
        event.end_event("numba:compile")
    clock[0] += 2.0
    bar.on_train_batch_end(0)
    bar.on_train_batch_end(1)
    bar.on_epoch_end(0, {"loss": 1.0})
    out = capsys.readouterr().out
    assert out.count("Compiling") == 1
    assert "/step" in out
    if compiled > 1:
        assert "1s/step - compiled in 9s - loss: 1.0000" in out
    else:
        assert "compiled" not in out


def test_a_notebook_gets_the_bar_that_a_terminal_gets(monkeypatch):
    notebook = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stdout", notebook)
    fitted(task(), epochs=1, verbose="auto")
    assert "━" in notebook.getvalue().split("\r")[-1]


@pytest.mark.parametrize("wide", [30, 50, 80, 200])
def test_a_bar_never_passes_the_width_of_the_terminal(wide, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", str(wide))
    lm = task()
    lm.compile(weighted_metrics=["accuracy", "perplexity"])
    fitted(lm, epochs=2, verbose="auto", validation_split=0.25)
    shown = terminal.getvalue()
    lines = [line for part in shown.split("\n") for line in part.split("\r")]
    assert "val_perplexity" in shown
    assert max(map(len, lines)) < wide
    one_line = any("val_perplexity" in line and "step" in line for line in lines)
    assert one_line == (wide == 200)


@pytest.mark.parametrize("closed", [True, False])
def test_streams_that_are_closed_or_absent(closed, monkeypatch, tmp_path):
    for name in ("stdout", "stderr"):
        stream = io.StringIO()
        stream.close()
        monkeypatch.setattr(sys, name, stream if closed else None)
    lm = task()
    stopping = EarlyStopping("loss", patience=1, min_delta=100.0, verbose=1)
    for verbose in ("auto", 1, 2):
        saving = ModelCheckpoint(tmp_path / "c", "loss", verbose=1)
        fitted(lm, epochs=3, verbose=verbose, callbacks=[stopping, saving])
        lm.evaluate(TEXTS, verbose=verbose)
    assert isinstance(lm.generate(iter([["air"], ["plan"]]), max_length=5, verbose=True)[0], str)
