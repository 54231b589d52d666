"""Saving a preset: the new folder is made beside the old one and takes its place in one step."""

import contextlib
import ctypes
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refimpl.errors import InputTypeError, PresetError, RefimplError, SavingError

# What a folder may hold from an earlier save; anything else in it is the user's and is kept.
PRESET = (
    "config.json",
    "metadata.json",
    "task.json",
    "task.weights.h5",
    "preprocessor.json",
    "tokenizer.json",
    "assets",
    "model*.weights.*",
)
EXPORTED = (
    "config.json",
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_EXCHANGE = 2  # RENAME_EXCHANGE of Linux's renameat2
_HERE = -100  # AT_FDCWD


def write_json(path: Path, content: Any) -> None:
    """JSON as KerasHub writes it, four spaces deep."""
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")


@contextmanager
def replaced_folder(target: object, own: tuple[str, ...] = PRESET) -> Iterator[Path]:
    """A new, empty folder to fill, which becomes `target` when the block ends without an error.

    Whatever goes wrong before that, `target` is as it was. Files in `target` whose names are not in `own` are kept.

    Raises: InputTypeError, PresetError, SavingError.
    Spec: presets.save.atomic, presets.save.keeps-others, presets.save.failed
    """
    final = Path(str(target))
    fresh: Path | None = None
    try:
        final = _target(target)
        final.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
        yield fresh
        if final.exists():
            _keep_others(final, fresh, own)
            fresh.chmod(final.stat().st_mode & 0o7777)
        else:
            fresh.chmod(0o777 & ~_umask())
        _sync(fresh)
        with _same_working_folder(final):
            _swap(fresh, final)
    except (OSError, RuntimeError) as error:  # RuntimeError: h5py on a full disk
        if isinstance(error, RefimplError):
            raise
        raise SavingError(
            f"Saving to {final} failed: {error}.",
            "The folder beside it must be writable and have room for a second copy.",
            "Free space or pass another path; what was there before is unchanged.",
            "presets.save.failed",
        ) from error
    finally:
        if fresh is not None:
            shutil.rmtree(fresh, ignore_errors=True)


def _target(target: object) -> Path:
    """The folder to write, checked before any work is done."""
    if not isinstance(target, (str, os.PathLike)) or not os.fspath(target) or isinstance(os.fspath(target), bytes):
        raise InputTypeError(
            f"preset_dir={target!r:.80} was passed.",
            "A preset is saved to a folder.",
            "Pass the folder's path as a string or a pathlib.Path.",
            "presets.save.target",
        )
    path = os.fspath(target)
    # Python writes a name's bytes that are no UTF-8 as U+DC80 to U+DCFF; no other half character can be in a name.
    if "://" in path or any(c == "\0" or "\ud800" <= c < "\udc80" or "\udcff" < c < "\ue000" for c in path):
        raise PresetError(
            f"preset_dir={target!r:.80} was passed.",
            "A preset is saved to a local folder whose name a file system can hold.",
            "Save it to a folder, and upload that with the hub's own client.",
            "presets.save.target",
        )
    final = Path(os.path.realpath(target))
    if final.exists() and not final.is_dir():
        raise PresetError(
            f"{final} is a file.", "A preset is saved to a folder.", "Pass another path.", "presets.save.target"
        )
    return final


def _keep_others(old: Path, new: Path, own: tuple[str, ...]) -> None:
    """Carry over what the user keeps beside the files of an earlier save: as hard links where the system has them.

    Spec: presets.save.keeps-others
    """
    for entry in old.iterdir():
        if any(entry.match(pattern) for pattern in own) or os.path.lexists(new / entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True, copy_function=_link)
        else:
            _link(str(entry), str(new / entry.name))


def _link(source: str, place: str) -> None:
    """A second name for a file of any kind, or a copy of it on a file system without such names."""
    try:
        os.link(source, place, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, place, follow_symlinks=False)


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
    except BaseException:
        aside.rename(final)
        raise
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _same_working_folder(final: Path) -> Iterator[None]:
    """Stay in the folder of the same path, if that is the one to be replaced: else relative paths would lead nowhere.

    Spec: presets.save.working-folder
    """
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        here = None
    yield
    if here is not None and (here == final or final in here.parents):
        os.chdir(here)


def _sync(folder: Path) -> None:
    """Bring everything to the disk before the old folder is let go. Not all file systems can, and not all files."""
    for path in [*folder.rglob("*"), folder]:
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        with contextlib.suppress(PermissionError):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def _umask() -> int:
    """The process's file mode mask (which can only be read by setting it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
