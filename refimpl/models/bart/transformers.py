"""BART's configuration in transformers' words.

Source: transformers 5.23 configuration_bart.py; Lewis et al. 2020
"""

from collections.abc import Mapping
from typing import Any

from refimpl.presets.families import Family
from refimpl.presets.folder import TOKENIZER_ASSETS

# KerasHub's BART has one number for encoder and decoder, and is built so.
_SAME = {"layers": "num_layers", "attention_heads": "num_heads", "ffn_dim": "intermediate_dim"}
_BUILT = {
    "activation_function": "gelu",
    "scale_embedding": False,
    "tie_word_embeddings": True,
    "is_encoder_decoder": True,
}
# What stands only in configurations of early years, or always.
_YEARS = dict.fromkeys(
    ("is_decoder", "add_cross_attention", "normalize_before", "add_final_layer_norm", "add_bias_logits",
     "static_position_embeddings"), False,
) | {"normalize_embedding": True, "extra_pos_embeddings": 2}  # fmt: skip


def _written(config: Mapping[str, Any]) -> dict[str, Any]:
    """KerasHub's BART drops out attention weights too, and forces no token."""
    sizes = {f"decoder_{theirs}": config[ours] for theirs, ours in _SAME.items()}
    drops = {"attention_dropout": config["dropout"], "activation_dropout": 0.0}
    return sizes | drops | _BUILT | {"num_hidden_layers": config["num_layers"], "forced_eos_token_id": None}


FAMILY = Family(
    model_type="bart", backbone="BartBackbone", architecture="BartForConditionalGeneration",
    assets=(f"{TOKENIZER_ASSETS}/vocabulary.json", f"{TOKENIZER_ASSETS}/merges.txt"),
    keys={
        "vocabulary_size": ("vocab_size", 50265), "num_layers": ("encoder_layers", 12),
        "num_heads": ("encoder_attention_heads", 16), "hidden_dim": ("d_model", 1024),
        "intermediate_dim": ("encoder_ffn_dim", 4096), "dropout": ("dropout", 0.1),
        "max_sequence_length": ("max_position_embeddings", 1024),
    },
    aliases={"num_hidden_layers": "encoder_layers", "num_attention_heads": "encoder_attention_heads",
             "hidden_size": "d_model"},
    fixed=_BUILT | _YEARS,
    equal=(
        *((f"decoder_{size}", f"encoder_{size}", f"decoder_{size} equal to encoder_{size}") for size in _SAME),
        ("decoder_start_token_id", "eos_token_id", "a decoder that starts from the end token"),
    ),
    defaults={"decoder_layers": 12, "decoder_attention_heads": 16, "decoder_ffn_dim": 4096,
              "decoder_start_token_id": 2, "eos_token_id": 2},
    written=_written,
    special_ids={"bos_token_id": "start_token", "eos_token_id": "end_token", "pad_token_id": "pad_token",
                 "decoder_start_token_id": "end_token"},
    generation={"forced_bos_token_id": "start_token", "forced_eos_token_id": None},  # the prompt is `</s> <s>`
    prefix="model.", zero=("final_logits_bias",),
)  # fmt: skip
