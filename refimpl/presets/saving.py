"""Saving a preset: its files are written into a folder inside the preset's own, and then take their places.

When all are written, a journal is renamed into the preset's folder. Before that moment the old preset is there whole,
from it on the new one: `PresetFolder` finds a file by the journal, wherever it is by then, and the next save finishes
what was broken off.
"""

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refimpl.errors import InputTypeError, PresetError, RefimplError, SavingError
from refimpl.presets.folder import JOURNAL, STAGED, PresetFolder

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# What an earlier save may have written, and a new one removes; anything else in the folder is the user's.
PRESET = (
    "config.json",
    "metadata.json",
    "task.json",
    "task.weights.h5",
    "preprocessor.json",
    "audio_converter.json",
    "tokenizer.json",
    "assets/tokenizer/vocabulary.json",
    "assets/tokenizer/merges.txt",
    "assets/tokenizer/vocabulary.spm",
    "model.weights.h5",
    "model.weights.json",
    "model_[0-9][0-9][0-9][0-9][0-9].weights.h5",
    "training_state.safetensors",
)
EXPORTED = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-[0-9]*-of-[0-9]*.safetensors",
    "model.safetensors.index.json",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_CANNOT_SYNC = (errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOTSUP)


def write_json(path: Path, content: Any) -> None:
    """JSON as KerasHub writes it, four spaces deep."""
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")


@contextmanager
def replaced_folder(target: object, own: tuple[str, ...] = PRESET) -> Iterator[Path]:
    """A new, empty folder to fill, whose files become those of `target` when the block ends without an error.

    Whatever goes wrong before that, `target` is as it was. Files in it whose names are not in `own` are not touched.

    Raises: InputTypeError, PresetError, SavingError.
    Spec: presets.save.atomic, presets.save.keeps-others, presets.save.working-folder, presets.save.failed
    """
    final = _target(target)
    made = not final.exists()
    fresh = final / f"{STAGED}{secrets.token_hex(8)}"
    try:
        final.mkdir(parents=True, exist_ok=True)
        with _alone(final):
            fresh.mkdir()
            yield fresh
            _commit(fresh, final, own)
            _put_in_place(final)
    except (OSError, RuntimeError) as error:  # RuntimeError: h5py on a full disk
        if isinstance(error, RefimplError):
            raise
        raise _failed(final, error) from error
    finally:
        if not (final / JOURNAL).exists():
            shutil.rmtree(fresh, ignore_errors=True)
            if made:
                _remove_empty(final)


def _target(target: object) -> Path:
    """The folder to write, checked before any work is done. Spec: presets.save.target, presets.identifier.home"""
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
    final = Path(os.path.realpath(os.path.expanduser(path)))  # noqa: PTH111  (a user who is not known is no error)
    if final.exists() and not final.is_dir():
        raise PresetError(
            f"{final} is a file.", "A preset is saved to a folder.", "Pass another path.", "presets.save.target"
        )
    return final


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for other saves to the folder, where the system has locks, and end what a killed one has left."""
    handle, locked = None, False
    try:
        with contextlib.suppress(OSError, AttributeError):
            handle = os.open(folder, os.O_RDONLY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            locked = True
        _put_in_place(folder)
        for left in folder.glob(f"{STAGED}*") if locked else ():
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _commit(fresh: Path, final: Path, own: tuple[str, ...]) -> None:
    """Bring all to the disk, then the journal into its place: the one step from the old preset to the new one."""
    new = _files(fresh)
    for place in (final / name for name in new):
        if place.is_dir() or (place.parent.exists() and os.path.realpath(place.parent) != str(place.parent)):
            raise FileExistsError(errno.EEXIST, "something else stands in the place of", str(place))
    write_json(fresh / JOURNAL, {"folder": fresh.name, "new": new, "old": _stale(final, own, new)})
    for path in (*fresh.rglob("*"), fresh):
        _sync(path)
    (fresh / JOURNAL).replace(final / JOURNAL)
    _sync(final)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _stale(final: Path, own: tuple[str, ...], new: list[str]) -> list[str]:
    """The files of an earlier save that the new one does not write. Spec: presets.save.keeps-others"""
    found = [path for pattern in own for path in final.glob(pattern) if path.is_symlink() or path.is_file()]
    return sorted({path.relative_to(final).as_posix() for path in found} - set(new))


def _put_in_place(final: Path) -> None:
    """Do what a journal asks for, if there is one; it goes when all is done. Can be broken off and begun again."""
    journal = PresetFolder(final).pending()
    if journal is None:
        return
    for name in journal["new"]:
        if os.path.lexists(staged := final / journal["folder"] / name):
            (final / name).parent.mkdir(parents=True, exist_ok=True)
            staged.replace(final / name)
    for name in journal["old"]:
        (final / name).unlink(missing_ok=True)
    parents = {final / parent for name in journal["new"] + journal["old"] for parent in Path(name).parents}
    for folder in sorted(parents, reverse=True):
        if folder.is_dir():
            _sync(folder)
            _remove_empty(folder)
    (final / JOURNAL).unlink()
    shutil.rmtree(final / journal["folder"], ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # it holds something
        folder.rmdir()


def _failed(final: Path, error: Exception) -> SavingError:
    """What a failure means: before the journal is there nothing has changed, from then on the new preset is whole."""
    must, mend = "It must be writable and have room for a second copy.", "what was there before is unchanged"
    if (final / JOURNAL).exists():
        must, mend = "Its files must be free to be replaced.", "refimpl loads the new preset from there all the same"
    return SavingError(
        f"Saving to {final} failed: {error}.", must, f"Mend that or pass another path; {mend}.", "presets.save.failed"
    )


def _sync(path: Path) -> None:
    """Bring a file or a folder's names to the disk. Not all file systems can, and not all files."""
    try:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
