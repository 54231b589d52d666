"""What all backbones share: configuration, weights by name, presets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from refimpl.errors import ConfigError, PresetError, RefimplError, TokenIdError, WeightsError
from refimpl.keras_api.model import KerasBackbone
from refimpl.models.config import Config
from refimpl.models.encoder_decoder import EncoderDecoder
from refimpl.models.inputs import as_rectangle, require_keys, require_shapes
from refimpl.models.weights import Scope, fresh_weights, laid_as, weight_arrays
from refimpl.presets import PresetFolder, open_preset
from refimpl.presets.dtype import compute_dtype, dtype_policy, policy_name, refuse_quantized
from refimpl.presets.export import write_checkpoint
from refimpl.presets.families import Family
from refimpl.presets.folder import CONFIG_FILE, METADATA_FILE
from refimpl.presets.hdf5_writing import write_weights
from refimpl.presets.layout import Layout, Weight
from refimpl.presets.registry import classproperty, find_class, presets_of, serialized, tasks_of
from refimpl.presets.saving import EXPORTED, replaced_folder, write_json

Batch = Mapping[str, Any]


class Backbone(EncoderDecoder, KerasBackbone):
    """An encoder-decoder without its task. A subclass gives the configuration, the layout and the layers.

    The constructor takes the values of `config_cls`, and `weights_from` for a preset that brings weights along.
    """

    module: ClassVar[str] = ""
    config_cls: ClassVar[type[Config]]
    family: ClassVar[Family | None] = None  # how transformers words it

    @staticmethod
    def layout(config: Any) -> Layout:
        """Every weight of a configuration, in KerasHub's order."""
        raise NotImplementedError

    def __init__(
        self,
        *sizes: Any,
        dtype: Any = None,
        name: str | None = None,
        trainable: bool = True,
        weights_from: Callable[[Backbone], dict[str, np.ndarray]] | None = None,
        **config: Any,
    ) -> None:
        self.config = self.config_cls(*sizes, **config)
        self.dtype = compute_dtype(dtype)
        self.name = name or type(self).__name__
        self.trainable = trainable
        # A preset brings its weights along: filling 140 million numbers at random to drop them would take seconds.
        fill = weights_from or (lambda model: fresh_weights(model.layout(model.config), model.dtype))
        self.params: dict[str, np.ndarray] = fill(self)

    def __getattr__(self, name: str) -> Any:
        """A value of the configuration: `model.hidden_dim`."""
        config = vars(self).get("config")  # a copy that is being made has none yet
        if name.startswith("_") or not hasattr(config, name):
            return super().__getattr__(name)
        return getattr(config, name)

    # -- running ---------------------------------------------------------------------------------------------------
    @property
    def scope(self) -> Scope:
        """The weights as the forward pass reads them."""
        return Scope(self.params)

    def __call__(self, inputs: Batch, training: bool | None = None) -> dict[str, np.ndarray]:
        """Encoder and decoder states of a batch.

        Shapes: ids and masks (B, S) and (B, T) -> `encoder_sequence_output` (B, S, E),
            `decoder_sequence_output` (B, T, E).
        Raises: MissingInputError, InputError, TokenIdError, SequenceLengthError.
        Spec: models.backbone.outputs
        """
        return self.forward(self.scope, self.checked(inputs), *self.drop(training))

    def checked(self, inputs: Batch) -> dict[str, np.ndarray]:
        """The batch as integer ids and bool masks, after everything that must hold was looked at.

        Spec: models.inputs.keys, models.inputs.shapes, models.inputs.ids, models.inputs.masks
        """
        keys = (self.source_key, "encoder_padding_mask", "decoder_token_ids", "decoder_padding_mask")
        require_keys(inputs, keys)
        arrays = {keys[0]: self.as_source(inputs[keys[0]])} | {key: as_rectangle(key, inputs[key]) for key in keys[1:]}
        require_shapes(arrays)
        source, prompt = self.checked_source(arrays[keys[0]]), arrays["decoder_token_ids"]
        self._check_ids("decoder_token_ids", prompt)
        self.check_length("decoder", prompt.shape[1])
        self._check_weights()
        masks = {key: arrays[key].astype(bool) for key in ("encoder_padding_mask", "decoder_padding_mask")}
        return {keys[0]: source, "decoder_token_ids": prompt.astype(np.int64)} | masks

    def as_source(self, given: Any) -> np.ndarray:
        """What stands under `source_key`, as an array whose first axes are batch and length."""
        return as_rectangle(self.source_key, given)

    def checked_source(self, source: np.ndarray) -> np.ndarray:
        """The source as the encoder reads it, after everything that must hold was looked at."""
        self._check_ids(self.source_key, source)
        self.check_length("encoder", source.shape[1])
        return source.astype(np.int64)

    def _check_ids(self, key: str, ids: np.ndarray) -> None:
        """Ids must be rows of the embedding table (spec: models.inputs.ids)."""
        if ids.min() < 0 or ids.max() >= self.vocabulary_size or (ids.dtype.kind == "f" and (ids % 1).any()):
            raise TokenIdError(
                f"{key} holds ids from {ids.min()} to {ids.max()}.",
                f"Ids must be whole numbers from 0 to {self.vocabulary_size - 1} (vocabulary_size - 1).",
                "Use the tokenizer of the same preset; replace -100 and other markers by the pad id.",
                "models.inputs.ids",
            )

    def _check_weights(self) -> None:
        """Weights may be put in their place by anyone; their shapes are the configuration's.

        Spec: models.weights.shapes
        """
        for weight in self._rows:
            found = getattr(self.params.get(weight.name), "shape", None)
            if found != weight.shape:
                raise WeightsError(
                    f"The weight {weight.name} has the shape {found}.",
                    f"It must be {weight.shape}, as the configuration says.",
                    f"Put an array of that shape back: backbone.params[{weight.name!r}] = array.",
                    "models.weights.shapes",
                )

    # -- weights ---------------------------------------------------------------------------------------------------
    @cached_property
    def _rows(self) -> list[Weight]:
        """The layout, which is as frozen as the configuration."""
        return list(self.layout(self.config))

    def lay_weights(self) -> None:
        """Bring weights that a user put in into the order of all others, so that steps have the bits that they have
        after saving and loading.

        Spec: training.checkpoint.exact
        """
        self.params |= {weight.name: weight.laid(self.params[weight.name]) for weight in self._rows}

    def count_params(self) -> int:
        """The number of parameters. Spec: models.backbone.count-params"""
        return sum(array.size for array in self.params.values())

    def get_weights(self) -> list[np.ndarray]:
        """All weights, in KerasHub's order on JAX and TensorFlow. Spec: models.weights.order"""
        return [array.copy() for array in self.params.values()]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Set all weights from a list in the order of `get_weights`.

        Raises: WeightsError if number or shapes differ; then nothing was changed.
        Spec: models.weights.order
        """
        arrays = weight_arrays(weights, self.dtype)
        shapes = [array.shape for array in self.params.values()]
        if [array.shape for array in arrays] != shapes:
            raise WeightsError(
                f"set_weights() got {len(arrays)} arrays, of shapes {[a.shape for a in arrays][:4]}...",
                f"It takes {len(shapes)} arrays of shapes {shapes[:4]}...",
                "Pass what get_weights() of a model of the same configuration gave.",
                "models.weights.order",
            )
        old = self.params.items()
        self.params = {name: laid_as(model, array) for (name, model), array in zip(old, arrays, strict=True)}

    # -- configuration ---------------------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        head = {"name": self.name, "trainable": self.trainable, "dtype": dtype_policy(self.dtype)}
        return head | self.config.written()

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights_from: Callable[[Backbone], dict[str, np.ndarray]] | None = None
    ) -> Self:
        """Build with fresh random weights, or those that `weights_from` brings.

        Raises: ConfigError for unknown, missing or impossible values.
        """
        try:
            arguments = {**config, "dtype": policy_name(config.get("dtype"))}
            if "weights_from" in arguments:
                raise TypeError("got an unexpected keyword argument 'weights_from'")
            return cls(**arguments | ({"weights_from": weights_from} if weights_from else {}))
        except (TypeError, AttributeError, MemoryError, OverflowError) as error:
            if isinstance(error, RefimplError):
                raise
            raise ConfigError(
                f"The configuration of {cls.__name__} does not fit: {error}.",
                f"It must have the keys {', '.join(cls.config_cls.names())}, with sizes that memory can hold.",
                f"Check {CONFIG_FILE}.",
                "presets.config.unknown-key",
            ) from error

    def described(self) -> dict[str, Any]:
        """The serialized form, as KerasHub writes it."""
        return serialized(self)

    # -- presets ---------------------------------------------------------------------------------------------------
    @classmethod
    def from_preset(cls, preset: object, load_weights: bool = True, **kwargs: Any) -> Self:
        """Load a backbone; `kwargs` take the place of saved configuration values.

        Raises: PresetError if the preset's backbone is no `cls`.
        Spec: presets.backbone.from-preset, presets.load.load-weights
        """
        folder = open_preset(preset)
        described, config = folder.described(CONFIG_FILE)
        found = find_class(described, str(folder.path / CONFIG_FILE))
        if not issubclass(found, cls):
            raise PresetError(
                f"Saved preset has type `{found.__name__}` which is not a subclass of calling class `{cls.__name__}`.",
                "from_preset must be called on the saved class or on a base of it.",
                f"Call `from_preset` directly on `{found.__name__}` instead.",
                "presets.backbone.from-preset",
            )
        refuse_quantized(config.get("dtype"), folder)
        # Saved float types come back in float32 unless the caller chooses (spec: presets.load.dtype).
        arguments = {**config, "dtype": None, **kwargs}
        return found.from_config(arguments, (lambda model: model.weights_of(folder)) if load_weights else None)

    def weights_of(self, folder: PresetFolder) -> dict[str, np.ndarray]:
        """The weights of a preset, for this configuration."""
        return folder.read_weights(self.layout(self.config), self.dtype)

    def save_to_preset(self, preset_dir: object, max_shard_size: float | None = 10) -> None:
        """Save the backbone alone to a preset folder. Units: `max_shard_size` in GiB.

        Spec: presets.save.files, presets.save.shards, presets.save.atomic
        """
        with replaced_folder(preset_dir) as folder:
            self.write_preset_files(folder, max_shard_size)

    def export_to_transformers(self, path: object) -> None:
        """Save a checkpoint that transformers loads: `config.json` and `model.safetensors`.

        Spec: presets.export.weights, presets.export.config, presets.save.atomic
        """
        with replaced_folder(path, EXPORTED) as folder:
            write_checkpoint(folder, self)

    def write_preset_files(self, folder: Path, max_shard_size: float | None = 10) -> None:
        """Write configuration, metadata and weights into a folder that is being made.

        Spec: presets.save.files, presets.save.metadata
        """
        write_json(folder / CONFIG_FILE, self.described())
        metadata = {
            "keras_version": "3.15.1",
            "keras_hub_version": "0.32.0",
            "parameter_count": self.count_params(),
            "date_saved": datetime.now().strftime("%Y-%m-%d@%H:%M:%S"),
            "tasks": tasks_of(type(self)),
        }
        write_json(folder / METADATA_FILE, metadata)
        content = {w.name: (w.dataset, self.params[w.name]) for w in self.layout(self.config)}
        write_weights(folder, content, self.name, max_shard_size)

    @classproperty
    def presets(cls) -> dict[str, Any]:
        """Built-in presets with a backbone of this class."""
        return presets_of(cls)
