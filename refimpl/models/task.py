"""What all tasks share: a backbone, a preprocessor, presets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from refimpl.errors import InputError, InputTypeError, PresetError
from refimpl.keras_api.model import KerasTask
from refimpl.models.backbone import Backbone
from refimpl.preprocessing import Seq2SeqLMPreprocessor
from refimpl.presets import PresetFolder, open_preset
from refimpl.presets.export import write_checkpoint, write_converter, write_generation, write_tokenizer
from refimpl.presets.folder import CONFIG_FILE, TASK_FILE, config_of
from refimpl.presets.registry import class_for, classproperty, find_class, presets_of, serialized
from refimpl.presets.saving import EXPORTED, replaced_folder, write_json
from refimpl.training.trainer import Trainer

_FROM_FILES = object()


class Task(KerasTask, Trainer):
    """A backbone with a preprocessor. Subclasses say which classes belong together."""

    module: ClassVar[str] = ""
    backbone_cls: ClassVar[type[Backbone] | None] = None
    preprocessor_cls: ClassVar[type[Seq2SeqLMPreprocessor] | None] = None

    def __init__(
        self, backbone: Backbone, preprocessor: Seq2SeqLMPreprocessor | None = None, name: str | None = None
    ) -> None:
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.name = name or type(self).__name__
        self.trainable = True

    @property
    def backbone(self) -> Backbone:
        """The model without its task. Spec: task.constructor.backbone, task.properties"""
        return self._backbone

    @backbone.setter
    def backbone(self, backbone: Backbone) -> None:
        if not isinstance(backbone, self.backbone_cls or Backbone):
            raise InputTypeError(
                f"{type(self).__name__} got the backbone {backbone!r:.60}.",
                f"Its backbone must be a {(self.backbone_cls or Backbone).__name__}.",
                "Pass such a backbone, or call from_preset.",
                "task.constructor.backbone",
            )
        self._backbone = backbone

    @property
    def preprocessor(self) -> Seq2SeqLMPreprocessor | None:
        """What makes ids from texts, or None for a task on token dictionaries.

        Spec: task.constructor.preprocessor, task.properties
        """
        return self._preprocessor

    @preprocessor.setter
    def preprocessor(self, preprocessor: Seq2SeqLMPreprocessor | None) -> None:
        # Not a question of the class: a user's own object with these methods does as well.
        if preprocessor is not None and not callable(getattr(preprocessor, "generate_preprocess", None)):
            raise InputTypeError(
                f"{type(self).__name__} got the preprocessor {preprocessor!r:.60}.",
                "It must be a preprocessor, or None.",
                "Pass such a preprocessor, or call from_preset.",
                "task.constructor.preprocessor",
            )
        self._preprocessor = preprocessor

    # -- configuration ---------------------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """Serialized backbone and preprocessor, and the name. Spec: task.config"""
        preprocessor = self.preprocessor.described() if self.preprocessor is not None else None
        return {"backbone": self.backbone.described(), "preprocessor": preprocessor, "name": self.name}

    def count_params(self) -> int:
        """The number of parameters."""
        return self.backbone.count_params()

    def get_weights(self) -> list[np.ndarray]:
        """All weights, in the backbone's order."""
        return self.backbone.get_weights()

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Set all weights from a list in the order of `get_weights`."""
        self.backbone.set_weights(weights)

    # -- loading ---------------------------------------------------------------------------------------------------
    @classmethod
    def from_preset(
        cls,
        preset: object,
        load_weights: bool = True,
        *,
        backbone: Any = _FROM_FILES,
        preprocessor: Any = _FROM_FILES,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Build a task from a preset; on a base class the subclass that the preset's configuration implies.

        `load_weights=False` gives random weights, `preprocessor=None` a task on token dictionaries,
        `dtype="float64"` the oracle. Other keywords are configuration values of the backbone.

        Raises: PresetError, PresetFileNotFoundError, WeightsError and their kin.
        Spec: presets.task.from-preset, presets.task.subclass, presets.load.load-weights, presets.load.dtype
        """
        folder = open_preset(preset)
        found = cls._class_for(folder)
        saved = _saved_task(folder)
        if backbone is _FROM_FILES:
            assert found.backbone_cls is not None  # `_class_for` gives concrete classes only
            backbone = found.backbone_cls.from_preset(folder, load_weights, dtype=dtype, **kwargs)
        elif kwargs:
            raise InputError(
                f"The keywords {sorted(kwargs)} were passed beside a backbone.",
                "Configuration values go into a backbone that is built, not into one that exists.",
                "Leave one of the two out.",
                "presets.task.unknown-keyword",
            )
        if preprocessor is _FROM_FILES:
            wanted = "preprocessor" not in saved or saved["preprocessor"] is not None
            cls_ = found.preprocessor_cls
            preprocessor = cls_.from_preset(folder) if wanted and cls_ is not None else None
        task = found(backbone, preprocessor, name=name or saved.get("name"))
        task._fit_lengths()
        return task

    @classmethod
    def _class_for(cls, folder: PresetFolder) -> type[Self]:
        """The task class for the preset's backbone, which must be `cls` or derive from it."""
        if cls is Task:
            raise PresetError(
                "Do not call `Task.from_preset()` directly.",
                "The task must be known.",
                "Call `Seq2SeqLM.from_preset()` instead.",
                "presets.task.subclass",
            )
        return class_for(cls, folder, "Seq2SeqLM", "presets.task.subclass")

    def _fit_lengths(self) -> None:
        """Default sequence lengths must not run over the position table."""
        limit = getattr(self.backbone, "max_sequence_length", None)
        if self.preprocessor is not None and limit is not None:
            self.preprocessor.fit_to_positions(limit)

    # -- saving ----------------------------------------------------------------------------------------------------
    def save_to_preset(self, preset_dir: object, max_shard_size: float | None = 10) -> None:
        """Save the task to a preset folder that KerasHub loads; the folder is replaced in one step.

        Units: weights of more than `max_shard_size` GiB are spread over several files; None keeps one.
        Spec: presets.save.files, presets.save.atomic, presets.save.round-trip, presets.save.shards
        """
        with replaced_folder(preset_dir) as folder:
            self.write_preset_files(folder, max_shard_size)

    def export_to_transformers(self, path: object) -> None:
        """Save a checkpoint that transformers loads, with its tokenizer and the settings of greedy generation.

        Spec: presets.export.weights, presets.export.config, presets.export.tokenizer, presets.export.generation
        """
        model, preprocessor = self.backbone, self.preprocessor
        tokenizer = preprocessor.tokenizer if preprocessor is not None else None
        with replaced_folder(path, EXPORTED) as folder:
            write_checkpoint(folder, model, tokenizer)
            if preprocessor is not None and tokenizer is not None:
                write_generation(folder, model, tokenizer, preprocessor.decoder_sequence_length)
                write_tokenizer(folder, tokenizer)
            if (converter := getattr(preprocessor, "audio_converter", None)) is not None:
                write_converter(folder, converter)

    def write_preset_files(self, folder: Path, max_shard_size: float | None = 10) -> None:
        """Write all files into a folder that is being made."""
        self.backbone.write_preset_files(folder, max_shard_size)
        if self.preprocessor is not None:
            self.preprocessor.write_preset_files(folder)
        write_json(folder / TASK_FILE, serialized(self))

    @classproperty
    def presets(cls) -> dict[str, Any]:
        """Built-in presets of this task: name -> description and handle. Spec: presets.builtin.listed"""
        return presets_of(cls)


def _saved_task(folder: PresetFolder) -> Mapping[str, Any]:
    """The configuration in `task.json`, if there is one; its backbone must be the one of `config.json`.

    Spec: presets.task.config-agrees
    """
    if not folder.has(TASK_FILE):
        return {}
    described, saved = folder.described(TASK_FILE)
    find_class(described, str(folder.path / TASK_FILE))
    _, config = folder.described(CONFIG_FILE)
    nested = saved.get("backbone")
    inside = config_of(nested, str(folder.path / TASK_FILE)) if isinstance(nested, dict) else {}
    different = sorted(k for k in inside.keys() & config.keys() - {"dtype", "name"} if inside[k] != config[k])
    if different:
        raise PresetError(
            f"{CONFIG_FILE} and {TASK_FILE} in {folder} differ in {', '.join(different)}.",
            "Both must describe the same backbone.",
            "Make the same change in both files, or save the preset again.",
            "presets.task.config-agrees",
        )
    return saved
