"""Where a preset may be saved, and what else may be there."""

import json
import subprocess
import threading
from pathlib import Path

import pytest

from refimpl import errors
from refimpl.models import Backbone, Seq2SeqLM
from refimpl.presets.tests import folders
from refimpl.presets.tests.folders import (
    NEW,
    as_nobody,
    check_users_files,
    keras_folder,
    leftovers,
    users_files,
    which,
)


@pytest.fixture
def folder(tmp_path):
    path = keras_folder(tmp_path / "parent" / "p")
    users_files(path)
    return path


def test_files_of_others_that_come_and_go_meanwhile(folder):
    """Another process writes into the folder while presets are saved to it."""
    made, stop = [], threading.Event()

    def write():
        while not stop.is_set():
            made.append(folder / f"result_{len(made)}.txt")
            made[-1].write_text("data")

    writer = threading.Thread(target=write)
    writer.start()
    for _ in range(5):
        NEW.save_to_preset(folder)
    stop.set()
    writer.join()
    assert made
    assert all(path.exists() for path in made)


def test_two_saves_at_once(folder):
    """One waits for the other; whichever is last, the preset is whole."""
    pytest.importorskip("fcntl")
    savers = [threading.Thread(target=lm.save_to_preset, args=(folder,)) for lm in (NEW, folders.LM) * 3]
    for saver in savers:
        saver.start()
    for saver in savers:
        saver.join()
    assert which(folder) in ("old", "new")
    assert not leftovers(folder)


def test_read_only_folder(folder):
    with as_nobody(folder), pytest.raises(errors.SavingError, match=r"Permission denied.*unchanged"):
        NEW.save_to_preset(folder)
    assert which(folder) == "old"


def test_read_only_parent(folder):
    """Nothing is written beside the folder."""
    folder.chmod(0o777)
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o777)
    with as_nobody(folder.parent):
        NEW.save_to_preset(folder)
    assert which(folder) == "new"


def test_a_folder_in_the_place_of_a_file(folder):
    (folder / "task.json").unlink()
    (folder / "task.json").mkdir()
    with pytest.raises(errors.SavingError, match=r"task\.json.*unchanged"):
        NEW.save_to_preset(folder)
    (folder / "task.json").rmdir()
    folders.LM.save_to_preset(folder)
    (folder / "assets").rename(folder / "elsewhere")
    (folder / "assets").symlink_to("elsewhere")
    with pytest.raises(errors.SavingError, match=r"assets.*unchanged"):
        NEW.save_to_preset(folder)
    assert which(folder) == "old"


def test_a_mount_point(folder):
    """The volume of a container can neither be renamed nor removed."""
    folder = folder.parent / "volume"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False).returncode:
        pytest.skip("a file system can't be mounted here")
    try:
        folders.LM.save_to_preset(folder)
        NEW.save_to_preset(folder)
        assert which(folder) == "new"
    finally:
        subprocess.run(["umount", folder], check=True)


def test_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    NEW.save_to_preset("~/p")
    assert not (tmp_path / "~").exists()
    assert which("~/p") == which(Path("~/p")) == which(tmp_path / "p") == "new"


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
    """Shards, assets and a checkpoint of an earlier saving don't outlive it; a user's file of a like name does."""
    folders.LM.save_to_preset(folder, max_shard_size=15_000 / 1024**3)
    (folder / "training_state.safetensors").touch()
    like = {"model_old.weights.h5", "model-mine.safetensors", "assets"}
    for name in (*like - {"assets"}, "assets/mine.txt"):
        (folder / name).touch()
    assert not (folder / "model.weights.h5").exists()
    NEW.backbone.save_to_preset(folder)
    left = {path.name for path in folder.iterdir()}
    assert left == {"config.json", "metadata.json", "model.weights.h5", "notes.txt", "sub", "link", "pipe"} | like
    assert [path.name for path in (folder / "assets").iterdir()] == ["mine.txt"]
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
def test_saving_onto_the_working_folder_leaves_it_there(folder, inside, monkeypatch):
    before = folder.stat().st_ino
    monkeypatch.chdir(folder / inside)
    NEW.save_to_preset(".." if inside == "sub" else ".")
    assert Path.cwd() == folder / inside
    assert folder.stat().st_ino == before
    assert which(".." if inside == "sub" else ".") == "new"
    check_users_files(folder)


@pytest.mark.parametrize("name", ["a\0b", "a\ud800", "a://b"])
def test_names_that_no_file_system_holds_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.PresetError, match=r"presets\.save\.target"):
        NEW.save_to_preset(name)
