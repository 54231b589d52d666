"""From a preset's identifier to its folder: a built-in name, a handle of a hub, or a local path."""

import os
import re
from pathlib import Path

from refimpl.errors import InputTypeError, NotAPresetError, PresetError
from refimpl.presets.builtin import BUILTIN, handle_of
from refimpl.presets.folder import CONFIG_FILE, TOKENIZER_FILE, PresetFolder
from refimpl.presets.hub import HuggingFaceFolder, KaggleFolder
from refimpl.presets.transformers_folder import TransformersFolder

_HUBS: dict[str, type[PresetFolder]] = {"kaggle": KaggleFolder, "hf": HuggingFaceFolder}


def open_preset(preset: object) -> PresetFolder:
    """Find the folder of a preset, and which format it has.

    A string is first looked up among the built-in names, then taken as a handle, then as a path; a `pathlib.Path` is
    always a path.

    Raises: PresetError, InputTypeError, NotAPresetError, MissingHubClientError, HubError.
    Spec: presets.identifier.builtin, presets.identifier.kaggle, presets.identifier.hf, presets.identifier.local,
        presets.identifier.home, presets.identifier.format
    """
    if isinstance(preset, PresetFolder):
        return preset
    folder = _place(preset)
    if not folder.has(CONFIG_FILE):
        # A tokenizer or preprocessor that was saved alone has no configuration of a backbone.
        if folder.has(TOKENIZER_FILE):
            return folder
        raise NotAPresetError(
            f"Preset {folder} has no {CONFIG_FILE}.",
            "A preset is a folder with the files that save_to_preset writes.",
            "Check the path or handle, and that you may read it.",
            "presets.identifier.format",
        )
    config = folder.json(CONFIG_FILE)
    if "registered_name" in config or "class_name" in config:
        return folder
    if "model_type" in config:
        return TransformersFolder(folder)
    raise PresetError(
        f"Unrecognized format for {CONFIG_FILE} in {folder}: it has the keys {', '.join(sorted(config)[:8]):.200}.",
        "KerasHub's has `registered_name`, that of transformers has `model_type`.",
        "Create a preset with save_to_preset.",
        "presets.identifier.format",
    )


def _place(preset: object) -> PresetFolder:
    """The folder that an identifier means, which may lie on a hub."""
    if not isinstance(preset, (str, os.PathLike)) or isinstance(os.fspath(preset), bytes):
        raise InputTypeError(
            f"A preset identifier must be a string or a path. Received: preset={preset!r:.80}.",
            "It is a built-in name, a handle or the path of a folder.",
            'Pass for example "bart_base_en" or "./my_preset".',
            "presets.identifier.type",
        )
    text = os.fspath(preset)
    if isinstance(preset, str):
        text = handle_of(text) or text
        scheme, separator, handle = text.partition("://")
        if separator and scheme.lower() in _HUBS:
            return _HUBS[scheme.lower()](handle)
    text = os.path.expanduser(text)  # noqa: PTH111  (a user who is not known is no error)
    if text and "\0" not in text and Path(text).is_dir():
        return PresetFolder(text)
    names = ", ".join(sorted(name for table in BUILTIN.values() for name in table))
    raise PresetError(
        f"Unknown preset identifier: preset={preset!r:.200}.",
        f"A preset is a built-in name ({names}), kaggle://<user>/<model>/<framework>/<variant>, hf://<user>/<model>, "
        "or the path of a local preset folder.",
        f"{_meant(text)}Check the spelling; a path is taken relative to the current folder.",
        "presets.identifier.unknown",
    )


def _meant(text: str) -> str:
    """What a name without its scheme, or a page's address, may mean: Hugging Face's have two parts, Kaggle's four."""
    path = re.sub(r"^(https?://)?(www\.)?(huggingface\.co|kaggle\.com/models)/", "", text)
    part = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
    scheme = next((s for s, n in (("hf", 1), ("kaggle", 3)) if re.fullmatch(f"{part}(/{part}){{{n}}}/?", path)), None)
    return f"If it is on a hub, pass {scheme + '://' + path.rstrip('/')!r}. " if scheme else ""
