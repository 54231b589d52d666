# ruff: noqa: ARG001, ARG005
"""Quirks of `compile` and of what `generate` takes and gives."""

from typing import Any

import numpy as np

from conformance.quirks import Quirk
from conformance.suite.patches import patched

STEP, SOUND = "refimpl.decoding.generate_step", "refimpl.models.moonshine.preprocessor"
SAMPLERS, IO = "refimpl.samplers", "refimpl.models.generate_io"
NAMES = {"greedy", "top_k", "top_p", "random", "beam", "contrastive", "speculative"}


class Misspelt(str):
    """A name that was taken for a sampler; it fails when it is used."""

    __slots__ = ()

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        raise AttributeError("'str' object has no attribute 'variables'")


def _keeps_names(right: Any) -> Any:
    return lambda name: Misspelt(name) if isinstance(name, str) and name not in NAMES else right(name)


def _last_key(right: Any) -> Any:
    def as_batch(inputs: Any) -> Any:
        last = list(inputs.values())[-1] if isinstance(inputs, dict) else None  # before it is changed in place
        batch, single = right(inputs)
        return batch, single if last is None else isinstance(last, str)

    return as_batch


def _in_place(right: Any) -> Any:
    def as_batch(inputs: Any) -> Any:
        batch, single = right(inputs)
        if isinstance(inputs, dict):
            inputs.update(batch)
        return batch, single

    return as_batch


def _hides_nothing(right: Any) -> Any:
    """Of Moonshine no row has an end."""

    def generate_step(model: Any, inputs: Any, *rest: Any) -> Any:
        with patched(((STEP, "output_mask", lambda right: lambda ids, *_: np.ones(ids.shape, bool)),), "quirk"):
            return right(model, inputs, *rest)

    return lambda model, *rest: (generate_step if "Moonshine" in type(model).__name__ else right)(model, *rest)


def starts_twice(right: Any) -> Any:
    """The ids of a missing prompt are a start token, before which another one is put."""

    def generate_preprocess(self: Any, x: Any, **lengths: Any) -> Any:
        found = right(self, x, **lengths)
        if "text" not in x:
            found["decoder_token_ids"][..., 1] = self.tokenizer.start_token_id
            found["decoder_padding_mask"][..., 1] = True
        return found

    return generate_preprocess


def zeros_are_padding(right: Any) -> Any:
    """The mask is taken from what the converter gives."""

    def inputs(self: Any, *rest: Any) -> Any:
        values = right(self, *rest)["encoder_input_values"]
        mask = values[..., 0] != self.audio_converter.padding_value
        return {"encoder_input_values": values, "encoder_padding_mask": mask}

    return inputs


def quirks(backend: str) -> list[Quirk]:
    """Quirks of inputs and outputs."""
    return [
        Quirk("inputs-changed", ((IO, "as_batch", _in_place),)),
        Quirk("last-key-decides", ((IO, "as_batch", _last_key),)),
        Quirk("unknown-sampler", ((SAMPLERS, "get", _keeps_names),), ("jax",)),
        Quirk("moonshine-two-starts", ((SOUND, "MoonshineAudioToTextPreprocessor.generate_preprocess", starts_twice),)),
        Quirk("moonshine-silence", ((SOUND, "MoonshineAudioToTextPreprocessor._encoder_inputs", zeros_are_padding),)),
        Quirk("moonshine-stops", (("refimpl.models.seq_2_seq_lm", "generate_step", _hides_nothing),)),
    ]
