"""A small model of speech, and WAV files, for the tests of all rooms."""

import wave

import numpy as np

from refimpl import layers, models
from refimpl.tests.pieces import digits

SOUND = np.sin(0.05 * np.arange(2400) ** 1.1).astype(np.float32)


def task(seed=0):
    """A Moonshine of 11,000 parameters; the largest weights make it say something."""
    backbone = models.MoonshineBackbone(
        vocabulary_size=16, filter_dim=12, hidden_dim=12, intermediate_dim=24, encoder_num_layers=1,
        decoder_num_layers=1, encoder_num_heads=2, decoder_num_heads=2, feedforward_expansion_factor=2,
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    backbone.set_weights([rng.normal(size=w.shape) / 2 if w.ndim > 1 else w for w in backbone.get_weights()])
    tokenizer = models.MoonshineTokenizer(digits())
    preprocessor = models.MoonshineAudioToTextPreprocessor(
        layers.MoonshineAudioConverter(), tokenizer, decoder_sequence_length=6
    )
    lm = models.MoonshineAudioToText(backbone, preprocessor)
    lm.compile(sampler="greedy")
    return lm


def write_wav(path, samples=SOUND, width=2, rate=16_000, channels=1):
    """Samples from -1 to 1 as whole numbers of `width` bytes."""
    whole = np.round(samples.astype(float) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    raw = (whole + (128 if width == 1 else 0)).astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw.tobytes())
    return path
