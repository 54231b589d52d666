"""Reading a preset folder: which files it has, and its JSON. Nothing is run from a file, nothing is read outside."""

import json
import os
import stat
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from refimpl.errors import (
    PresetFileNotFoundError,
    PresetJSONError,
    PresetUnreadableError,
    UnsafePresetError,
)
from refimpl.presets.hdf5 import Hdf5Weights
from refimpl.presets.layout import Layout
from refimpl.presets.shards import read_index

CONFIG_FILE = "config.json"
METADATA_FILE = "metadata.json"
TASK_FILE = "task.json"
PREPROCESSOR_FILE = "preprocessor.json"
TOKENIZER_FILE = "tokenizer.json"
AUDIO_CONVERTER_FILE = "audio_converter.json"
TOKENIZER_ASSETS = "assets/tokenizer"
JOURNAL, STAGED = ".refimpl-save.json", ".refimpl-new-"  # what `saving` writes while it puts a new preset in place
WEIGHTS_FILE = "model.weights.h5"
SHARDS_FILE = "model.weights.json"
_LONGEST_TEXT = 64 * 2**20  # bytes; the largest JSON of a known preset has 35 million


class PresetFolder:
    """A folder on disk that holds a preset."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def find(self, name: str) -> Path | None:
        """The path of a file of the preset, or None if it has none of that name.

        Raises: UnsafePresetError if the name or a link leads out of the folder, or to what is no regular file.
        Spec: presets.folder.stays-inside, presets.folder.regular-files, presets.save.atomic
        """
        check_name(name)
        journal = self.pending()
        if journal is None:
            return self._regular(name)
        return (self._regular(f"{journal['folder']}/{name}") or self._regular(name)) if name in journal["new"] else None

    def pending(self) -> dict[str, Any] | None:
        """What a save has left to do that was broken off when the new preset was complete: `folder` holds those of its
        files (`new`) that are not yet in their places, `old` are files of the preset before.

        Spec: presets.save.atomic
        """
        path = self._regular(JOURNAL)
        if path is None:
            return None
        journal = parse_json(_decoded(path, _bytes(path)), str(path))
        folder, *lists = (journal.get(key) for key in ("folder", "new", "old"))
        names = [name for part in lists for name in (part if isinstance(part, list) else [None])]
        for name in (folder, *names):
            check_name(name)
        if not str(folder).startswith(STAGED) or "/" in str(folder):
            raise _unsafe(f"{path} names the folder {folder!r:.80}.", "presets.folder.stays-inside")
        return journal

    def _regular(self, name: str) -> Path | None:
        """A regular file inside the folder."""
        path = self.path / name
        try:
            if not os.path.lexists(path):
                return None
            real = path.resolve()
            kind = path.stat().st_mode if path.exists() else stat.S_IFREG
        except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
            raise _unreadable(path, error) from error
        if not any(real.is_relative_to(root) for root in _roots(self.path)):
            raise _unsafe(f"{name!r} in the preset {self} leads to {real}.", "presets.folder.stays-inside")
        if not stat.S_ISREG(kind):
            raise _unsafe(f"{name!r} in the preset {self} is no regular file.", "presets.folder.regular-files")
        return real if real.exists() else None

    def has(self, name: str) -> bool:
        """Whether the preset has a file of that name."""
        return self.find(name) is not None

    def file(self, name: str) -> Path:
        """The path of a file that must be there.

        Raises: PresetFileNotFoundError, UnsafePresetError.
        Spec: presets.folder.missing-file
        """
        path = self.find(name)
        if path is None:
            raise PresetFileNotFoundError(
                f"`{name}` doesn't exist in preset directory `{self}`.",
                "A preset must hold its configuration, weights and assets.",
                f"Check the path, or save the preset again; found: {', '.join(self.names()) or 'nothing'}.",
                "presets.folder.missing-file",
            )
        return path

    def names(self) -> list[str]:
        """The first few names in the folder, for messages."""
        return sorted(entry.name for entry in self.path.iterdir())[:12] if self.path.is_dir() else []

    def text(self, name: str) -> str:
        """The content of a UTF-8 file.

        Spec: presets.folder.unreadable, presets.folder.text-size
        """
        return _decoded(self.path / name, self.read_bytes(name))

    def read_bytes(self, name: str) -> bytes:
        """The content of a small file.

        Spec: presets.folder.unreadable, presets.folder.text-size
        """
        return _bytes(self.file(name))

    def json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file, which must be an object.

        Spec: presets.folder.json
        """
        return parse_json(self.text(name), f"{self}/{name}")

    def described(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A serialized object in a JSON file: the whole, and its `config`.

        Spec: presets.folder.json
        """
        content = self.json(name)
        return content, config_of(content, f"{self}/{name}")

    def read_weights(self, layout: Layout, dtype: str) -> dict[str, np.ndarray]:
        """All weights of an architecture.

        Raises: WeightsError, UnsafePresetError, PresetUnreadableError.
        Spec: presets.weights.complete, presets.weights.shape, presets.weights.sharded
        """
        if self.find(WEIGHTS_FILE) is None and self.find(SHARDS_FILE) is not None:
            index = read_index(self.json(SHARDS_FILE), f"{self}/{SHARDS_FILE}")
            files = {name: self.file(name) for name in sorted({n for names in index.values() for n in names})}
        else:
            index, files = None, {WEIGHTS_FILE: self.file(WEIGHTS_FILE)}
        with Hdf5Weights(files, index) as weights:
            return weights.read(layout, dtype)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LONGEST_TEXT:
            raise _unsafe(f"{path} has {path.stat().st_size} bytes.", "presets.folder.text-size")
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise _unreadable(path, error) from error


def parse_json(text: str, file: str) -> dict[str, Any]:
    """JSON that must be an object.

    Raises: PresetJSONError.
    Spec: presets.folder.json
    """
    try:
        content = json.loads(text)
        problem = "" if isinstance(content, dict) else f"it holds a {type(content).__name__}"
    except (ValueError, RecursionError) as error:
        problem = str(error)
    if problem:
        raise PresetJSONError(
            f"{file} is not usable JSON: {problem}.",
            "It must be a JSON object.",
            "Save the preset again, or download it anew.",
            "presets.folder.json",
        )
    return dict(content)


def config_of(described: dict[str, Any], file: str) -> dict[str, Any]:
    """The `config` of a serialized object."""
    config = described.get("config")
    if not isinstance(config, dict):
        raise PresetJSONError(
            f"{file} has a `config` of type {type(config).__name__}.",
            'A serialized object must be {"class_name": ..., "registered_name": ..., "config": {...}}.',
            "Save the preset again.",
            "presets.folder.json",
        )
    return config


def check_name(name: object) -> None:
    """A file's name inside a preset: relative, plain, no way up.

    Spec: presets.folder.stays-inside
    """
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    wild = not parts or any(part in ("..", "/") or len(part.encode("utf-8", "replace")) > 255 for part in parts)
    if wild or any(character in str(name) for character in "\\:\0"):
        raise _unsafe(f"The preset names the file {name!r:.80}.", "presets.folder.stays-inside")


def _roots(path: Path) -> list[Path]:
    """Where links of a preset may lead: its own folder, and the blobs of the Hugging Face cache that holds it.

    That cache is laid out as `models--<user>--<model>/snapshots/<commit>/<file>`, a link into `blobs/` beside
    `snapshots/` or, for files that several models share, beside `models--<user>--<model>`.
    """
    real = path.resolve()
    repository = real.parent.parent
    if real.parent.name == "snapshots" and repository.name.startswith("models--"):
        return [real, repository / "blobs", repository.parent / "blobs"]
    return [real]


def _unsafe(what: str, clause: str) -> UnsafePresetError:
    must = "The files of a preset are regular files in its folder, with texts of 64 MiB at most."
    return UnsafePresetError(what, must, "Copy the real file into the folder.", clause)


def _unreadable(path: Path, error: Exception) -> PresetUnreadableError:
    return PresetUnreadableError(
        f"{path} can't be read: {error}.",
        "It must be a readable file in UTF-8.",
        "Check its permissions, or save the preset again.",
        "presets.folder.unreadable",
    )
