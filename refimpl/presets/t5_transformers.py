"""T5's configuration in transformers' words, both ways. What KerasHub's T5 can't do is refused by name.

Source: transformers 5.23 configuration_t5.py, modeling_t5.py; Raffel et al. 2020
"""

from collections.abc import Mapping
from typing import Any

from refimpl.errors import ConfigError
from refimpl.presets.folder import TOKENIZER_ASSETS

BACKBONE = "T5Backbone"
ASSETS = (f"{TOKENIZER_ASSETS}/vocabulary.spm",)
PREFIX = ""  # what names of tensors start with in a model with a head
# Tensors that no T5 reads: the first checkpoints have a position table in cross-attention.
ZERO: tuple[str, ...] = ()  # tensors that are not read and must be zero
UNUSED = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)
_KEYS = {
    "vocabulary_size": ("vocab_size", 32128),
    "num_layers": ("num_layers", 6),
    "num_heads": ("num_heads", 8),
    "hidden_dim": ("d_model", 512),
    "intermediate_dim": ("d_ff", 2048),
    "key_value_dim": ("d_kv", 64),
    "dropout": ("dropout_rate", 0.1),
    "layer_norm_epsilon": ("layer_norm_epsilon", 1e-6),
}
# Other names of the same numbers, which must not contradict them (spec: presets.transformers.aliases).
_ALIASES = {
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "hidden_size": "d_model",
    "head_dim": "d_kv",
}
# What KerasHub's T5 is built as.
_FIXED = {
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "is_encoder_decoder": True,
    "is_decoder": False,
}
# transformers' words for activations; gated, its `gelu` is the form with tanh too.
_ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_approximate",
    "gelu_pytorch_tanh": "gelu_approximate",
    "silu": "silu",
    "swish": "silu",
}
_WRITTEN = {
    ("gelu", True): "gelu_python",
    ("gelu_approximate", False): "gelu_new",
    ("gelu_approximate", True): "gelu",
}


def backbone_config(config: Mapping[str, Any], file: str) -> dict[str, Any]:
    """KerasHub's configuration. Keys that are not there have transformers' default, as in transformers.

    Raises: ConfigError for what KerasHub's T5 can't be.
    Spec: presets.transformers.config, presets.transformers.refused
    """
    given = {key: value for key, value in config.items() if value is not None}
    for other, key in _ALIASES.items():
        if other in given and given[other] != given.setdefault(key, given[other]):
            raise _refused(file, f"{other}={given[other]!r:.40} beside {key}={given[key]!r:.40}", "one of the two")
    layers = given.get("num_layers", 6)
    if given.get("num_decoder_layers", layers) != layers:
        has = f"num_decoder_layers={given['num_decoder_layers']!r:.40} beside num_layers={layers!r:.40}"
        raise _refused(file, has, "num_decoder_layers equal to num_layers")
    for key, value in _FIXED.items():
        if key in given and (type(given[key]) is not type(value) or given[key] != value):
            raise _refused(file, f"{key}={given[key]!r:.40}", f"{key}={value!r}")
    start, pad = given.get("decoder_start_token_id"), given.get("pad_token_id", 0)
    if start is not None and start != pad:
        has = f"decoder_start_token_id={start!r:.40} beside pad_token_id={pad!r:.40}"
        raise _refused(file, has, "a decoder that starts from the padding token")
    activation, gated = _activation(given, file)
    sizes = {ours: given.get(theirs, default) for ours, (theirs, default) in _KEYS.items()}
    return sizes | {
        "activation": activation,
        "use_gated_activation": gated,
        "tie_embedding_weights": _scales(given),
    }


def _scales(given: Mapping[str, Any]) -> bool:
    """Whether the head is scaled, which KerasHub does where the embedding table is the head.

    Earlier versions of transformers call it `tie_word_embeddings`, to which this one gives another meaning.
    """
    return bool(given.get("scale_decoder_outputs", given.get("tie_word_embeddings", True)))


def _activation(given: Mapping[str, Any], file: str) -> tuple[str, bool]:
    """The activation by Keras's name, and whether it is gated."""
    projection = given.get("feed_forward_proj", "relu")
    gate, _, name = projection.rpartition("-") if isinstance(projection, str) else ("?", "", "")
    if gate not in ("", "gated") or name not in _ACTIVATIONS:
        raise _refused(
            file, f"feed_forward_proj={projection!r:.40}", f"one of {', '.join(_ACTIVATIONS)}, or gated-relu and so on"
        )
    meant = "gelu_new" if projection == "gated-gelu" else name
    implied = {"dense_act_fn": meant, "is_gated_act": gate == "gated"}
    for key, value in implied.items():
        if given.get(key, value) != value:
            has = f"{key}={given[key]!r:.40} beside feed_forward_proj={projection!r:.40}"
            raise _refused(file, has, "one of the two")
    return _ACTIVATIONS[meant], gate == "gated"


def transformers_config(config: Mapping[str, Any], ids: Mapping[str, int], dtype: str) -> dict[str, Any]:
    """The configuration for transformers, and for its earlier versions.

    Spec: presets.export.config
    """
    sizes = {theirs: config[ours] for ours, (theirs, _) in _KEYS.items()}
    name, gated = config["activation"], config["use_gated_activation"]
    name = "gelu_approximate" if isinstance(name, dict) else name
    written = _WRITTEN.get((name, gated), name)
    return {
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
        **sizes,
        "d_kv": config["key_value_dim"] or config["hidden_dim"] // config["num_heads"],
        "num_decoder_layers": config["num_layers"],
        "feed_forward_proj": f"gated-{written}" if gated else written,
        "tie_word_embeddings": config["tie_embedding_weights"],
        **_FIXED,
        "dtype": dtype,
        **({"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1} | dict(ids)),
    }


def special_ids(tokenizer: Any) -> dict[str, int]:
    """The ids of special tokens, by transformers' names: T5 starts from its padding."""
    pad, end = tokenizer.pad_token_id, tokenizer.end_token_id
    return {"pad_token_id": pad, "eos_token_id": end, "decoder_start_token_id": pad}


def generation_settings(_tokenizer: Any) -> dict[str, Any]:
    """What makes transformers' `generate` start as ours does: the start token is enough."""
    return {}


def _refused(file: str, has: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"{file} has {has}.",
        f"KerasHub's T5 is built with {wanted}; anything else would give other numbers.",
        "Use a checkpoint of that form.",
        "presets.transformers.refused",
    )
