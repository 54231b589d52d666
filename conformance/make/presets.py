"""Writes the tiny presets with KerasHub's own `save_to_preset`. Run where KerasHub is installed."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conformance.make import recipe
from conformance.make.pieces import trained
from conformance.make.words import SCRIPT, vocabulary_of

TINY = {"num_layers": 2, "num_heads": 3, "hidden_dim": 12, "intermediate_dim": 20}
KINDS = ["sliding_attention", "full_attention"]
# By the beginning of KerasHub's class names. T5: odd sizes, heads whose width is not hidden / heads, and rows of the
# embedding table that have no piece. T5Gemma: sides of different sizes, several heads a key, a short window, caps that
# bite; up to 12 positions KerasHub computes the same as transformers; the cases of the window are longer. Moonshine:
# heads that do not divide the width, sides of different depth, an odd part of the decoder's heads that turns.
CONFIGS: dict[str, dict[str, dict[str, Any]]] = {
    "Bart": {
        "bart_tiny": {**TINY, "dropout": 0.1, "max_sequence_length": 17},
        "bart_dropout0": {
            **TINY, "num_layers": 1, "hidden_dim": 15, "intermediate_dim": 22, "dropout": 0.0,
            "max_sequence_length": 19,
        },
        "bart_scripted": {
            **TINY, "num_layers": 1, "hidden_dim": 24, "intermediate_dim": 29, "dropout": 0.1,
            "max_sequence_length": 13,
        },
    },
    "T5": {
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
    },
    "T5Gemma": {
        "t5gemma_tiny": {
            "vocabulary_size": 353, "encoder_hidden_dim": 12, "encoder_intermediate_dim": 19, "encoder_num_layers": 2,
            "encoder_num_attention_heads": 6, "encoder_num_key_value_heads": 2, "encoder_head_dim": 4,
            "encoder_layer_types": KINDS, "decoder_hidden_dim": 16, "decoder_intermediate_dim": 21,
            "decoder_num_layers": 2, "decoder_num_attention_heads": 4, "decoder_num_key_value_heads": 2,
            "decoder_head_dim": 6, "decoder_layer_types": KINDS, "dropout_rate": 0.1, "rms_norm_eps": 1e-5,
            "query_pre_attn_scalar": 7, "sliding_window": 12, "attn_logit_softcapping": 5.0,
            "final_logit_softcapping": 3.0, "rope_max_wavelength": 500.0,
        },
    },
    "Moonshine": {
        "moonshine_tiny": {
            "vocabulary_size": 341, "filter_dim": 23, "hidden_dim": 23, "intermediate_dim": 31,
            "encoder_num_layers": 1, "encoder_num_heads": 3, "decoder_num_layers": 2, "decoder_num_heads": 2,
            "feedforward_expansion_factor": 3, "partial_rotary_factor": 0.7, "rope_theta": 700.0,
        },
    },
}  # fmt: skip
LENGTHS = {
    "bart_tiny": (11, 13), "bart_dropout0": (9, 8), "bart_scripted": (6, 10), "t5_tiny": (11, 13), "t5_gated": (9, 8),
    "t5gemma_tiny": (11, 13), "moonshine_tiny": (13,),
}  # fmt: skip
FLAT = {"bart_tiny": (9, 3), "bart_dropout0": (9, 2)}  # token and position of nearly constant sum
FAINT = 9  # the token whose embedding is so small, or so even, that a norm's epsilon matters


def write_presets(target: Path) -> None:
    """Write all presets below `target`; a SentencePiece model that is there already is kept."""
    import keras_hub

    models = keras_hub.models
    for family, configs in CONFIGS.items():
        audio = [keras_hub.layers.MoonshineAudioConverter()] if family == "Moonshine" else []
        task = f"{family}AudioToText" if audio else f"{family}Seq2SeqLM"
        for name, config in configs.items():
            asset = target / name / "assets" / "tokenizer" / "vocabulary.spm"
            words, merges = vocabulary_of(name)
            if family == "Bart":
                vocabulary, sizes = (words, merges), {**config, "vocabulary_size": len(words)}
            else:
                vocabulary, sizes = (asset.read_bytes() if asset.exists() else trained(name),), config
            tokenizer = getattr(models, f"{family}Tokenizer")(*vocabulary)
            preprocessor = getattr(models, f"{task}Preprocessor")(*audio, tokenizer, *LENGTHS[name])
            backbone = getattr(models, f"{family}Backbone")(**sizes)
            places = places_of(backbone)
            values = weights(name, {place: tuple(variable.shape) for place, variable in places.items()})
            for place, variable in places.items():
                variable.assign(values[place].astype("float32"))
            shutil.rmtree(target / name, ignore_errors=True)
            getattr(models, task)(backbone, preprocessor).save_to_preset(str(target / name))


def weights(name: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The weights of a preset by the recipe, by their datasets in the saved file."""
    values = {place: recipe.weight(place, number, shapes[place]) for number, place in enumerate(sorted(shapes))}
    if name == "bart_scripted":
        fill_script(values)
    elif name in FLAT:
        tables = [values[f"layers/position_embedding{n}/vars/0"] for n in ("", "_1")]
        recipe.flatten_rows(values["layers/reversible_embedding/vars/0"], tables, *FLAT[name])
    for place, value in values.items():
        if name.startswith("t5_") and place.endswith("embedding/vars/0"):
            value[FAINT] *= 2.0**-10
        elif name.startswith("moonshine") and place.endswith("reversible_embedding/vars/0"):
            value[FAINT] = 0.5 + value[FAINT] / 256
        elif "rotary" in place:  # those of the configuration
            theta = CONFIGS["Moonshine"][name]["rope_theta"]
            value[:] = np.power(theta, -np.arange(len(value)) / len(value))
    return values


def fill_script(values: dict[str, np.ndarray]) -> None:
    """Zero what would disturb the script, and write it into the decoder's feed-forward layer."""
    words, _ = vocabulary_of("bart_scripted")
    for place, value in values.items():
        value[...] = 1.0 if recipe.kind_of(place) == "gamma" else 0.0
    follows = {words[token]: [words[t] for t in best] for token, best in SCRIPT.items()}
    table = values["layers/reversible_embedding/vars/0"]
    inner = values["layers/transformer_decoder/_feedforward_intermediate_dense/vars/1"].size
    made = recipe.scripted(len(words), follows, words["p"], table.shape[1], inner)
    table[...] = made["table"]
    values["layers/transformer_decoder/_feedforward_intermediate_dense/vars/0"][...] = made["first"]
    values["layers/transformer_decoder/_feedforward_intermediate_dense/vars/1"][...] = made["first_bias"]
    values["layers/transformer_decoder/_feedforward_output_dense/vars/0"][...] = made["second"]


def places_of(backbone: Any) -> dict[str, Any]:
    """Each weight's variable by its dataset in the saved file, found by saving marked weights."""
    for number, variable in enumerate(backbone.weights):
        variable.assign(np.full(variable.shape, float(number), "float32"))
    found: dict[str, Any] = {}

    def visit(place: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[place] = backbone.weights[int(node[...].flat[0])]

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "marked.weights.h5")
        backbone.save_weights(path)
        with h5py.File(path) as file:
            file.visititems(visit)
    return found


if __name__ == "__main__":
    write_presets(Path("golden/presets"))
