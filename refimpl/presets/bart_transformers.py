"""BART's configuration in transformers' words, both ways. What KerasHub's BART can't do is refused by name.

Source: transformers 5.23 configuration_bart.py; Lewis et al. 2020
"""

from collections.abc import Mapping
from typing import Any

from refimpl.errors import ConfigError
from refimpl.presets.folder import TOKENIZER_ASSETS

BACKBONE = "BartBackbone"
ASSETS = (f"{TOKENIZER_ASSETS}/vocabulary.json", f"{TOKENIZER_ASSETS}/merges.txt")
PREFIX = "model."  # what names of tensors start with in a model with a head
UNUSED: tuple[str, ...] = ()  # tensors that are not read
ZERO = ("final_logits_bias",)  # tensors that are not read and must be zero
_KEYS = {
    "vocabulary_size": ("vocab_size", 50265),
    "num_layers": ("encoder_layers", 12),
    "num_heads": ("encoder_attention_heads", 16),
    "hidden_dim": ("d_model", 1024),
    "intermediate_dim": ("encoder_ffn_dim", 4096),
    "dropout": ("dropout", 0.1),
    "max_sequence_length": ("max_position_embeddings", 1024),
}
# Pairs that KerasHub's BART has one number for.
_SAME = {
    "decoder_layers": ("encoder_layers", 12),
    "decoder_attention_heads": ("encoder_attention_heads", 16),
    "decoder_ffn_dim": ("encoder_ffn_dim", 4096),
}
# Other names of the same numbers, which must not contradict them (spec: presets.transformers.aliases).
_ALIASES = {
    "num_hidden_layers": "encoder_layers",
    "num_attention_heads": "encoder_attention_heads",
    "hidden_size": "d_model",
}
# What KerasHub's BART is built as. The lower ones stand only in configurations of early years.
_FIXED = {
    "activation_function": "gelu",
    "scale_embedding": False,
    "tie_word_embeddings": True,
    "is_encoder_decoder": True,
    "is_decoder": False,
    "add_cross_attention": False,
    "normalize_before": False,
    "normalize_embedding": True,
    "add_final_layer_norm": False,
    "add_bias_logits": False,
    "static_position_embeddings": False,
    "extra_pos_embeddings": 2,
}


def backbone_config(config: Mapping[str, Any], file: str) -> dict[str, Any]:
    """KerasHub's configuration. Keys that are not there have transformers' default, as in transformers.

    Raises: ConfigError for what KerasHub's BART can't be.
    Spec: presets.transformers.config, presets.transformers.refused
    """
    given = {key: value for key, value in config.items() if value is not None}
    _check_aliases(given, file)
    for key, (other, default) in _SAME.items():
        left, right = given.get(key, default), _size(given, other, default)
        if left != right:
            raise _refused(file, f"{key}={left!r:.40} beside {other}={right!r:.40}", f"{key} equal to {other}")
    for key, value in _FIXED.items():
        if key in given and (type(given[key]) is not type(value) or given[key] != value):
            raise _refused(file, f"{key}={given[key]!r:.40}", f"{key}={value!r}")
    start, end = given.get("decoder_start_token_id", 2), given.get("eos_token_id", 2)
    if start != (end[0] if isinstance(end, list) and end else end):
        raise _refused(
            file,
            f"decoder_start_token_id={start!r:.40} beside eos_token_id={end!r:.40}",
            "a decoder that starts from the end token",
        )
    return {ours: _size(given, theirs, default) for ours, (theirs, default) in _KEYS.items()}


def _size(config: Mapping[str, Any], key: str, default: Any) -> Any:
    """A value, which may stand under an older name."""
    other = next((name for name, meant in _ALIASES.items() if meant == key), key)
    return config.get(key, config.get(other, default))


def _check_aliases(config: Mapping[str, Any], file: str) -> None:
    """A number that stands under two names must be one number.

    Raises: ConfigError.
    Spec: presets.transformers.aliases
    """
    for other, key in _ALIASES.items():
        if other in config and key in config and config[other] != config[key]:
            raise _refused(file, f"{other}={config[other]!r:.40} beside {key}={config[key]!r:.40}", "one of the two")


def transformers_config(config: Mapping[str, Any], ids: Mapping[str, int], dtype: str) -> dict[str, Any]:
    """The configuration for transformers. KerasHub's BART drops out attention weights too, and forces no token.

    Spec: presets.export.config
    """
    sizes = {theirs: config[ours] for ours, (theirs, _) in _KEYS.items()}
    both = {key: sizes[other] for key, (other, _) in _SAME.items()}
    fixed = {key: _FIXED[key] for key in ("activation_function", "scale_embedding", "tie_word_embeddings")}
    return {
        "model_type": "bart",
        "architectures": ["BartForConditionalGeneration"],
        **sizes,
        **both,
        **fixed,
        "num_hidden_layers": sizes["encoder_layers"],
        "attention_dropout": config["dropout"],
        "activation_dropout": 0.0,
        "is_encoder_decoder": True,
        "forced_eos_token_id": None,
        "dtype": dtype,
        **ids,
    }


def special_ids(tokenizer: Any) -> dict[str, int]:
    """The ids of special tokens, by transformers' names."""
    start, end, pad = tokenizer.start_token_id, tokenizer.end_token_id, tokenizer.pad_token_id
    return {"bos_token_id": start, "eos_token_id": end, "pad_token_id": pad, "decoder_start_token_id": end}


def generation_settings(tokenizer: Any) -> dict[str, Any]:
    """What makes transformers' `generate` start as ours does: the prompt is `</s> <s>`."""
    return {"forced_bos_token_id": tokenizer.start_token_id, "forced_eos_token_id": None}


def _refused(file: str, has: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"{file} has {has}.",
        f"KerasHub's BART is built with {wanted}; anything else would give other numbers.",
        "Use a checkpoint of that form.",
        "presets.transformers.refused",
    )
