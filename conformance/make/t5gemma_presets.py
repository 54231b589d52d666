"""Writes the tiny preset of T5Gemma with KerasHub's own `save_to_preset`. Run where KerasHub is installed."""

import shutil
from pathlib import Path
from typing import Any

from conformance.make import recipe
from conformance.make.pieces import trained
from conformance.make.presets import places_of

# Sides of different sizes, several heads a key, a short window, caps that bite.
# Up to 12 positions KerasHub computes the same as transformers; the cases of the window are longer.
KINDS = ["sliding_attention", "full_attention"]
CONFIG: dict[str, Any] = {
    "vocabulary_size": 353,
    "encoder_hidden_dim": 12, "encoder_intermediate_dim": 19, "encoder_num_layers": 2, "encoder_num_attention_heads": 6,
    "encoder_num_key_value_heads": 2, "encoder_head_dim": 4, "encoder_layer_types": KINDS,
    "decoder_hidden_dim": 16, "decoder_intermediate_dim": 21, "decoder_num_layers": 2, "decoder_num_attention_heads": 4,
    "decoder_num_key_value_heads": 2, "decoder_head_dim": 6, "decoder_layer_types": KINDS,
    "dropout_rate": 0.1, "rms_norm_eps": 1e-5, "query_pre_attn_scalar": 7, "sliding_window": 12,
    "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0, "rope_max_wavelength": 500.0,
}  # fmt: skip


def write_presets(target: Path) -> None:
    """Write the preset below `target`; a SentencePiece model that is there already is kept."""
    import keras_hub

    models, folder = keras_hub.models, target / "t5gemma_tiny"
    asset = folder / "assets" / "tokenizer" / "vocabulary.spm"
    proto = asset.read_bytes() if asset.exists() else trained("t5gemma_tiny")
    preprocessor = models.T5GemmaSeq2SeqLMPreprocessor(models.T5GemmaTokenizer(proto), 11, 13)
    backbone = models.T5GemmaBackbone(**CONFIG)
    lm = models.T5GemmaSeq2SeqLM(backbone, preprocessor)
    for number, (place, variable) in enumerate(sorted(places_of(backbone).items())):
        variable.assign(recipe.weight(place, number, tuple(variable.shape)).astype("float32"))
    shutil.rmtree(folder, ignore_errors=True)
    lm.save_to_preset(str(folder))


if __name__ == "__main__":
    write_presets(Path("golden/presets"))
