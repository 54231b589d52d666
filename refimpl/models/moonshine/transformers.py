"""Moonshine's configuration in transformers' words.

Source: transformers 5.23 configuration_moonshine.py, modeling_moonshine.py
"""

from collections.abc import Mapping
from typing import Any

from refimpl.presets.families import Family
from refimpl.presets.folder import TOKENIZER_ASSETS

_SIZES = {"hidden_size": 288, "intermediate_size": 1152, "decoder_num_attention_heads": 8}
_BUILT = {
    "encoder_hidden_act": "gelu", "decoder_hidden_act": "silu", "attention_bias": False,
    "is_encoder_decoder": True, "tie_word_embeddings": True,
}  # fmt: skip


def _read(given: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Rotations, and widths as multiples. Padding heads for speed, as transformers does, changes no number."""
    width, inner, heads = (given.get(key, known) for key, known in _SIZES.items())
    if not all(type(size) is int and size > 0 for size in (width, inner, heads)) or inner % width:
        has = f"intermediate_size={inner!r:.40} beside hidden_size={width!r:.40}"
        raise FAMILY.refused(file, has, "a feed-forward whose width is a multiple of hidden_size")
    rope = given.get("rope_parameters") or {}
    if not isinstance(rope, dict) or rope.get("rope_type", "default") != "default" or given.get("rope_scaling"):
        raise FAMILY.refused(file, f"rope_parameters={rope!r:.60}", "rotations that are not scaled")
    factor = rope.get("partial_rotary_factor", given.get("partial_rotary_factor", 0.9))
    natural, depth = width // heads, given.get("head_dim", width // heads)
    numbers = type(depth) is int and type(factor) in (int, float) and 0 < factor <= 1
    if not numbers or depth < natural or int(depth * factor) % 2:
        has = f"head_dim={depth!r:.40} and partial_rotary_factor={factor!r:.40}"
        raise FAMILY.refused(file, has, "heads that share out hidden_size, of which an even number of dimensions turns")
    wider, theta = depth if depth > natural else None, rope.get("rope_theta", given.get("rope_theta", 10000.0))
    turns = {"partial_rotary_factor": factor, "rope_theta": theta}
    return turns | {"feedforward_expansion_factor": inner // width, "pad_head_dim_to_multiple_of": wider}


def _written(config: Mapping[str, Any]) -> dict[str, Any]:
    """What transformers has no word for is refused; KerasHub's wider heads have one."""
    heads, width = config["decoder_num_heads"], config["hidden_dim"]
    said = {"attention_bias": False, "encoder_use_swiglu_activation": False, "decoder_use_swiglu_activation": True}
    for key, must in (said | {"encoder_num_heads": heads}).items():
        if config[key] != must:
            raise FAMILY.refused("The model", f"{key}={config[key]!r}", f"{key}={must!r} if transformers is to load it")
    multiple = config["pad_head_dim_to_multiple_of"] or 1
    depth, factor = -(-width // heads // multiple) * multiple, config["partial_rotary_factor"]
    if int(depth * factor) % 2:  # transformers would turn one more
        factor = (int(depth * factor) - 0.5) / depth
    turns = {"rope_theta": float(config["rope_theta"]), "partial_rotary_factor": float(factor)}
    return _BUILT | {
        "intermediate_size": width * config["feedforward_expansion_factor"],
        "rope_parameters": turns | {"rope_type": "default"},
        **({"head_dim": depth} if depth != width // heads else {}),
    }


FAMILY = Family(
    model_type="moonshine", backbone="MoonshineBackbone", architecture="MoonshineForConditionalGeneration",
    assets=(f"{TOKENIZER_ASSETS}/vocabulary.spm",), sentence_piece="tokenizer.model",
    tokenizer_class="LlamaTokenizer", converter="MoonshineAudioConverter",
    keys={
        "vocabulary_size": ("vocab_size", 32768), "filter_dim": ("hidden_size", 288),
        "hidden_dim": ("hidden_size", 288), "intermediate_dim": ("intermediate_size", 1152),
        "encoder_num_layers": ("encoder_num_hidden_layers", 6), "decoder_num_layers": ("decoder_num_hidden_layers", 6),
        "encoder_num_heads": ("encoder_num_attention_heads", 8),
        "decoder_num_heads": ("decoder_num_attention_heads", 8),
        "max_position_embeddings": ("max_position_embeddings", 512), "initializer_range": ("initializer_range", 0.02),
        "attention_dropout": ("attention_dropout", 0.0), "dropout": ("attention_dropout", 0.0),
    },
    aliases={"num_hidden_layers": "decoder_num_hidden_layers", "num_attention_heads": "decoder_num_attention_heads",
             "num_key_value_heads": "decoder_num_key_value_heads", "hidden_act": "decoder_hidden_act"},
    fixed=_BUILT,
    equal=(
        ("encoder_num_key_value_heads", "encoder_num_attention_heads", "a key and a value for each head"),
        ("decoder_num_key_value_heads", "decoder_num_attention_heads", "a key and a value for each head"),
        ("encoder_num_attention_heads", "decoder_num_attention_heads", "as many heads on both sides"),
    ),
    read=_read, written=_written,
    special_ids={"bos_token_id": "start_token", "eos_token_id": "end_token", "pad_token_id": "pad_token",
                 "decoder_start_token_id": "start_token"},
    prefix="model.",
)  # fmt: skip
