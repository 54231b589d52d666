"""Writes the tiny presets of T5 with KerasHub's own `save_to_preset`. Run where KerasHub is installed."""

import shutil
from pathlib import Path
from typing import Any

from conformance.make import recipe
from conformance.make.pieces import trained
from conformance.make.presets import places_of

# Odd sizes, heads whose width is not hidden / heads, and rows of the embedding table that have no piece.
CONFIGS: dict[str, dict[str, Any]] = {
    "t5_tiny": {
        "vocabulary_size": 347, "num_layers": 2, "num_heads": 3, "hidden_dim": 14, "intermediate_dim": 19,
        "key_value_dim": 5, "dropout": 0.1, "activation": "relu", "use_gated_activation": False,
        "tie_embedding_weights": True, "layer_norm_epsilon": 1e-6,
    },
    "t5_gated": {
        "vocabulary_size": 401, "num_layers": 1, "num_heads": 2, "hidden_dim": 11, "intermediate_dim": 18,
        "key_value_dim": 7, "dropout": 0.0, "activation": "gelu", "use_gated_activation": True,
        "tie_embedding_weights": False, "layer_norm_epsilon": 1e-5,
    },
}  # fmt: skip
LENGTHS = {"t5_tiny": (11, 13), "t5_gated": (9, 8)}
FAINT = 9  # the token whose embedding is so small that RMS norm's epsilon matters


def write_presets(target: Path, names: tuple[str, ...] = tuple(CONFIGS)) -> None:
    """Write the presets below `target`; a SentencePiece model that is there already is kept."""
    import keras_hub

    models = keras_hub.models
    for name in names:
        asset = target / name / "assets" / "tokenizer" / "vocabulary.spm"
        proto = asset.read_bytes() if asset.exists() else trained(name)
        preprocessor = models.T5Seq2SeqLMPreprocessor(models.T5Tokenizer(proto), *LENGTHS[name])
        backbone = models.T5Backbone(**CONFIGS[name])
        lm = models.T5Seq2SeqLM(backbone, preprocessor)
        fill(backbone)
        shutil.rmtree(target / name, ignore_errors=True)
        lm.save_to_preset(str(target / name))


def fill(backbone: Any) -> None:
    """Give every weight its values by the recipe."""
    places = places_of(backbone)
    for number, (place, variable) in enumerate(sorted(places.items())):
        value = recipe.weight(place, number, tuple(variable.shape))
        if place.endswith("embedding/vars/0"):
            value[FAINT] *= 2.0**-10
        variable.assign(value.astype("float32"))


if __name__ == "__main__":
    write_presets(Path("golden/presets"))
