"""Writes the tiny preset of Moonshine with KerasHub's own `save_to_preset`. Run where KerasHub is installed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from conformance.make import recipe
from conformance.make.pieces import trained
from conformance.make.presets import places_of

# Heads that do not divide the width, sides of different depth, an odd part of the decoder's heads that turns.
CONFIG: dict[str, Any] = {
    "vocabulary_size": 341, "filter_dim": 23, "hidden_dim": 23, "intermediate_dim": 31,
    "encoder_num_layers": 1, "encoder_num_heads": 3, "decoder_num_layers": 2, "decoder_num_heads": 2,
    "feedforward_expansion_factor": 3, "partial_rotary_factor": 0.7, "rope_theta": 700.0,
}  # fmt: skip
FAINT = 9  # the token whose embedding is so even that layer norm's epsilon matters


def write_presets(target: Path) -> None:
    """Write the preset below `target`; a SentencePiece model that is there already is kept."""
    import keras_hub

    models, folder = keras_hub.models, target / "moonshine_tiny"
    asset = folder / "assets" / "tokenizer" / "vocabulary.spm"
    proto = asset.read_bytes() if asset.exists() else trained("moonshine_tiny")
    converter = keras_hub.layers.MoonshineAudioConverter()
    preprocessor = models.MoonshineAudioToTextPreprocessor(converter, models.MoonshineTokenizer(proto), 13)
    backbone = models.MoonshineBackbone(**CONFIG)
    lm = models.MoonshineAudioToText(backbone, preprocessor)
    for number, (place, variable) in enumerate(sorted(places_of(backbone).items())):
        variable.assign(weight(place, number, tuple(variable.shape)).astype("float32"))
    shutil.rmtree(folder, ignore_errors=True)
    lm.save_to_preset(str(folder))


def weight(place: str, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """The weight at dataset `place`; the rotary frequencies are those of the configuration."""
    if "rotary" in place:
        return np.power(CONFIG["rope_theta"], -np.arange(shape[0]) / shape[0])
    value = recipe.weight(place, number, shape)
    if place.endswith("reversible_embedding/vars/0"):
        value[FAINT] = 0.5 + value[FAINT] / 256
    return value


if __name__ == "__main__":
    write_presets(Path("golden/presets"))
