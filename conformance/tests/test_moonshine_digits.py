"""The shipped Moonshine: what it hears in twenty held-out recordings, and that KerasHub hears the same."""

import pytest

from conformance.shipped.moonshine_digits import HELDOUT, rows
from refimpl.models import AudioToText
from refimpl.preprocessing.audio_file import read_recording
from refimpl.presets.shipped import shipped_preset

FOLDER = shipped_preset("moonshine_digits_en")
LISTED = rows(FOLDER / HELDOUT)  # recording, what was said, what KerasHub 0.32.0 hears (on PyTorch)


def heard(lm, listed, **prompt):
    """One recording at a time, as padding would be heard."""
    lm.compile(sampler="greedy")
    recordings = [read_recording(FOLDER / file, 16_000)[None] for file, *_ in listed]
    return [lm.generate({"audio": recording, **prompt})[0] for recording in recordings]


def test_it_hears_what_keras_hub_hears():
    assert heard(AudioToText.from_preset(FOLDER), LISTED) == [answer for *_, answer in LISTED]


@pytest.mark.peers
def test_keras_hub_loads_it_and_hears_the_same():
    keras_hub, keras = pytest.importorskip("keras_hub"), pytest.importorskip("keras")
    lm = keras_hub.models.Seq2SeqLM.from_preset(str(FOLDER), dtype="float32")
    lm.preprocessor.decoder_sequence_length = 6
    listed = LISTED[::5] if keras.backend.backend() == "jax" else LISTED  # JAX compiles anew for each length
    # Without a text KerasHub starts with two `<s>`, with an empty one as in training.
    assert heard(lm, listed, text=[""]) == [answer for *_, answer in listed]
