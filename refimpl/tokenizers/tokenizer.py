"""What all tokenizers share: special tokens, presets, and the shapes of what goes in and comes out."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from refimpl.errors import ConfigError, InputTypeError, RefimplError
from refimpl.keras_api.inputs import on_tensors
from refimpl.presets import PresetFolder, open_preset
from refimpl.presets.dtype import dtype_policy, policy_name
from refimpl.presets.export import write_tokenizer
from refimpl.presets.folder import TOKENIZER_ASSETS, TOKENIZER_FILE
from refimpl.presets.registry import classproperty, part_of, presets_of, serialized
from refimpl.presets.saving import EXPORTED, replaced_folder, write_json

_LONGEST = 2**20  # tokens; a preset that asks for more would fill the memory


class Tokenizer:
    """Text to ids and back. Subclasses define `_encode`, `_decode` and the vocabulary look-ups."""

    special_token_names: ClassVar[tuple[str, ...]] = ()
    module: ClassVar[str] = ""
    backbone_name: ClassVar[str] = ""  # the backbone whose built-in presets have such a tokenizer

    def __init__(
        self, sequence_length: int | None = None, dtype: Any = "int32", name: str | None = None, trainable: bool = True
    ) -> None:
        self.dtype = self._checked_dtype(dtype)
        self.sequence_length = self._checked_length(sequence_length)
        self.name = name or type(self).__name__
        self.trainable = trainable

    def __call__(self, inputs: Any) -> Any:
        """The same as `tokenize`."""
        return self.tokenize(inputs)

    # -- what a subclass defines ---------------------------------------------------------------------------------
    def _encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def _encode_tokens(self, text: str) -> list[str]:
        """The tokens of a text; a subclass may know more than the ids tell."""
        return [self.id_to_token(id) for id in self._encode(text)]

    def _sized(self, tokens: list[str]) -> list[str]:
        """Cut and padded to `sequence_length`, if there is one. Spec: tokenizers.output.strings"""
        missing = (self.sequence_length or len(tokens)) - len(tokens)
        padding = [self.id_to_token(self._padding_id())] * missing if missing > 0 else []
        return tokens[: self.sequence_length or None] + padding

    def _decode(self, ids: list[int]) -> str:
        raise NotImplementedError

    def id_to_token(self, id: int) -> str:
        """The token of an id."""
        raise NotImplementedError

    def vocabulary_size(self) -> int:
        """The number of tokens."""
        raise NotImplementedError

    def save_assets(self, folder: Path) -> None:
        """Write the vocabulary files."""
        raise NotImplementedError

    def load_assets(self, folder: PresetFolder) -> None:
        """Read the vocabulary files of a preset."""
        raise NotImplementedError

    def load_extension(self, extension: Any) -> None:
        """Take what `tokenizer.json` says beyond KerasHub's configuration; most tokenizers have nothing there."""

    # -- text to ids ---------------------------------------------------------------------------------------------
    @on_tensors
    def tokenize(self, inputs: Any) -> Any:
        """Ids of a text, or of each text of a list.

        Shapes: str -> (T,) int32 array; list of B str -> B lists of ids, or a (B, sequence_length) array if one is
            set: cut or padded on the right. With `dtype="string"` lists of tokens.
        Raises: InputTypeError for anything else.
        Spec: tokenizers.input.types, tokenizers.output.types
        """
        texts = texts_of(inputs)
        single = isinstance(inputs, (str, bytes))
        if "string" in self.dtype:
            tokens = [self._sized(self._encode_tokens(text)) for text in texts]
            return tokens[0] if single else tokens
        rows: list[Any] = [self._encode(text) for text in texts]
        if self.sequence_length:
            padded = np.full((len(rows), self.sequence_length), self._padding_id(), self.dtype)
            for row, ids in zip(padded, rows, strict=True):
                row[: len(ids)] = ids[: self.sequence_length]
            return padded[0] if single else padded
        return np.array(rows[0], self.dtype) if single else rows

    def detokenize(self, inputs: Any) -> Any:
        """The text of a row of ids, or a list of texts of several rows.

        Raises: InputTypeError for what is no row of ids and no list of such rows.
        Spec: tokenizers.detokenize.shapes
        """
        if isinstance(inputs, (int, np.integer)):
            return self._decode([int(inputs)])
        rows = None
        if isinstance(inputs, (list, tuple)) or (isinstance(inputs, np.ndarray) and inputs.ndim):
            with contextlib.suppress(ValueError):  # of rows in rows
                rows = [np.asarray(row) for row in inputs]
        if rows is None or any(row.ndim > 1 or (row.size and row.dtype.kind not in "iu") for row in rows):
            raise InputTypeError(
                f"detokenize() got {inputs!r:.80}.",
                "It takes an id, a row of integer ids, or a list of such rows.",
                "Pass a list of int, a list of lists, or an integer array of rank 1 or 2.",
                "tokenizers.detokenize.shapes",
            )
        if rows and all(row.ndim == 0 for row in rows):
            return self._decode([int(i) for i in rows])
        if not rows:
            return ""
        return [self._decode([int(i) for i in np.atleast_1d(row)]) for row in rows]

    # -- special tokens ------------------------------------------------------------------------------------------
    @property
    def special_tokens(self) -> list[str]:
        """The tokens that are no text, each once."""
        return list(dict.fromkeys(getattr(self, name) for name in self.special_token_names))

    @property
    def special_token_ids(self) -> list[int]:
        """The ids of `special_tokens`."""
        return list(dict.fromkeys(getattr(self, f"{name}_id") for name in self.special_token_names))

    def _padding_id(self) -> int:
        return int(getattr(self, "pad_token_id", 0))

    @staticmethod
    def _checked_dtype(dtype: Any) -> str:
        """Presets store the type as a name or as a serialized policy."""
        name = policy_name(dtype)
        name = name if isinstance(name, str) else str(name)
        if "int" not in name and "string" not in name:
            raise ConfigError(
                f"Output dtype must be an integer type or a string. Received: dtype={dtype!r}.",
                "Tokenizers give ids or tokens.",
                'Use dtype="int32" or dtype="string".',
                "tokenizers.output.dtype",
            )
        return name

    @staticmethod
    def _checked_length(length: Any) -> int | None:
        """A length to cut and pad to, or None."""
        if length is not None and (type(length) is not int or not 0 <= length <= _LONGEST):
            raise ConfigError(
                f"sequence_length={length!r:.40} was passed.",
                f"It is a whole number up to {_LONGEST}, or None.",
                "Leave it out to get rows of their own lengths.",
                "tokenizers.output.sequence-length",
            )
        return length

    # -- configuration and presets -------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, without the vocabulary (which is an asset)."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policy(self.dtype),
            "config_file": TOKENIZER_FILE,
            "sequence_length": self.sequence_length,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build from `get_config()`'s dictionary; unknown keys are refused by name."""
        try:
            return cls(**{key: value for key, value in dict(config).items() if key != "config_file"})
        except (TypeError, ValueError) as error:
            if isinstance(error, RefimplError):
                raise
            raise ConfigError(
                f"The configuration of {cls.__name__} does not fit: {error}.",
                "Every key must be a parameter of the class.",
                "Remove the key from tokenizer.json.",
                "presets.config.unknown-key",
            ) from error

    def described(self) -> dict[str, Any]:
        """The serialized form, as KerasHub writes it."""
        return serialized(self)

    @classmethod
    def from_preset(cls, preset: object, **kwargs: Any) -> Self:
        """Load the tokenizer of a preset; called on a base class it gives the class that the preset names.

        Raises: PresetError if the preset's tokenizer is no `cls`.
        Spec: presets.tokenizer.from-preset
        """
        folder = open_preset(preset)
        found, described, config = part_of(cls, folder, TOKENIZER_FILE, "tokenizer", "presets.tokenizer.from-preset")
        tokenizer = found.from_config({**config, **kwargs})
        tokenizer.load_extension(described.get("refimpl"))
        tokenizer.load_assets(folder)
        return tokenizer

    def load_preset_assets(self, preset: object) -> None:
        """Read the vocabulary files of a preset into this tokenizer."""
        self.load_assets(open_preset(preset))

    def save_to_preset(self, preset_dir: object) -> None:
        """Save the tokenizer alone to a preset folder."""
        with replaced_folder(preset_dir) as folder:
            self.write_preset_files(folder)

    def export_to_transformers(self, path: object) -> None:
        """Save the tokenizer in transformers' form. Spec: presets.export.tokenizer"""
        with replaced_folder(path, EXPORTED) as folder:
            write_tokenizer(folder, self)

    def write_preset_files(self, folder: Path) -> None:
        """Write `tokenizer.json` and the assets into a folder that is being made."""
        write_json(folder / TOKENIZER_FILE, self.described())
        assets = folder / TOKENIZER_ASSETS
        assets.mkdir(parents=True)
        self.save_assets(assets)

    @classproperty
    def presets(cls) -> dict[str, Any]:
        """Built-in presets with a tokenizer of this class."""
        return presets_of(cls)


def texts_of(inputs: Any) -> list[str]:
    """The texts in `inputs`, always as a list of str.

    Raises: InputTypeError for anything but text or a flat list, tuple or array of texts.
    Spec: tokenizers.input.types
    """
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in "USOT":
        inputs = inputs.tolist()
    items = [inputs] if isinstance(inputs, (str, bytes)) else inputs
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, (str, bytes)) for item in items):
        raise InputTypeError(
            f"Input should be a string or a list of strings. Received: {inputs!r:.80}.",
            "Texts must be str (or UTF-8 bytes), alone or in a flat list.",
            "Convert it first, for example with list(map(str, inputs)).",
            "tokenizers.input.types",
        )
    try:
        return [item if isinstance(item, str) else item.decode("utf-8") for item in items]
    except UnicodeDecodeError as error:
        raise InputTypeError(
            f"The bytes {error.object[:40]!r} are no UTF-8.",
            "Bytes must be UTF-8 text.",
            "Decode them with the encoding that they have.",
            "tokenizers.input.types",
        ) from error
