"""T5Gemma's configuration in transformers' words: one of the encoder, and one of the decoder with what both share.

Source: keras-hub 0.32.0 utils/transformers/convert_t5gemma.py; transformers 5.23 configuration_t5gemma.py
"""

from collections.abc import Mapping
from typing import Any

from refimpl.models.activations import TRANSFORMERS, activation_name
from refimpl.presets.families import Family, in_their_types
from refimpl.presets.folder import TOKENIZER_ASSETS

_SIDE = {
    "hidden_dim": ("hidden_size", 2304), "intermediate_dim": ("intermediate_size", 9216),
    "num_layers": ("num_hidden_layers", 26), "num_attention_heads": ("num_attention_heads", 8),
    "num_key_value_heads": ("num_key_value_heads", 4), "head_dim": ("head_dim", 256),
}  # fmt: skip
_BOTH = {
    "vocabulary_size": ("vocab_size", 256000), "dropout_rate": ("dropout_rate", 0.0),
    "rms_norm_eps": ("rms_norm_eps", 1e-6),
    "query_pre_attn_scalar": ("query_pre_attn_scalar", 256), "attention_bias": ("attention_bias", False),
    "initializer_range": ("initializer_range", 0.02), "attention_dropout": ("attention_dropout", 0.0),
    "sliding_window": ("sliding_window", 4096), "attn_logit_softcapping": ("attn_logit_softcapping", 50.0),
    "final_logit_softcapping": ("final_logit_softcapping", 30.0),
}  # fmt: skip


def _read(given: Mapping[str, Any], file: str) -> dict[str, Any]:
    """What KerasHub has one number for must be the same on both sides."""
    found, both = {"tie_word_embeddings": given.get("tie_word_embeddings", True)}, []
    for side in ("encoder", "decoder"):
        config = given.get(side)
        if not isinstance(config, dict):
            raise FAMILY.refused(file, f"{side}={config!r:.40}", "an encoder and a decoder")
        found |= {f"{side}_{ours}": config.get(theirs, default) for ours, (theirs, default) in _SIDE.items()}
        layers = range(found[f"{side}_num_layers"] if type(found[f"{side}_num_layers"]) is int else 0)
        alternating = [("full" if n % 2 else "sliding") + "_attention" for n in layers]
        found[f"{side}_layer_types"] = config.get("layer_types") or alternating
        both.append(_shared(config, side, file))
    for key, value in both[0].items():
        if value != both[1][key] and key != "final_logit_softcapping":  # the encoder has no logits
            has = f"encoder.{key}={value!r:.40} beside decoder.{key}={both[1][key]!r:.40}"
            raise FAMILY.refused(file, has, "one number for encoder and decoder")
    return found | both[1] | {"cross_attention_hidden_size": found["encoder_hidden_dim"]}


def _shared(config: Mapping[str, Any], side: str, file: str) -> dict[str, Any]:
    """What one side says of both."""
    activation, rope = config.get("hidden_activation", "gelu_pytorch_tanh"), config.get("rope_parameters") or {}
    if rope.get("rope_type", "default") != "default" or config.get("rope_scaling"):
        raise FAMILY.refused(file, f"{side}.rope_parameters={rope!r:.60}", "rotations that are not scaled")
    return {ours: config.get(theirs, default) for ours, (theirs, default) in _BOTH.items()} | {
        "hidden_activation": TRANSFORMERS.get(activation, activation) if isinstance(activation, str) else activation,
        "rope_max_wavelength": rope.get("rope_theta", config.get("rope_theta", 10000.0)),
    }


def _written(config: Mapping[str, Any]) -> dict[str, Any]:
    """A dictionary of each side."""
    name = activation_name(config["hidden_activation"])
    both = in_their_types(config, _BOTH) | {
        "hidden_activation": "gelu_pytorch_tanh" if name == "gelu_approximate" else name,
        "rope_parameters": {"rope_theta": config["rope_max_wavelength"], "rope_type": "default"},
        "model_type": "t5_gemma_module",
    }
    sides = {
        side: {theirs: config[f"{side}_{ours}"] for ours, (theirs, _) in _SIDE.items()}
        | {"layer_types": config[f"{side}_layer_types"], "is_decoder": side == "decoder"}
        | both
        for side in ("encoder", "decoder")
    }
    sides["decoder"]["cross_attention_hidden_size"] = config["encoder_hidden_dim"]
    tied, vocabulary = config["tie_word_embeddings"], config["vocabulary_size"]
    return sides | {"is_encoder_decoder": True, "tie_word_embeddings": tied, "vocab_size": vocabulary}


FAMILY = Family(
    model_type="t5gemma", backbone="T5GemmaBackbone", architecture="T5GemmaForConditionalGeneration",
    assets=(f"{TOKENIZER_ASSETS}/vocabulary.spm",), sentence_piece="tokenizer.model",
    keys={}, aliases={}, fixed={"is_encoder_decoder": True}, equal=(), read=_read, written=_written,
    special_ids={"pad_token_id": "pad_token", "bos_token_id": "start_token", "eos_token_id": "end_token",
                 "decoder_start_token_id": "start_token"},
    prefix="model.",
)  # fmt: skip
