"""Texts to the dictionary of arrays that an encoder-decoder takes, and generated ids back to texts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from refimpl.errors import (
    ConfigError,
    InputError,
    InputTypeError,
    MissingInputError,
    TruncationWarning,
)
from refimpl.keras_api.inputs import on_tensors
from refimpl.preprocessing.arguments import generated, length_of
from refimpl.preprocessing.start_end_packer import pack
from refimpl.presets import PresetFolder, open_preset
from refimpl.presets.dtype import dtype_policy
from refimpl.presets.folder import PREPROCESSOR_FILE
from refimpl.presets.registry import Configured, class_for, classproperty, find_class, presets_of, serialized
from refimpl.presets.saving import replaced_folder, write_json
from refimpl.tokenizers.tokenizer import Tokenizer, texts_of

DEFAULT_LENGTH = 1024
Arrays = dict[str, np.ndarray]


class Seq2SeqLMPreprocessor(Configured):
    """Tokenizes, packs and masks. A subclass says how its architecture starts and ends a sequence."""

    tokenizer_cls: ClassVar[type[Tokenizer]] = Tokenizer
    backbone_name: ClassVar[str] = ""
    module: ClassVar[str] = ""
    default_length: ClassVar[int] = DEFAULT_LENGTH
    source_key: ClassVar[str] = "encoder_text"
    target_key: ClassVar[str] = "decoder_text"

    def __init__(
        self,
        tokenizer: Tokenizer,
        encoder_sequence_length: int | None = None,
        decoder_sequence_length: int | None = None,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
    ) -> None:
        if not callable(getattr(tokenizer, "tokenize", None)):
            raise InputTypeError(
                f"{type(self).__name__} got the tokenizer {tokenizer!r:.60}.",
                f"It must be a {self.tokenizer_cls.__name__}.",
                "Pass such a tokenizer, or call from_preset.",
                "preprocessing.input.tokenizer",
            )
        self.tokenizer = tokenizer
        # Lengths that nobody chose may later be cut to what the model can take (`fit_to_positions`).
        self._chosen = {"encoder": encoder_sequence_length is not None, "decoder": decoder_sequence_length is not None}
        self.encoder_sequence_length = length_of(
            encoder_sequence_length, self.default_length, "encoder_sequence_length"
        )
        self.decoder_sequence_length = length_of(
            decoder_sequence_length, self.default_length, "decoder_sequence_length"
        )
        self.name = name or type(self).__name__
        self.trainable = trainable

    # -- how an architecture frames its sequences ------------------------------------------------------------------
    @property
    def encoder_frame(self) -> tuple[list[int], list[int]]:
        """The ids before and after an encoder text."""
        return [self.tokenizer.start_token_id], [self.tokenizer.end_token_id]  # type: ignore[attr-defined]

    @property
    def decoder_frame(self) -> tuple[list[int], list[int]]:
        """The ids before and after a decoder text."""
        return self.encoder_frame

    @property
    def encoder_prompt_frame(self) -> tuple[list[int], list[int]]:
        """The ids before and after an encoder text that is generated from."""
        return self.encoder_frame

    @property
    def sequence_length(self) -> int:
        """KerasHub's second name for `decoder_sequence_length`. Spec: preprocessing.lengths.alias"""
        return self.decoder_sequence_length

    @sequence_length.setter
    def sequence_length(self, value: int) -> None:
        self.decoder_sequence_length = value

    def fit_to_positions(self, limit: int) -> None:
        """Cut default lengths to a position table of `limit` rows; lengths that somebody chose stay.

        Spec: presets.preprocessor.default-lengths
        """
        if not self._chosen["encoder"]:
            self.encoder_sequence_length = min(self.encoder_sequence_length, limit)
        if not self._chosen["decoder"]:
            self.decoder_sequence_length = min(self.decoder_sequence_length, limit)

    # -- texts to arrays -------------------------------------------------------------------------------------------
    @on_tensors
    def __call__(
        self,
        x: Mapping[str, Any],
        y: Any = None,
        sample_weight: Any = None,
        *,
        encoder_sequence_length: int | None = None,
        decoder_sequence_length: int | None = None,
        sequence_length: int | None = None,
    ) -> tuple[Arrays, np.ndarray, np.ndarray]:
        """What `fit` takes: inputs, labels and weights. The decoder learns to say its own next token.

        Shapes: inputs `encoder_*` (B, S), `decoder_*` (B, T); labels (B, T) int32; weights (B, T) bool.
        Spec: preprocessing.seq2seq.shift, preprocessing.seq2seq.own-labels
        """
        source, target = self._texts(x, needs_decoder=True)
        length = length_of(decoder_sequence_length or sequence_length, self.decoder_sequence_length, "sequence_length")
        encoder = self._encoder_inputs(source, encoder_sequence_length, self.encoder_frame)
        ids, is_token = self._pack(self.target_key, target, length + 1, *self.decoder_frame)
        inputs = encoder | {"decoder_token_ids": ids[:, :-1], "decoder_padding_mask": is_token[:, :-1]}
        labels, weights = ids[:, 1:], is_token[:, 1:]
        if self._is_one(x[self.source_key]):
            return {key: value[0] for key, value in inputs.items()}, labels[0], weights[0]
        return inputs, labels, weights

    @on_tensors
    def generate_preprocess(
        self,
        x: Any,
        *,
        encoder_sequence_length: int | None = None,
        decoder_sequence_length: int | None = None,
        sequence_length: int | None = None,
    ) -> Arrays:
        """What `generate` takes: the encoder's text, and the decoder's prompt without an end token.

        Shapes: `encoder_*` (B, S), `decoder_*` (B, T); without B for a single text.
        Spec: preprocessing.seq2seq.prompt
        """
        x = x if isinstance(x, Mapping) else {self.source_key: x}
        source, target = self._texts(x, needs_decoder=self.target_key in x)
        length = length_of(decoder_sequence_length or sequence_length, self.decoder_sequence_length, "max_length")
        ids, is_token = self._pack(self.target_key, target, length, self.decoder_frame[0], [])
        encoder = self._encoder_inputs(source, encoder_sequence_length, self.encoder_prompt_frame)
        batch = encoder | {"decoder_token_ids": ids, "decoder_padding_mask": is_token}
        return {key: value[0] for key, value in batch.items()} if self._is_one(x[self.source_key]) else batch

    def generate_postprocess(self, x: Mapping[str, Any]) -> Any:
        """Generated ids to texts: what the mask shows, without special tokens.

        Shapes: `decoder_token_ids`, `decoder_padding_mask` (B, T) -> B texts; (T,) -> one text.
        Spec: preprocessing.seq2seq.postprocess
        """
        ids, mask = generated(x)
        special = set(self.tokenizer.special_token_ids)
        rows = [
            [int(i) for i in row[m] if int(i) not in special] for row, m in zip(*np.atleast_2d(ids, mask), strict=True)
        ]
        texts = self.tokenizer.detokenize(rows) if rows else []
        return texts[0] if ids.ndim == 1 else texts

    def _sources(self, given: Any) -> Any:
        """What the encoder reads, always as a batch; a subclass may take other things than texts."""
        return texts_of(given)

    @staticmethod
    def _is_one(given: Any) -> bool:
        """Whether a single source was passed, which gives arrays without the batch axis."""
        return isinstance(given, (str, bytes))

    def _encoder_inputs(self, texts: Any, length: int | None, frame: tuple[list[int], list[int]]) -> Arrays:
        length = length_of(length, self.encoder_sequence_length, "encoder_sequence_length")
        ids, is_token = self._pack(self.source_key, texts, length, *frame)
        return {"encoder_token_ids": ids, "encoder_padding_mask": is_token}

    def _pack(
        self, key: str, texts: list[str], length: int, start: list[int], end: list[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        rows = self.tokenizer.tokenize(texts)
        longest = max(map(len, rows)) + len(start) + len(end)
        if longest > length:
            warnings.warn(
                f"A `{key}` of {longest} tokens was cut to {length}. Raise the sequence length to keep it whole. "
                "[preprocessing.packer.truncation]",
                TruncationWarning,
                stacklevel=4,
            )
        return pack(rows, length, start, end, self.tokenizer.pad_token_id)  # type: ignore[attr-defined]

    def _texts(self, x: Any, needs_decoder: bool) -> tuple[Any, list[str]]:
        """What the encoder reads and the decoder's texts, as many of one as of the other.

        Spec: preprocessing.input.keys, preprocessing.input.batch-sizes
        """
        for key in (self.source_key, self.target_key) if needs_decoder else (self.source_key,):
            if not isinstance(x, Mapping) or key not in x:
                raise MissingInputError(
                    f"The input has {sorted(map(str, x)) if isinstance(x, Mapping) else type(x).__name__}.",
                    f"It must be a dictionary with the key {key!r}.",
                    f'Pass {{"{self.source_key}": [...], "{self.target_key}": [...]}}.',
                    "preprocessing.input.keys",
                )
        source = self._sources(x[self.source_key])
        target = texts_of(x[self.target_key]) if needs_decoder else [""] * len(source)
        if len(source) != len(target) or not len(source):
            raise InputError(
                f"{len(source)} of {self.source_key} and {len(target)} of {self.target_key} were passed.",
                "There must be at least one, and as many of one as of the other.",
                "Pass lists of equal length.",
                "preprocessing.input.batch-sizes",
            )
        return source, target

    # -- configuration and presets ---------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """What the constructor takes. Unlike KerasHub 0.32 it keeps the lengths.

        Spec: presets.save.sequence-lengths
        """
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": dtype_policy("float32"),
            "tokenizer": self.tokenizer.described(),
            "config_file": PREPROCESSOR_FILE,
            "encoder_sequence_length": self.encoder_sequence_length,
            "decoder_sequence_length": self.decoder_sequence_length,
        }

    def described(self) -> dict[str, Any]:
        """The serialized form, as KerasHub writes it."""
        return serialized(self)

    @classmethod
    def from_preset(cls, preset: object, **kwargs: Any) -> Self:
        """Load the preprocessor of a preset; on the base class it gives the class that fits the preset's backbone.

        Raises: PresetError if there is none for `cls`.
        Spec: presets.preprocessor.from-preset, presets.preprocessor.default-lengths
        """
        folder = open_preset(preset)
        found = cls._class_for(folder)
        parts = {k: kwargs.pop(k) if k in kwargs else part.from_preset(folder) for k, part in found._parts().items()}
        config: dict[str, Any] = {}
        if folder.has(PREPROCESSOR_FILE):
            described, config = folder.described(PREPROCESSOR_FILE)
            find_class(described, str(folder.path / PREPROCESSOR_FILE))
        kept = {key: value for key, value in config.items() if key not in (*parts, "config_file", "dtype")}
        try:
            preprocessor = found(**parts, **{**kept, **kwargs})
        except TypeError as error:
            raise ConfigError(
                f"The configuration of {found.__name__} does not fit: {error}.",
                "Every key must be a parameter of the class.",
                f"Remove the key from {PREPROCESSOR_FILE} or from the call.",
                "presets.config.unknown-key",
            ) from error
        # A length that only a file chose is cut to the model's positions too, as it could never be used.
        for side in preprocessor._chosen:
            preprocessor._chosen[side] = kwargs.get(f"{side}_sequence_length") is not None
        return preprocessor

    @classmethod
    def _parts(cls) -> dict[str, Any]:
        """The classes of what a preset has in files of its own, by the constructor's argument."""
        return {"tokenizer": cls.tokenizer_cls}

    @classmethod
    def _class_for(cls, folder: PresetFolder) -> type[Self]:
        """The preprocessor class of the preset's backbone, which must be `cls` or derive from it."""
        clause = "presets.preprocessor.from-preset"
        return class_for(cls, folder, "Seq2SeqLMPreprocessor", clause)

    def save_to_preset(self, preset_dir: object) -> None:
        """Save preprocessor and tokenizer alone to a preset folder."""
        with replaced_folder(preset_dir) as folder:
            self.write_preset_files(folder)

    def write_preset_files(self, folder: Path) -> None:
        """Write `preprocessor.json` and the tokenizer's files into a folder that is being made."""
        write_json(folder / PREPROCESSOR_FILE, self.described())
        self.tokenizer.write_preset_files(folder)

    @classproperty
    def presets(cls) -> dict[str, Any]:
        """Built-in presets with a preprocessor of this class."""
        return presets_of(cls)
