"""Write golden/training/steps/t5_*gradients.safetensors: every gradient of a whole T5 by PyTorch in float64.

Needs the `peers` extra: python -m conformance.make.training_gradients_t5
"""

from typing import Any

import numpy as np
import torch
import transformers

from conformance.adapters import transformers_t5 as t5
from conformance.make.gradients import adversarial, ragged, write

SIZES: dict[str, Any] = {
    "vocabulary_size": 37,
    "num_layers": 2,
    "num_heads": 3,
    "hidden_dim": 12,
    "intermediate_dim": 20,
    "key_value_dim": 5,
    "dropout": 0.0,
    "layer_norm_epsilon": 1e-6,
}
# T5 1.0 with sequences beyond the maximal distance of 128, and T5 1.1.
MODELS: dict[str, tuple[dict[str, Any], int]] = {
    "t5_gradients": ({"activation": "relu", "use_gated_activation": False, "tie_embedding_weights": True}, 139),
    "t5_gated_gradients": (
        {"activation": "gelu_approximate", "use_gated_activation": True, "tie_embedding_weights": False},
        7,
    ),
}
PARTS = {"query_projector": "q", "key_projector": "k", "value_projector": "v", "output_projector": "o"}


def their_names(gated: bool, tied: bool) -> dict[str, str]:
    """KerasHub's weight names -> those of transformers."""
    names = {"token_embedding/embeddings": "shared"}
    if not tied:
        names["token_embedding/reverse_embeddings"] = "lm_head"
    inner = {"input_projector": "wi_0", "gate_projector": "wi_1"} if gated else {"input_projector": "wi"}
    for side in ("encoder", "decoder"):
        kinds = [("self_attention", "SelfAttention"), ("cross_attention", "EncDecAttention")]
        names[f"{side}_output_layer_norm/weight"] = f"{side}.final_layer_norm"
        bias = f"transformer_{side}_layer_0/self_attention/relative_attention_bias"
        names[bias] = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"
        for n in range(SIZES["num_layers"]):
            ours, theirs = f"transformer_{side}_layer_{n}", f"{side}.block.{n}.layer"
            used = kinds if side == "decoder" else kinds[:1]
            for place, (kind, other) in enumerate(used):
                names |= {f"{ours}/{kind}/{a}/kernel": f"{theirs}.{place}.{other}.{b}" for a, b in PARTS.items()}
                names[f"{ours}/{kind}_layer_norm/weight"] = f"{theirs}.{place}.layer_norm"
            last = f"{theirs}.{len(used)}"
            for a, b in {**inner, "output_projector": "wo"}.items():
                names[f"{ours}/{a}/kernel"] = f"{last}.DenseReluDense.{b}"
            names[f"{ours}/layer_norm/weight"] = f"{last}.layer_norm"
    return {ours: f"{theirs}.weight" for ours, theirs in names.items()}


def to_ours(name: str, array: np.ndarray) -> np.ndarray:
    """A tensor in KerasHub's layout: kernels as input x output."""
    return array.T if name.endswith(("kernel", "reverse_embeddings")) else array


def build(config: dict[str, Any]) -> transformers.PreTrainedModel:
    """The model of a configuration, its norms in float64 too."""
    model = transformers.T5ForConditionalGeneration(t5.config_of(transformers, config))
    if not config["tie_embedding_weights"]:
        t5.untie(torch, model)
    t5.double_norms(model)
    return adversarial(model, 30)


if __name__ == "__main__":
    for found, (kind, length) in MODELS.items():
        batch = ragged(31, SIZES["vocabulary_size"], {"encoder": [length, 3, 5], "decoder": [length + 4, 2, 4]})
        names = their_names(kind["use_gated_activation"], kind["tie_embedding_weights"])
        write(found, build(SIZES | kind), batch, names, to_ours, SIZES | kind)
