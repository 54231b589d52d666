"""Hugging Face's T5 over a preset's weights, for the adapter in `transformers`."""

from types import MethodType
from typing import Any

import numpy as np

ACTIVATIONS = {"relu": "relu", "gelu": "gelu_python", "silu": "silu", "gelu_approximate": "gelu_new"}
PARTS = {"query": "q", "key": "k", "value": "v", "output": "o"}


def config_of(hub: Any, config: dict[str, Any]) -> Any:
    """The configuration. `gelu_python` is the exact form, which no other word gives where it is gated."""
    gate = "gated-" if config["use_gated_activation"] else ""
    name = config["activation"]
    name = name["config"].partition(">")[2] if isinstance(name, dict) else name
    return hub.T5Config(
        vocab_size=config["vocabulary_size"],
        d_model=config["hidden_dim"],
        d_kv=config["key_value_dim"],
        d_ff=config["intermediate_dim"],
        num_layers=config["num_layers"],
        num_heads=config["num_heads"],
        layer_norm_epsilon=config["layer_norm_epsilon"],
        feed_forward_proj=gate + ACTIVATIONS[name],
        tie_word_embeddings=config["tie_embedding_weights"],  # here: whether the head is scaled
        attn_implementation="eager",
    )


def untie(torch: Any, model: Any) -> None:
    """Give the head a table of its own, which this version of transformers ties always."""
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())


def state_of(read: dict[str, np.ndarray], config: dict[str, Any], permuted: bool) -> dict[str, np.ndarray]:
    """The weights under Hugging Face's names. `permuted` renumbers the inner dimensions."""
    state = {"shared.weight": read["layers/reversible_embedding/vars/0"]}
    if not config["tie_embedding_weights"]:
        state["lm_head.weight"] = read["layers/reversible_embedding/vars/1"].T
    layers = config["num_layers"]
    for side, first, norm in (("encoder", 0, "t5_layer_norm"), ("decoder", layers, "t5_layer_norm_1")):
        state[f"{side}.final_layer_norm.weight"] = read[f"layers/{norm}/vars/0"]
        for n in range(layers):
            number = first + n
            place = "layers/t5_transformer_layer" + (f"_{number}" if number else "")
            _layer(state, f"{side}.block.{n}.layer", read, place, permuted)
    return state


def _layer(state: dict[str, np.ndarray], name: str, read: dict[str, np.ndarray], place: str, permuted: bool) -> None:
    last = 0
    for kind, theirs in (("self_attention", "SelfAttention"), ("cross_attention", "EncDecAttention")):
        if f"{place}/{kind}/query_projector/vars/0" not in read:
            continue
        for part, short in PARTS.items():
            state[f"{name}.{last}.{theirs}.{short}.weight"] = read[f"{place}/{kind}/{part}_projector/vars/0"].T
        if f"{place}/{kind}/vars/0" in read:
            state[f"{name}.{last}.{theirs}.relative_attention_bias.weight"] = read[f"{place}/{kind}/vars/0"]
        state[f"{name}.{last}.layer_norm.weight"] = read[f"{place}/{kind}_layer_norm/vars/0"]
        last += 1
    gated = f"{place}/gate_projector/vars/0" in read
    names = {"input": "wi_0" if gated else "wi"} | ({"gate": "wi_1"} if gated else {})
    order = -1 if permuted else 1
    for part, short in names.items():
        state[f"{name}.{last}.DenseReluDense.{short}.weight"] = (
            read[f"{place}/{part}_projector/vars/0"].T[::order].copy()
        )
    outer = read[f"{place}/output_projector/vars/0"].T
    state[f"{name}.{last}.DenseReluDense.wo.weight"] = outer[:, ::order].copy()
    state[f"{name}.{last}.layer_norm.weight"] = read[f"{place}/layer_norm/vars/0"]


def double_norms(model: Any) -> None:
    """Let norms compute in float64: transformers takes the mean in float32 whatever the type."""

    def forward(self: Any, x: Any) -> Any:
        return self.weight * (x / (x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon).sqrt())

    for module in model.modules():
        if type(module).__name__ == "T5LayerNorm":
            module.forward = MethodType(forward, module)


def values_of(model: Any) -> list[Any]:
    """The projections of what is attended to in the source."""
    found = [block.layer[0].SelfAttention.v for block in model.encoder.block]
    return found + [block.layer[1].EncDecAttention.v for block in model.decoder.block]
