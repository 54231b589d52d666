"""KerasHub's weights as a state dictionary of torchtext's T5."""

from typing import Any

import torch


def weights(data: Any, c: dict[str, Any]) -> dict[str, Any]:
    """A state dictionary from KerasHub's names."""
    embedding = data("layers/reversible_embedding/vars/0")
    head = embedding if c["tie_embedding_weights"] else data("layers/reversible_embedding/vars/1").T
    state = {"token_embeddings.weight": embedding, "encoder.token_embeddings.weight": embedding, "lm_head.weight": head}
    gated = c["use_gated_activation"]
    feed = {"linear1_0": "input", "linear1_1": "gate"} if gated else {"linear1": "input"}
    for side, first, suffix in (("encoder", 0, ""), ("decoder", c["num_layers"], "_1")):
        state[f"{side}.norm.weight"] = data(f"layers/t5_layer_norm{suffix}/vars/0")
        for i in range(c["num_layers"]):
            here = f"{side}.layers.{i}."
            there = f"layers/t5_transformer_layer_{first + i}/" if first + i else "layers/t5_transformer_layer/"
            for block, norm in [("self", "norm1")] + [("cross", "norm3")] * (side == "decoder"):
                for key in ("query", "key", "value", "output"):
                    name = "out_proj.weight" if key == "output" else f"{key[0]}_proj_weight"
                    state[f"{here}{block}_attn.{name}"] = data(f"{there}{block}_attention/{key}_projector/vars/0").T
                state[f"{here}{norm}.weight"] = data(f"{there}{block}_attention_layer_norm/vars/0")
            for name, key in {**feed, "linear2": "output"}.items():
                state[f"{here}{name}.weight"] = data(f"{there}{key}_projector/vars/0").T
            state[f"{here}norm2.weight"] = data(f"{there}layer_norm/vars/0")
        bias = f"{side}.layers.0.self_attn.relative_attention_bias.weight"
        at = f"_{first}" if first else ""
        state[bias] = data(f"layers/t5_transformer_layer{at}/self_attention/vars/0")
    return {key: torch.tensor(value) for key, value in state.items()}
