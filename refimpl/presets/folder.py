"""Reading a preset folder: which files it has, and its JSON. Nothing is run from a file, nothing is read outside."""

import json
from pathlib import Path
from typing import Any

from refimpl.errors import (
    PresetError,
    PresetFileNotFoundError,
    PresetJSONError,
    PresetUnreadableError,
    UnsafePresetError,
)

CONFIG_FILE = "config.json"
METADATA_FILE = "metadata.json"
TASK_FILE = "task.json"
PREPROCESSOR_FILE = "preprocessor.json"
TOKENIZER_FILE = "tokenizer.json"
TOKENIZER_ASSETS = "assets/tokenizer"
WEIGHTS_FILE = "model.weights.h5"


class PresetFolder:
    """A folder on disk that holds a preset."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    def has(self, name: str) -> bool:
        """Whether the preset has a file of that name."""
        return (self.path / name).exists()

    def file(self, name: str) -> Path:
        """The path of a file that must be there.

        Raises: PresetFileNotFoundError; UnsafePresetError if the name or a symlink leads out of the folder.
        Spec: presets.folder.missing-file, presets.folder.stays-inside
        """
        path = self.path / name
        if not path.resolve().is_relative_to(self.path.resolve()):
            raise UnsafePresetError(
                f"{name!r} in the preset {self} leads to {path.resolve()}.",
                "All files of a preset must lie in its folder.",
                "Copy the file into the folder in place of the link.",
                "presets.folder.stays-inside",
            )
        if not path.is_file():
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
        """The content of a UTF-8 file."""
        path = self.file(name)
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise PresetUnreadableError(
                f"{path} can't be read: {error}.",
                "It must be a readable file in UTF-8.",
                "Check its permissions, or save the preset again.",
                "presets.folder.unreadable",
            ) from error

    def json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file, which must be an object.

        Spec: presets.folder.json
        """
        text = self.text(name)
        try:
            content = json.loads(text)
            problem = "" if isinstance(content, dict) else f"it holds a {type(content).__name__}"
        except (ValueError, RecursionError) as error:
            problem = str(error)
        if problem:
            raise PresetJSONError(
                f"{self.path / name} is not usable JSON: {problem}.",
                "It must be a JSON object.",
                "Save the preset again, or download it anew.",
                "presets.folder.json",
            )
        return content

    def described(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """A serialized object in a JSON file: the whole, and its `config`.

        Spec: presets.folder.json
        """
        content = self.json(name)
        return content, config_of(content, str(self.path / name))


def config_of(described: dict[str, Any], file: str) -> dict[str, Any]:
    """The `config` of a serialized object."""
    config = described.get("config")
    if not isinstance(config, dict):
        raise PresetJSONError(
            f"{file} has the `config` {config!r}.",
            'A serialized object must be {"class_name": ..., "registered_name": ..., "config": {...}}.',
            "Save the preset again.",
            "presets.folder.json",
        )
    return config


def open_preset(preset: object) -> PresetFolder:
    """Find the folder of a preset identifier.

    Raises: PresetError if the identifier is none.
    Spec: presets.identifier.local
    """
    if isinstance(preset, PresetFolder):
        return preset
    if isinstance(preset, (str, Path)) and Path(preset).is_dir():
        return PresetFolder(preset)
    raise PresetError(
        f"Unknown preset identifier: preset={preset!r}.",
        "A preset must be the path of a local preset folder.",
        "Check the spelling of the path; it is taken relative to the current folder.",
        "presets.identifier.unknown",
    )
