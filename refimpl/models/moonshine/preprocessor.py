"""How Moonshine takes recordings, and frames its texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.errors import InputError, InputTypeError
from refimpl.keras_api.inputs import on_tensors, plain
from refimpl.models.moonshine.layout import WINDOW
from refimpl.models.moonshine.tokenizer import MoonshineTokenizer
from refimpl.preprocessing.arguments import generated
from refimpl.preprocessing.audio_converter import MoonshineAudioConverter, is_recording, recordings
from refimpl.preprocessing.seq_2_seq_lm_preprocessor import Arrays, Seq2SeqLMPreprocessor
from refimpl.presets import register
from refimpl.tokenizers.tokenizer import texts_of

LONGEST = 180  # seconds; the encoder's attention grows with their square, to gigabytes from here on


@register
class MoonshineAudioToTextPreprocessor(Seq2SeqLMPreprocessor):
    """`{"audio": recordings, "text": texts}`; the decoder sees `<s> text </s>`.

    Spec: preprocessing.moonshine.frames, preprocessing.audio.inputs
    Source: keras-hub 0.32.0 moonshine_audio_to_text_preprocessor.py
    """

    tokenizer_cls = MoonshineTokenizer
    backbone_name = "MoonshineBackbone"
    module = "keras_hub.src.models.moonshine.moonshine_audio_to_text_preprocessor"
    source_key, target_key = "audio", "text"
    tokenizer: MoonshineTokenizer

    def __init__(
        self, audio_converter: Any, tokenizer: Any, decoder_sequence_length: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(tokenizer, decoder_sequence_length=decoder_sequence_length, **kwargs)
        if not callable(audio_converter):
            raise InputTypeError(
                f"{type(self).__name__} got the audio_converter {audio_converter!r:.60}.",
                "It must be a MoonshineAudioConverter.",
                "Pass such a converter, or call from_preset.",
                "preprocessing.audio.inputs",
            )
        self.audio_converter = audio_converter

    @on_tensors
    def generate_preprocess(self, x: Any, **lengths: Any) -> Arrays:
        """What `generate` takes; one prompt is repeated for all recordings, and None is none.

        Shapes: `encoder_input_values` (B, N, 1), `encoder_padding_mask` (B, N), `decoder_*` (B, T); without B for a
            single recording (n,).
        Spec: preprocessing.moonshine.frames, preprocessing.audio.inputs
        """
        if isinstance(x, Mapping) and "audio" in x:
            audio, text = plain(x["audio"]), plain(x.get("text"))
            prompts = [] if text is None else texts_of(text)
            if len(prompts) == 1 and not self._is_one(audio):
                prompts *= len(self._sources(audio))
            x = {"audio": audio} | ({} if text is None else {"text": prompts})
        return super().generate_preprocess(x, **lengths)

    def generate_postprocess(self, x: Mapping[str, Any]) -> Any:
        """Generated ids to texts; padding and ids beyond the vocabulary are no text.

        Spec: preprocessing.seq2seq.postprocess
        """
        ids, mask = generated(x)
        shown = mask & (ids > self.tokenizer.pad_token_id) & (ids < self.tokenizer.vocabulary_size())
        return super().generate_postprocess({"decoder_token_ids": ids, "decoder_padding_mask": shown})

    def _sources(self, given: Any) -> Any:
        """Recordings, always as a batch: a rectangle stays an array."""
        given = [given] if self._is_one(given) else given
        rows = recordings(given)
        is_rectangle = not isinstance(given, (list, tuple)) and np.ndim(given) > 1
        return np.stack(rows) if is_rectangle else rows

    _is_one = staticmethod(is_recording)

    def _encoder_inputs(self, given: Any, length: int | None, frame: Any) -> Arrays:
        """The rectangle of samples, and which of them belong to a recording.

        What is in a list ends where it ends. A row of an array ends with its last sample that is not `padding_value`:
        earlier ones are silence, and a row of silence alone has one frame.

        Spec: preprocessing.audio.mask, preprocessing.audio.length
        """
        counts = np.array([len(row) for row in given])
        most = LONGEST * self.audio_converter.sampling_rate
        if counts.min() < WINDOW or counts.max() > most:
            raise InputError(
                f"Recordings of {counts.min()} to {counts.max()} samples were passed.",
                f"A recording has at least {WINDOW} samples, which is one frame, and at most {most}.",
                "Leave short ones out, and cut long ones at pauses.",
                "preprocessing.audio.length",
            )
        if isinstance(given, np.ndarray):
            sounds = [np.flatnonzero(row != self.audio_converter.padding_value) for row in given]
            counts = np.array([max([WINDOW, *(sound[-1:] + 1)]) for sound in sounds])
        values = self.audio_converter(given, padding="longest")
        return {"encoder_input_values": values, "encoder_padding_mask": np.arange(values.shape[1]) < counts[:, None]}

    # -- configuration and presets ---------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        config = super().get_config() | {"audio_converter": self.audio_converter.described()}
        return {key: value for key, value in config.items() if key != "encoder_sequence_length"}

    @classmethod
    def _parts(cls) -> dict[str, Any]:
        return super()._parts() | {"audio_converter": MoonshineAudioConverter}

    def write_preset_files(self, folder: Path) -> None:
        """Write the preprocessor's, the converter's and the tokenizer's files into a folder that is being made."""
        super().write_preset_files(folder)
        self.audio_converter.write_preset_files(folder)
