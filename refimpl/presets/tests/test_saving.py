"""Saving is all or nothing: wherever it is broken off, the folder holds the old preset or the new one."""

import errno
import itertools
import json
import os
import signal
import sys
from pathlib import Path

import h5py
import pytest

from refimpl import errors
from refimpl.models import Seq2SeqLM
from refimpl.presets import saving
from refimpl.presets.tests import folders
from refimpl.presets.tests.folders import NEW, as_nobody, check_users_files, keras_folder, leftovers, users_files, which

FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def folder(tmp_path):
    path = keras_folder(tmp_path / "parent" / "p")
    users_files(path)
    return path


@pytest.fixture
def faults(monkeypatch):
    """Counts all steps; the one with the number `faults["at"]` fails."""
    state = {"at": None, "count": 0, "error": FULL, "names": []}

    def breaking(function, name):
        def call(*args, **kwargs):
            state["count"] += 1
            state["names"].append(name)
            if state["count"] == state["at"]:
                raise state["error"]
            return function(*args, **kwargs)

        return call

    for owner, name in (
        (Path, "mkdir"),
        (Path, "write_text"),
        (h5py.File, "__init__"),
        (h5py.Group, "create_dataset"),
        (saving.os, "fsync"),
        (Path, "replace"),
        (Path, "unlink"),
        (Path, "rmdir"),
    ):
        monkeypatch.setattr(owner, name, breaking(getattr(owner, name), name))
    return state


def steps_of(folder, faults, shard):
    """The names of all steps of one saving, in order; the folder is the old one again afterwards."""
    faults.update(at=None, count=0, names=[])
    NEW.save_to_preset(folder, max_shard_size=shard)
    names = list(faults["names"])
    folders.LM.save_to_preset(folder)
    return names


def fail_at(folder, faults, at, shard):
    """Save with the step `at` failing: whole all the same, and the next save works."""
    faults.update(at=at, count=0, names=[])
    try:
        NEW.save_to_preset(folder, max_shard_size=shard)
        wanted = "new"
    except (errors.SavingError, KeyboardInterrupt) as error:
        wanted = "new" if (folder / saving.JOURNAL).exists() else "old"
        assert ("unchanged" if wanted == "old" else "new preset") in (str(error) or "unchanged, new preset")  # noqa: PT017
    faults["at"] = None
    assert which(folder) == wanted
    check_users_files(folder)
    assert wanted == "new" or not leftovers(folder)
    folders.LM.save_to_preset(folder)
    assert which(folder) == "old"
    assert not leftovers(folder)
    return wanted


@pytest.mark.slow
@pytest.mark.parametrize("shard", [None, pytest.param(15_000 / 1024**3, marks=pytest.mark.slow)])
def test_each_kind_of_step_may_fail(folder, faults, shard):
    names = steps_of(folder, faults, shard)
    kinds = {name: n + 1 for n, name in enumerate(names)} | {
        f"last {n}": k + 1 for k, n in reversed([*enumerate(names)])
    }
    assert len(kinds) == 16
    endings = [fail_at(folder, faults, at, shard) for at in sorted(set(kinds.values()))]
    assert endings == sorted(endings, reverse=True)  # first old, then new
    assert 4 < endings.count("old") < len(endings) - 2


@pytest.mark.slow
@pytest.mark.parametrize("error", [FULL, RuntimeError("h5py"), KeyboardInterrupt()])
@pytest.mark.parametrize("shard", [None, 15_000 / 1024**3])
def test_every_step_may_fail(folder, faults, error, shard):
    """Of many steps alike in a row, as of datasets that are written, the first and the last."""
    faults["error"] = error
    names = ["", *steps_of(folder, faults, shard), ""]
    edges = [at for at in range(1, len(names) - 1) if len({*names[at - 1 : at + 2]}) > 1]
    assert len(edges) > 30
    for at in edges:
        fail_at(folder, faults, at, shard)


MOVES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")


def killed_at(folder, step, events=MOVES, **arguments):
    """Save in a process that is killed before its step of that number; whether it was done before."""
    child = os.fork()
    if not child:
        steps = []

        def count(event, _):
            if event in events:
                steps.append(event)
                if len(steps) == step:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        try:
            NEW.save_to_preset(folder, **arguments)
        finally:
            os._exit(7 if sys.exc_info()[0] is None else 8)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (7, -signal.SIGKILL)
    return status == 7


SHARD = 15_000 / 1024**3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "events", "first", "stride"),
    [
        (None, SHARD, MOVES, 1, 1),
        *((*sizes, (*MOVES, "open"), n + 1, 4) for n, sizes in enumerate(itertools.product((None, SHARD), repeat=2))),
    ],
)
def test_killed_at_every_step(folder, old, new, events, first, stride):
    """The process dies; afterwards the old preset is there or the new one, and the next save puts all in its place.

    Every move by itself; of the many steps that open files, each fourth, from another one on for each kind of folder.
    """
    endings = []
    for step in itertools.count(first, stride):
        folders.LM.save_to_preset(folder, max_shard_size=old)
        assert which(folder) == "old"
        assert not leftovers(folder)
        done = killed_at(folder, step, events, max_shard_size=new)
        endings.append(which(folder))
        check_users_files(folder)
        if done:
            break
    assert endings == sorted(endings, reverse=True)  # first old, then new
    assert endings.count("old") > 4
    assert endings.count("new") > 5


def test_what_was_killed_loads_from_a_folder_that_is_read_only(folder):
    step = next(n for n in range(1, 400) if not killed_at(folder, n) and (folder / saving.JOURNAL).exists())
    before = sorted(folder.rglob("*"))
    with as_nobody(folder):
        assert which(folder) == "new"
    assert sorted(folder.rglob("*")) == before
    killed_at(folder, step + 2)
    NEW.export_to_transformers(folder)
    assert not leftovers(folder)
    assert which(folder) == "new"


@pytest.mark.parametrize("damage", [{}, {"folder": ".."}, {"folder": "sub"}, {"new": ["../x"]}, {"old": 3}, {"new": 3}])
def test_a_damaged_journal_is_named_and_nothing_removed(folder, damage):
    journal = {"folder": saving.STAGED + "1", "new": ["config.json"], "old": ["notes.txt"]} | damage
    (folder / saving.JOURNAL).write_text(json.dumps(journal if damage else [1]))
    for use in (Seq2SeqLM.from_preset, NEW.save_to_preset):
        with pytest.raises(errors.PresetError, match=r"presets\.folder|\.refimpl-save"):
            use(folder)
    check_users_files(folder)


def test_a_first_save_that_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(h5py.File, "__init__", lambda *_, **__: (_ for _ in ()).throw(FULL))
    with pytest.raises(errors.SavingError):
        NEW.save_to_preset(tmp_path / "p")
    assert not (tmp_path / "p").exists()
