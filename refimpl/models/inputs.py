"""What a model is given, looked at before anything is computed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refimpl.errors import InputError, MissingInputError, SequenceLengthError


def named(inputs: Any) -> str:
    """What was passed, for a message: the keys of a dictionary, the type of anything else."""
    return ", ".join(map(str, inputs)) or "no key" if isinstance(inputs, Mapping) else type(inputs).__name__


def require_keys(inputs: Any, keys: Sequence[str]) -> None:
    """Refuse a batch that is no dictionary with these keys (spec: models.inputs.keys)."""
    for key in keys:
        if not isinstance(inputs, Mapping) or key not in inputs:
            raise MissingInputError(
                f'Missing data for input "{key}"; got {named(inputs)}.',
                f"The model takes a dictionary with the keys {', '.join(keys)}.",
                "Tokenize texts first: lm.preprocessor.generate_preprocess(texts), or call lm.generate(texts).",
                "models.inputs.keys",
            )


def require_shapes(arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse a source and a prompt, each followed by its mask, that do not fit (spec: models.inputs.shapes)."""
    source, source_mask, prompt, mask = (array.shape[:2] for array in arrays.values())
    if source != source_mask or prompt != mask or len({source[0], prompt[0]}) > 1 or 0 in source + prompt:
        raise InputError(
            "The arrays have the shapes " + ", ".join(f"{k} {v.shape}" for k, v in arrays.items()) + ".",
            "Ids and mask of a side must have one shape (batch, length) with at least one row and column, "
            "and both sides the same number of rows.",
            "Pad rows to one length and pass as many prompts as sources.",
            "models.inputs.shapes",
        )


def as_samples(key: str, value: Any, dtype: Any) -> np.ndarray:
    """Sound of one channel in `dtype`. Shapes: (B, N) or (B, N, 1) -> (B, N, 1). Spec: models.moonshine.audio-values"""
    try:
        audio = np.asarray(value)
    except ValueError:  # rows of different lengths
        audio = np.empty(0, object)
    audio = audio[..., None] if audio.ndim == 2 else audio
    with np.errstate(over="ignore"):  # what the type can't hold becomes infinite
        cast = audio.astype(dtype) if audio.dtype.kind == "f" else audio
    finite = cast is not audio and bool(np.isfinite(cast).all())
    if finite and audio.ndim == 3 and audio.shape[2] == 1:
        return cast
    raise InputError(
        f"{key} has the shape {audio.shape} and the type {audio.dtype}{'' if finite else ', or is not finite'}.",
        "It must be finite floats of shape (batch, samples, 1), about from -1 to 1.",
        "Mix channels to one, divide 16-bit integers by 32768, pad recordings to one length as lm.preprocessor does.",
        "models.moonshine.audio-values",
    )


def require_samples(audio: np.ndarray, least: int) -> None:
    """There must be a frame. Spec: models.moonshine.audio-length"""
    if audio.shape[1] < least:
        raise SequenceLengthError(
            f"The audio has {audio.shape[1]} samples.",
            f"The first frame takes {least} samples, {1000 * least / 16000:.0f} ms at 16 kHz.",
            "Pad the recording with silence.",
            "models.moonshine.audio-length",
        )


def as_rectangle(key: str, value: Any) -> np.ndarray:
    """An array of rank 2 of numbers or truth values (spec: models.inputs.shapes).

    Spec: task.call.text
    """
    try:
        array = np.asarray(value)
        if array.ndim == 2 and array.dtype.kind in "biuf":
            return array
        problem = f"shape {array.shape} and type {array.dtype}"
    except (ValueError, TypeError) as error:
        problem = f"no rectangular shape ({error})"
    raise InputError(
        f"{key} has {problem}.",
        "It must be an array of numbers of shape (batch, length).",
        "Pad the rows to one length; for texts call lm.generate(texts), as calling a model applies no preprocessing.",
        "models.inputs.shapes",
    )
