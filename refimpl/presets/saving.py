"""Saving a preset: the new folder is made beside the old one and takes its place in one step."""

import ctypes
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refimpl.errors import InputTypeError, PresetError

# What a preset may hold from an earlier save; anything else in the folder is the user's and is kept.
_REPLACED = ("config.json", "metadata.json", "task.json", "task.weights.h5", "preprocessor.json", "tokenizer.json")
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux's renameat2
_HERE = -100  # AT_FDCWD


def write_json(path: Path, content: Any) -> None:
    """JSON as KerasHub writes it, four spaces deep."""
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")


@contextmanager
def replaced_folder(target: object) -> Iterator[Path]:
    """A new, empty folder to fill, which becomes `target` when the block ends without an error.

    Whatever goes wrong before that, `target` is as it was. Files in `target` that are no part of a preset are kept.

    Spec: presets.save.atomic
    """
    final = _target(target)
    final.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
    try:
        yield fresh
        if final.exists():
            _keep_others(final, fresh)
            fresh.chmod(final.stat().st_mode & 0o7777)
        else:
            fresh.chmod(0o777 & ~_umask())
        _sync(fresh)
        _swap(fresh, final)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _target(target: object) -> Path:
    """The folder to write, checked before any work is done."""
    if not isinstance(target, (str, os.PathLike)) or not str(target):
        raise InputTypeError(
            f"preset_dir={target!r} was passed.",
            "A preset is saved to a folder.",
            "Pass the folder's path as a string or a pathlib.Path.",
            "presets.save.target",
        )
    final = Path(os.path.realpath(target))
    if final.exists() and not final.is_dir():
        raise PresetError(
            f"{final} is a file.", "A preset is saved to a folder.", "Pass another path.", "presets.save.target"
        )
    return final


def _keep_others(old: Path, new: Path) -> None:
    """Copy what the user keeps beside the preset's own files."""
    for entry in old.iterdir():
        own = entry.name in _REPLACED or entry.name == "assets" or entry.match("model*.weights.*")
        if own or (new / entry.name).exists():
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, new / entry.name, follow_symlinks=False)


def _swap(fresh: Path, final: Path) -> None:
    """Put `fresh` in the place of `final`, in one step where the system can."""
    if not final.exists():
        fresh.rename(final)
        return
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None
    if rename and rename(_HERE, os.fsencode(fresh), _HERE, os.fsencode(final), _EXCHANGE) == 0:
        return  # `fresh` now names the old folder, which the caller removes
    aside = fresh.with_name(fresh.name + ".old")
    final.rename(aside)
    try:
        fresh.rename(final)
    except OSError:
        aside.rename(final)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Bring everything to the disk before the old folder is let go."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _umask() -> int:
    """The process's file mode mask (which can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
