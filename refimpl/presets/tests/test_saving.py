"""Saving is all or nothing: wherever it is broken off, the folder holds the old preset or the new one."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np
import pytest

from refimpl import errors
from refimpl.models import Backbone, Seq2SeqLM
from refimpl.presets import saving
from refimpl.presets.tests import folders
from refimpl.presets.tests.folders import keras_folder, same
from refimpl.tests import tiny

ROOT = Path(__file__).parents[3]
NEW = tiny.seq2seq(seed=5, num_layers=1)
FULL = OSError(errno.ENOSPC, "No space left on device")


def which(folder):
    """`old` or `new`, whole; anything else is an error."""
    lm = Seq2SeqLM.from_preset(folder)
    if lm.backbone.num_layers == 2:
        assert same(lm.backbone.params)
        return "old"
    assert all(np.array_equal(lm.backbone.params[k], array) for k, array in NEW.backbone.params.items())
    return "new"


def users_files(folder):
    """What a user may keep beside a preset."""
    (folder / "notes.txt").write_text("mine")
    (folder / "sub").mkdir()
    (folder / "sub" / "deep.txt").write_text("mine too")
    (folder / "link").symlink_to("/nowhere")
    os.mkfifo(folder / "pipe")


def check_users_files(folder):
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "sub" / "deep.txt").read_text() == "mine too"
    assert (folder / "link").readlink() == Path("/nowhere")
    assert (folder / "pipe").is_fifo()


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
        (saving.tempfile, "mkdtemp"),
        (Path, "write_text"),
        (h5py.File, "__init__"),
        (h5py.Group, "create_dataset"),
        (saving.os, "link"),
        (saving.shutil, "copytree"),
        (Path, "chmod"),
        (saving.os, "fsync"),
        (saving, "_swap"),
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
    """Save with the step `at` failing. A link that can't be made is copied, and what can't be synced is not."""
    faults.update(at=at, count=0, names=[])
    try:
        NEW.save_to_preset(folder, max_shard_size=shard)
        wanted = "new"
    except (errors.SavingError, KeyboardInterrupt):
        wanted = "old"
    faults["at"] = None
    assert which(folder) == wanted
    check_users_files(folder)
    assert [p.name for p in folder.parent.iterdir()] == ["p"], "nothing is left beside it"
    if wanted == "new":
        folders.LM.save_to_preset(folder)
    return wanted


@pytest.mark.parametrize("shard", [None, 15_000 / 1024**3])
def test_each_kind_of_step_may_fail(folder, faults, shard):
    names = steps_of(folder, faults, shard)
    kinds = {name: n + 1 for n, name in enumerate(names)} | {
        f"last {n}": k + 1 for k, n in reversed([*enumerate(names)])
    }
    assert len(kinds) == 18
    assert [fail_at(folder, faults, at, shard) for at in sorted(set(kinds.values()))].count("old") > 10


@pytest.mark.slow
@pytest.mark.parametrize("error", [FULL, RuntimeError("h5py"), KeyboardInterrupt()])
@pytest.mark.parametrize("shard", [None, 15_000 / 1024**3])
def test_every_step_may_fail(folder, faults, error, shard):
    faults["error"] = error
    for at in range(len(steps_of(folder, faults, shard))):
        fail_at(folder, faults, at + 1, shard)


def test_without_exchange(folder, monkeypatch):
    """Where the system can't exchange two folders in one step, the second rename may fail."""
    monkeypatch.setattr(saving.ctypes, "CDLL", lambda *_, **__: None)
    NEW.save_to_preset(folder)
    assert which(folder) == "new"
    renames = []
    rename = Path.rename

    def second_fails(self, target):
        renames.append(target)
        if len(renames) == 2:
            raise OSError(errno.EIO, "gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(errors.SavingError, match="unchanged"):
        folders.LM.save_to_preset(folder)
    monkeypatch.undo()
    assert which(folder) == "new"
    check_users_files(folder)
    assert [p.name for p in folder.parent.iterdir()] == ["p"]


KILLED = """
    import os, signal, sys
    from refimpl.presets.tests.test_saving import NEW
    folder, at = sys.argv[1], int(sys.argv[2])
    calls = 0
    def count(event, _):
        global calls
        if event in ("open", "os.rename", "os.chmod", "os.mkdir", "os.link", "ctypes.dlsym", "os.remove", "os.rmdir"):
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    NEW.save_to_preset(folder)
    os._exit(7)
"""


@pytest.mark.slow
def test_killed_at_every_step(folder):
    """The process dies; afterwards the folder is whole, and the next saving works."""
    endings = []
    for at in range(1, 400):
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(folder), str(at)]
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
        endings.append(which(folder))
        check_users_files(folder)
        if done.returncode == 7:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        if endings[-1] == "new":
            folders.LM.save_to_preset(folder)
    assert endings.count("old") > 20
    assert "new" in endings[:-1], "killed while the old folder was being removed"


