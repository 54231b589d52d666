"""Recordings to the rectangle of samples that an audio model takes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from refimpl.errors import (
    AudioLengthWarning,
    ConfigError,
    InputError,
    InputTypeError,
    SequenceLengthError,
)
from refimpl.keras_api.inputs import plain
from refimpl.presets import open_preset, register
from refimpl.presets.dtype import dtype_policy
from refimpl.presets.folder import AUDIO_CONVERTER_FILE
from refimpl.presets.registry import Configured, classproperty, part_of, presets_of, serialized
from refimpl.presets.saving import replaced_folder, write_json

SHORTEST, LONGEST = 0.1, 64.0  # seconds that Moonshine was trained on
LOUDEST = float(np.finfo(np.float32).max)
MOST = 2**28  # samples of padding, four hours; a length that is a slip would fill the memory


class AudioConverter(Configured):
    """Base of all converters: configuration and presets."""

    module: ClassVar[str] = ""
    backbone_name: ClassVar[str] = ""

    def __init__(self, name: str | None = None, trainable: bool = True, dtype: Any = None) -> None:
        self.name, self.trainable = name or type(self).__name__, trainable

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return {"name": self.name, "trainable": self.trainable, "dtype": dtype_policy("float32")}

    def described(self) -> dict[str, Any]:
        """The serialized form, as KerasHub writes it."""
        return serialized(self)

    @classmethod
    def from_preset(cls, preset: object, **kwargs: Any) -> Self:
        """Load the converter of a preset; called on the base class it gives the class that the preset names.

        Raises: PresetError if the preset's converter is no `cls`.
        Spec: presets.audio-converter.from-preset
        """
        folder = open_preset(preset)
        clause = "presets.audio-converter.from-preset"
        found, _, config = part_of(cls, folder, AUDIO_CONVERTER_FILE, "converter", clause)
        try:
            return found.from_config({**config, **kwargs})
        except TypeError as error:
            raise ConfigError(
                f"The configuration of {found.__name__} does not fit: {error}.",
                "Every key must be a parameter of the class.",
                f"Remove the key from {AUDIO_CONVERTER_FILE} or from the call.",
                "presets.config.unknown-key",
            ) from error

    def save_to_preset(self, preset_dir: object) -> None:
        """Save the converter alone to a preset folder."""
        with replaced_folder(preset_dir) as folder:
            self.write_preset_files(folder)

    def write_preset_files(self, folder: Path) -> None:
        """Write `audio_converter.json` into a folder that is being made."""
        write_json(folder / AUDIO_CONVERTER_FILE, self.described())

    @classproperty
    def presets(cls) -> dict[str, Any]:
        """Built-in presets with a converter of this class."""
        return presets_of(cls)


@register
class MoonshineAudioConverter(AudioConverter):
    """Samples as they are, for Moonshine's first convolution reads the waveform: padded, and normalized if asked.

    Units: `sampling_rate` in Hz; `padding_value` as samples are, from -1 to 1.
    Spec: preprocessing.audio.converter
    Source: keras-hub 0.32.0 moonshine_audio_converter.py
    """

    module = "keras_hub.src.models.moonshine.moonshine_audio_converter"
    backbone_name = "MoonshineBackbone"

    def __init__(
        self, sampling_rate: int = 16000, padding_value: float = 0.0, do_normalize: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        is_number = isinstance(padding_value, (int, float, np.floating)) and abs(padding_value) <= LOUDEST
        if type(sampling_rate) is not int or sampling_rate < 1 or not is_number or type(do_normalize) is not bool:
            raise ConfigError(
                f"sampling_rate={sampling_rate!r:.40}, padding_value={padding_value!r:.40} and "
                f"do_normalize={do_normalize!r:.40} were passed.",
                "The rate is a whole number above 0, the value a finite number of 32 bits, the last True or False.",
                "Leave them out for 16000, 0.0 and False.",
                "preprocessing.audio.converter",
            )
        self.sampling_rate, self.padding_value, self.do_normalize = sampling_rate, float(padding_value), do_normalize

    def __call__(
        self,
        inputs: Any,
        sampling_rate: int | None = None,
        padding: str | None = None,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
    ) -> np.ndarray:
        """The rectangle. Recordings of different lengths are padded, after each was normalized by itself.

        Shapes: (B, N), (B, N, 1), or a list of B of (n,) or (n, 1) -> (B, N, 1) float32.
        Units: `max_length` and `pad_to_multiple_of` in samples.
        Raises: InputError for another rate, SequenceLengthError for what is no length, and what `recordings` raises.
        Spec: preprocessing.audio.converter, preprocessing.audio.rate, preprocessing.audio.length
        """
        if sampling_rate is not None and sampling_rate != self.sampling_rate:
            raise InputError(
                f"A recording of sampling_rate={sampling_rate!r:.40} was passed.",
                f"Expected sampling_rate {self.sampling_rate}: the model knows no other.",
                f"Resample it to {self.sampling_rate} Hz first, for example with soxr or librosa.",
                "preprocessing.audio.rate",
            )
        for count in (max_length, pad_to_multiple_of):
            if count is not None and (type(count) not in (int, np.int64) or not 0 <= count <= MOST):
                raise SequenceLengthError(
                    f"max_length={max_length!r:.40} and pad_to_multiple_of={pad_to_multiple_of!r:.40} were passed.",
                    f"They are whole numbers of samples, from 0 to {MOST}.",
                    "Leave them out to pad to the longest recording.",
                    "preprocessing.audio.converter",
                )
        rows = recordings(inputs)
        seconds = sorted(len(row) / self.sampling_rate for row in rows)
        if seconds[0] < SHORTEST or seconds[-1] > LONGEST:
            warnings.warn(
                f"Audio duration must be between {SHORTEST} and {LONGEST} seconds; {seconds[0]:.3f} to "
                f"{seconds[-1]:.3f} were passed. Cut longer recordings at pauses. [preprocessing.audio.length]",
                AudioLengthWarning,
                stacklevel=2,
            )
        width = longest = max(map(len, rows))
        if padding == "max_length" and max_length is not None:
            width = max_length
        if pad_to_multiple_of and (padding == "longest" or (padding == "max_length" and max_length is not None)):
            width = -(-width // pad_to_multiple_of) * pad_to_multiple_of
        alone = self.do_normalize and any(len(row) < longest for row in rows)
        batch = np.full((len(rows), width, 1), self.padding_value, np.float32)
        for place, row in zip(batch, rows, strict=True):
            place[: len(row), 0] = _normalized(row[:width]) if alone else row[:width]
        return _normalized(batch) if self.do_normalize and not alone else batch

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        names = ("sampling_rate", "padding_value", "do_normalize")
        return super().get_config() | {name: getattr(self, name) for name in names}


def is_recording(given: Any) -> bool:
    """Whether that is one recording, by its samples. Shapes: (n,)."""
    return isinstance(given, np.ndarray) and given.ndim == 1 and given.dtype.kind == "f"


def recordings(inputs: Any) -> list[np.ndarray]:
    """The samples of each recording, as float32.

    Shapes: (B, N), (B, N, 1), or a list of B of (n,) or (n, 1) -> B of (n,).
    Raises: InputTypeError for what is no floating-point sound, InputError for several channels, no sample, or samples
        that are not finite.
    Spec: preprocessing.audio.converter, preprocessing.audio.values
    """
    held = plain(inputs)
    held = held if isinstance(held, (list, tuple)) else np.asarray(held)
    if isinstance(held, np.ndarray) and held.ndim not in ((1,) if held.dtype == object else (2, 3)):
        raise _wrong(f"An array of shape {held.shape} was passed.", "Put a single recording into a list.")
    found = [_samples(plain(row)) for row in held]
    if not found:
        raise _wrong("No recording was passed.", "Pass at least one.")
    return found


def _samples(row: Any) -> np.ndarray:
    try:
        samples = np.asarray(row)
    except ValueError as error:
        raise _wrong(f"A recording is no row of samples ({error}).", "Pass an array.") from error
    if samples.dtype.kind != "f":
        raise InputTypeError(
            f"A recording holds values of type {samples.dtype}.",
            "Samples must be floating-point numbers, from -1 to 1.",
            "Divide samples of 16 bits by 32768, in Python: samples / 32768.",
            "preprocessing.audio.values",
        )
    if samples.ndim == 2 and samples.shape[1] == 1:
        samples = samples[:, 0]
    if samples.ndim != 1:
        raise _wrong(f"A recording has the shape {samples.shape}.", "Mix its channels: samples.mean(axis=-1).")
    with np.errstate(over="ignore"):
        samples = samples.astype(np.float32)
    if not samples.size or not np.isfinite(samples).all():
        bad = np.flatnonzero(~np.isfinite(samples))
        raise InputError(
            f"A recording {f'is {samples[bad[0]]} at sample {bad[0]}' if bad.size else 'is empty'}.",
            "It must hold samples, all of them finite.",
            "Check how it was read.",
            "preprocessing.audio.values",
        )
    return samples


def _wrong(what: str, mend: str) -> InputError:
    must = "Inputs must be mono audio: (batch_size, time_steps, 1), (batch_size, time_steps), or a list of recordings."
    return InputError(what, must, mend, "preprocessing.audio.converter")


def _normalized(x: np.ndarray) -> np.ndarray:
    """Mean 0 and variance 1 over time. Shapes: (B, N, 1) or (n,)."""
    axis = x.ndim - 1 and 1
    return (x - x.mean(axis=axis, keepdims=True)) / np.sqrt(x.var(axis=axis, keepdims=True) + np.float32(1e-7))
