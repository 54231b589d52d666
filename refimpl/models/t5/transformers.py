"""T5's configuration in transformers' words.

Source: transformers 5.23 configuration_t5.py, modeling_t5.py; Raffel et al. 2020
"""

from collections.abc import Mapping
from typing import Any

from refimpl.models.activations import TRANSFORMERS, activation_name
from refimpl.presets.families import Family
from refimpl.presets.folder import TOKENIZER_ASSETS

# What `feed_forward_proj` says: the activation, and whether it is gated. A gated `gelu` is the form with tanh.
_WORDS = {f"{gate}{name}": (name, bool(gate)) for name in TRANSFORMERS for gate in ("", "gated-")}
_WORDS["gated-gelu"] = ("gelu_new", True)
_BUILT = {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "is_encoder_decoder": True}


def _read(given: Mapping[str, Any], file: str) -> dict[str, Any]:
    """The activation by Keras's name, whether it is gated, and whether the table is the head, which then is scaled."""
    projection = given.get("feed_forward_proj", "relu")
    if not isinstance(projection, str) or projection not in _WORDS:
        wanted = f"one of {', '.join(TRANSFORMERS)}, or gated-relu and so on"
        raise FAMILY.refused(file, f"feed_forward_proj={projection!r:.40}", wanted)
    meant, gated = _WORDS[projection]
    for key, value in {"dense_act_fn": meant, "is_gated_act": gated}.items():
        if given.get(key, value) != value:
            raise FAMILY.contradiction({**given, "feed_forward_proj": projection}, key, "feed_forward_proj", file)
    # Earlier versions of transformers have but `tie_word_embeddings`, to which this one gives another meaning.
    tied = bool(given.get("scale_decoder_outputs", given.get("tie_word_embeddings", True)))
    return {"activation": TRANSFORMERS[meant], "use_gated_activation": gated, "tie_embedding_weights": tied}


def _written(config: Mapping[str, Any]) -> dict[str, Any]:
    """What earlier versions of transformers read is written too."""
    meant = activation_name(config["activation"]), config["use_gated_activation"]
    word = next(word for word, (name, gated) in _WORDS.items() if (TRANSFORMERS[name], gated) == meant)
    return _BUILT | {
        "d_kv": config["key_value_dim"] or config["hidden_dim"] // config["num_heads"],
        "num_decoder_layers": config["num_layers"], "feed_forward_proj": word,
        "tie_word_embeddings": config["tie_embedding_weights"], "is_decoder": False,
        "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip


FAMILY = Family(
    model_type="t5", backbone="T5Backbone", architecture="T5ForConditionalGeneration",
    assets=(f"{TOKENIZER_ASSETS}/vocabulary.spm",),
    keys={
        "vocabulary_size": ("vocab_size", 32128), "num_layers": ("num_layers", 6), "num_heads": ("num_heads", 8),
        "hidden_dim": ("d_model", 512), "intermediate_dim": ("d_ff", 2048), "key_value_dim": ("d_kv", 64),
        "dropout": ("dropout_rate", 0.1), "layer_norm_epsilon": ("layer_norm_epsilon", 1e-6),
    },
    aliases={"num_hidden_layers": "num_layers", "num_attention_heads": "num_heads", "hidden_size": "d_model",
             "head_dim": "d_kv"},
    fixed=_BUILT | {"is_decoder": False},
    equal=(
        ("num_decoder_layers", "num_layers", "num_decoder_layers equal to num_layers"),
        ("decoder_start_token_id", "pad_token_id", "a decoder that starts from the padding token"),
    ),
    defaults={"pad_token_id": 0}, read=_read, written=_written,
    special_ids={"pad_token_id": "pad_token", "eos_token_id": "end_token", "decoder_start_token_id": "pad_token"},
    # No T5 reads it: the first checkpoints have a position table in cross-attention.
    unused=("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",),
)  # fmt: skip