def test_read_only_parent(folder):
    """Nothing can be put beside the folder, so nothing is changed in it. Root may write everywhere: nobody can't."""
    folder.parent.chmod(0o555)
    closed = [place for place in folder.parents if not place.stat().st_mode & 0o001]
    for place in closed:
        place.chmod(place.stat().st_mode | 0o055)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        with pytest.raises(errors.SavingError, match="Permission denied"):
            NEW.save_to_preset(folder)
    finally:
        if root:
            os.seteuid(0)
        folder.parent.chmod(0o755)
        for place in closed:
            place.chmod(0o700)
    assert which(folder) == "old"


@pytest.mark.parametrize("target", ["", None, 3, b"p", "hf://user/model", "a\0b"])
def test_wrong_targets(target):
    with pytest.raises(errors.RefimplError, match="preset_dir"):
        NEW.save_to_preset(target)


def test_target_that_is_a_file_or_a_link(folder, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(errors.PresetError, match="is a file"):
        NEW.save_to_preset(tmp_path / "file")
    (tmp_path / "link").symlink_to(folder)
    NEW.save_to_preset(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert which(folder) == "new"
    NEW.save_to_preset(tmp_path / "deep" / "er" / "p")
    assert which(tmp_path / "deep" / "er" / "p") == "new"


def test_old_files_go(folder):
    """Shards, assets and a checkpoint of an earlier saving don't outlive it."""
    folders.LM.save_to_preset(folder, max_shard_size=15_000 / 1024**3)
    assert not (folder / "model.weights.h5").exists()
    NEW.backbone.save_to_preset(folder)
    left = {path.name for path in folder.iterdir()}
    assert left == {"config.json", "metadata.json", "model.weights.h5", "notes.txt", "sub", "link", "pipe"}
    NEW.export_to_transformers(folder)
    assert Seq2SeqLM.from_preset(folder).backbone.num_layers == 1
    check_users_files(folder)


def test_modes_and_metadata(folder):
    folder.chmod(0o750)
    NEW.save_to_preset(folder)
    assert folder.stat().st_mode & 0o777 == 0o750
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["tasks"] == ["Seq2SeqLM"]
    assert metadata["parameter_count"] == NEW.count_params()
    NEW.backbone.save_to_preset(folder)
    assert json.loads((folder / "metadata.json").read_text())["tasks"] == ["Seq2SeqLM"]
    assert type(Backbone.from_preset(folder)).__name__ == "BartBackbone"


@pytest.mark.parametrize("inside", [".", "sub"])
def test_saving_onto_the_working_folder_stays_in_it(folder, inside, monkeypatch):
    monkeypatch.chdir(folder / inside)
    NEW.save_to_preset(".." if inside == "sub" else ".")
    assert Path.cwd() == folder / inside
    assert which(".." if inside == "sub" else ".") == "new"
    check_users_files(folder)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800", "a://b"])
def test_names_that_no_file_system_holds_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.PresetError, match=r"presets\.save\.target"):
        NEW.save_to_preset(name)
