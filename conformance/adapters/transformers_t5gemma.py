"""Hugging Face's T5Gemma over a preset's weights, for the adapter in `transformers`."""

from types import MethodType
from typing import Any

import numpy as np

from conformance.adapters.transformers_softmax import softmax_in_doubles
from conformance.suite.messages import UnsupportedError

SAME = ("num_attention_heads", "num_key_value_heads", "head_dim")
SIDE = {"hidden_size": "hidden_dim", "intermediate_size": "intermediate_dim", "num_hidden_layers": "num_layers"}
SIDE |= {name: name for name in SAME}
BOTH = ("rms_norm_eps", "attention_bias", "attn_logit_softcapping", "final_logit_softcapping")
TANH = "gelu_pytorch_tanh"


def config_of(hub: Any, config: dict[str, Any]) -> Any:
    """The configuration: one of each side. Raises: UnsupportedError for sizes that transformers refuses."""
    for side in ("encoder", "decoder"):
        if config[f"{side}_hidden_dim"] % config[f"{side}_num_attention_heads"]:
            raise UnsupportedError("transformers takes widths that are multiples of the number of heads")
    scalar, activation, tied = (
        config[key] for key in ("query_pre_attn_scalar", "hidden_activation", "tie_word_embeddings")
    )
    sides = {
        side: {theirs: config[f"{side}_{ours}"] for theirs, ours in SIDE.items()}
        | {key: config[key] for key in BOTH}
        | {"vocab_size": config["vocabulary_size"],
           "hidden_activation": TANH if activation == "gelu_approximate" else activation,
           "query_pre_attn_scalar": int(scalar) if scalar == int(scalar) else scalar,  # it takes no 7.0
           "layer_types": config[f"{side}_layer_types"], "sliding_window": config["sliding_window"],
           "rope_parameters": {"rope_type": "default", "rope_theta": config["rope_max_wavelength"]}}
        for side in ("encoder", "decoder")
    }  # fmt: skip
    more = {"vocab_size": config["vocabulary_size"], "tie_word_embeddings": tied}
    return hub.T5GemmaConfig(**sides, **more, attn_implementation="eager")


def state_of(read: dict[str, np.ndarray], config: dict[str, Any], permuted: bool) -> dict[str, np.ndarray]:
    """The weights under Hugging Face's names. `permuted` renumbers the inner dimensions."""
    order = -1 if permuted else 1
    state = {"model.encoder.embed_tokens.weight": read["layers/embedding/vars/0"]}
    table = state["model.decoder.embed_tokens.weight"] = read["layers/reversible_embedding/vars/0"]
    head = read.get("layers/reversible_embedding/vars/1")
    state["lm_head.out_proj.weight"] = table if head is None else head.T
    for side, second in (("encoder", ""), ("decoder", "_1")):
        state[f"model.{side}.norm.weight"] = read[f"layers/rms_normalization{second}/vars/0"]
        for n in range(config[f"{side}_num_layers"]):
            place, name = f"layers/t5_gemma_{side}_layer{f'_{n}' if n else ''}/", f"model.{side}.layers.{n}."
            for path in (path.removeprefix(place) for path in read if path.startswith(place)):
                value, (*parts, _, which) = read[f"{place}{path}"], path.split("/")
                if which == "1":
                    state[f"{name}{parts[0]}.{parts[1][0]}_proj.bias"] = value.reshape(-1)
                elif len(parts) == 1:
                    state[f"{name}{parts[0]}.weight"] = value
                elif parts[0] == "mlp":
                    turned = value.T[:, ::order] if "down" in path else value.T[::order]
                    state[f"{name}{'.'.join(parts)}.weight"] = turned
                else:
                    out = parts[1][0] == "o"
                    flat = value.reshape(-1, value.shape[-1]) if out else value.reshape(len(value), -1)
                    state[f"{name}{parts[0]}.{parts[1][0]}_proj.weight"] = flat.T
    return state


def in_doubles(torch: Any, model: Any, wavelength: float) -> None:
    """Let norms, rotations and softmax compute in float64: transformers takes them in float32 whatever the type."""
    from transformers.models.t5gemma import modeling_t5gemma as module

    def norm(self: Any, x: Any) -> Any:
        return (1.0 + self.weight) * x / (x.pow(2).mean(-1, keepdim=True) + self.eps).sqrt()

    def rotation(self: Any, _x: Any, position_ids: Any) -> Any:
        half = self.inv_freq.numel()
        turns = wavelength ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = position_ids[..., None].double() * torch.cat([turns, turns])
        return angles.cos(), angles.sin()

    for part in model.modules():
        if type(part).__name__ == "T5GemmaRMSNorm":
            part.forward = MethodType(norm, part)
        if type(part).__name__ == "T5GemmaRotaryEmbedding":
            part.forward = MethodType(rotation, part)
    softmax_in_doubles(torch, module)


def values_of(model: Any) -> list[Any]:
    """The projections of what is attended to in the source."""
    found = [layer.self_attn.v_proj for layer in model.model.encoder.layers]
    return found + [layer.cross_attn.v_proj for layer in model.model.decoder.layers]
