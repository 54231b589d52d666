"""KerasHub's weights as parameters of `transformers`' Flax models, and the suite's names of their modules."""

import re
from typing import Any

import numpy as np
import transformers as hf

BLOCKS = {"self_attn": 0, "SelfAttention": 0, "encoder_attn": 1, "EncDecAttention": 1, "fc2": 2, "DenseReluDense": 2}
NORMS = {"self_attn_layer_norm": 0, "encoder_attn_layer_norm": 1, "final_layer_norm": 2}
NAMES = ("self_attention", "cross_attention", "feed_forward")
PATH = re.compile(r"(?:model/)?(encoder|decoder)/(?:(?:layers|block)/(\d+)/)?(?:layer/(\d)/)?(\w+)")
BART_PARTS = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "output"}


def bart(data: Any, c: dict[str, Any]) -> tuple[Any, Any]:
    """Model and parameters of BART."""
    wide, inner, layers, heads = (c[k] for k in ("hidden_dim", "intermediate_dim", "num_layers", "num_heads"))
    config = hf.BartConfig(
        vocab_size=c["vocabulary_size"],
        d_model=wide,
        max_position_embeddings=c["max_sequence_length"],
        encoder_layers=layers,
        decoder_layers=layers,
        encoder_attention_heads=heads,
        decoder_attention_heads=heads,
        encoder_ffn_dim=inner,
        decoder_ffn_dim=inner,
        forced_eos_token_id=None,
    )

    def norm(path: str) -> dict[str, Any]:
        return {"scale": data(f"{path}/vars/0"), "bias": data(f"{path}/vars/1")}

    def dense(path: str, rows: int, columns: int) -> dict[str, Any]:
        return {"kernel": data(f"{path}/vars/0").reshape(rows, columns), "bias": data(f"{path}/vars/1").reshape(-1)}

    def side(name: str, suffix: str) -> dict[str, Any]:
        parts = {}
        for i in range(layers):
            at = f"layers/transformer_{name}_{i}" if i else f"layers/transformer_{name}"
            layer = {
                "fc1": dense(f"{at}/_feedforward_intermediate_dense", wide, inner),
                "fc2": dense(f"{at}/_feedforward_output_dense", inner, wide),
                "final_layer_norm": norm(f"{at}/_feedforward_layer_norm"),
            }
            for ours, theirs in [("self_attn", "self")] + [("encoder_attn", "cross")] * (name == "decoder"):
                block = f"{at}/_{theirs}_attention_layer"
                layer[ours] = {key: dense(f"{block}/{value}_dense", wide, wide) for key, value in BART_PARTS.items()}
                layer[f"{ours}_layer_norm"] = norm(f"{block}_norm")
            parts[str(i)] = layer
        rows = np.pad(data(f"layers/position_embedding{suffix}/vars/0"), ((2, 0), (0, 0)))  # two are never used
        start = norm(f"layers/layer_normalization{suffix}")
        return {"embed_positions": {"embedding": rows}, "layers": parts, "layernorm_embedding": start}

    inside = {
        "shared": {"embedding": data("layers/reversible_embedding/vars/0")},
        "encoder": side("encoder", ""),
        "decoder": side("decoder", "_1"),
    }
    params = {"model": inside, "final_logits_bias": np.zeros((1, c["vocabulary_size"]), "float32")}
    return hf.FlaxBartForConditionalGeneration(config, _do_init=False), params


def t5(data: Any, c: dict[str, Any]) -> tuple[Any, Any]:
    """Model and parameters of T5."""
    layers, gated, tied = c["num_layers"], c["use_gated_activation"], c["tie_embedding_weights"]
    config = hf.T5Config(
        vocab_size=c["vocabulary_size"],
        d_model=c["hidden_dim"],
        d_kv=c["key_value_dim"],
        d_ff=c["intermediate_dim"],
        num_layers=layers,
        num_heads=c["num_heads"],
        layer_norm_epsilon=c["layer_norm_epsilon"],
        tie_word_embeddings=tied,
        feed_forward_proj="gated-gelu" if gated else "relu",
        decoder_start_token_id=0,
    )
    config.dense_act_fn = c["activation"]  # "gated-gelu" alone is the one with tanh
    feed = {"wi_0": "input", "wi_1": "gate"} if gated else {"wi": "input"}

    def side(name: str, first: int, final: str) -> dict[str, Any]:
        blocks = {}
        for i in range(layers):
            at = f"layers/t5_transformer_layer_{first + i}" if first + i else "layers/t5_transformer_layer"
            parts = []
            for ours, theirs in [("SelfAttention", "self")] + [("EncDecAttention", "cross")] * (name == "decoder"):
                path = f"{at}/{theirs}_attention"
                names = ("query", "key", "value", "output")
                block = {key[0]: {"kernel": data(f"{path}/{key}_projector/vars/0")} for key in names}
                if theirs == "self" and i == 0:
                    block["relative_attention_bias"] = {"embedding": data(f"{path}/vars/0")}
                parts.append({ours: block, "layer_norm": {"weight": data(f"{path}_layer_norm/vars/0")}})
            names = {**feed, "wo": "output"}
            dense = {key: {"kernel": data(f"{at}/{value}_projector/vars/0")} for key, value in names.items()}
            parts.append({"DenseReluDense": dense, "layer_norm": {"weight": data(f"{at}/layer_norm/vars/0")}})
            blocks[str(i)] = {"layer": {str(j): part for j, part in enumerate(parts)}}
        return {"block": blocks, "final_layer_norm": {"weight": data(f"{final}/vars/0")}}

    params = {
        "shared": {"embedding": data("layers/reversible_embedding/vars/0")},
        "encoder": side("encoder", 0, "layers/t5_layer_norm"),
        "decoder": side("decoder", layers, "layers/t5_layer_norm_1"),
    }
    if not tied:
        params["lm_head"] = {"kernel": data("layers/reversible_embedding/vars/1")}
    return hf.FlaxT5ForConditionalGeneration(config, _do_init=False), params


def named(path: str) -> str | None:
    """The suite's name of what the module at this path gives."""
    if not (match := PATH.fullmatch(path)):
        return None
    side, layer, part, name = match.groups()
    if layer is None:
        start = {"layernorm_embedding": "embed_norm", "final_layer_norm": "final_norm", "block": "block"}
        return f"{side}.{start[name]}" if name in start else None
    if name == "layer_norm":  # of T5: the last part is the feed-forward one
        at = 2 if (side, part) == ("encoder", "1") else int(part)
        return f"{side}.layer.{layer}.{NAMES[at]}_norm"
    if name in NORMS:
        return f"{side}.layer.{layer}.{NAMES[NORMS[name]]}_norm"
    return f"{side}.layer.{layer}.{NAMES[BLOCKS[name]]}" if name in BLOCKS else None
