"""Write golden/training/steps/t5_*gradients.safetensors: every gradient of a whole T5 by PyTorch in float64.

Needs the `peers` extra: python conformance/make/training_gradients_t5.py
"""

import json
import sys
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

OUT = Path(__file__).parents[2] / "golden" / "training" / "steps"
SIZES = {
    "vocabulary_size": 37,
    "num_layers": 2,
    "num_heads": 3,
    "hidden_dim": 12,
    "intermediate_dim": 20,
    "key_value_dim": 5,
    "dropout": 0.0,
    "layer_norm_epsilon": 1e-6,
}
# T5 1.0 with sequences beyond the maximal distance of 128, and T5 1.1. The last is transformers' word.
MODELS: dict[str, tuple[dict[str, Any], int, str]] = {
    "t5_gradients": ({"activation": "relu", "use_gated_activation": False, "tie_embedding_weights": True}, 139, "relu"),
    "t5_gated_gradients": (
        {"activation": "gelu_approximate", "use_gated_activation": True, "tie_embedding_weights": False},
        7,
        "gated-gelu",
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


def double_norms(model: torch.nn.Module) -> None:
    """Let norms compute in float64: transformers takes the mean in float32 whatever the type."""

    def forward(self: Any, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))

    for module in model.modules():
        if type(module).__name__ == "T5LayerNorm":
            module.forward = MethodType(forward, module)


def build(tied: bool, projection: str) -> torch.nn.Module:
    """A model with weights that hide nothing: no zeros, no ones, gains far from 1."""
    config = transformers.T5Config(
        vocab_size=SIZES["vocabulary_size"],
        d_model=SIZES["hidden_dim"],
        d_kv=SIZES["key_value_dim"],
        d_ff=SIZES["intermediate_dim"],
        num_layers=SIZES["num_layers"],
        num_heads=SIZES["num_heads"],
        dropout_rate=0.0,
        feed_forward_proj=projection,
        tie_word_embeddings=tied,  # this version of transformers takes it as whether to scale, and ties always
        attn_implementation="eager",
    )
    model = transformers.T5ForConditionalGeneration(config).double().eval()
    if not tied:
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    double_norms(model)
    rng = np.random.default_rng(30)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            centre = 1.0 if "norm" in name else 0.1
            weight.copy_(torch.from_numpy(centre + 0.4 * rng.standard_normal(tuple(weight.shape))))
    return model


def batch(length: int) -> dict[str, np.ndarray]:
    """Ragged rows, the first as long as they get; some ids stand in the source, in the target and among the labels."""
    rng = np.random.default_rng(31)
    arrays = {}
    for side, width, lengths in (("encoder", length, [length, 3, 5]), ("decoder", length + 4, [length + 4, 2, 4])):
        ids = rng.integers(3, SIZES["vocabulary_size"], (3, width))
        ids[:, 1] = 11
        arrays[f"{side}_token_ids"] = ids
        arrays[f"{side}_padding_mask"] = np.arange(width) < np.array(lengths)[:, None]
    arrays["labels"] = np.roll(arrays["decoder_token_ids"], -1, axis=1)
    arrays["weights"] = arrays["decoder_padding_mask"] * np.array([[1.0], [0.5], [2.0]])
    return arrays


def write(name: str) -> None:
    """One file."""
    kind, length, projection = MODELS[name]
    model, arrays = build(kind["tie_embedding_weights"], projection), batch(length)
    t = {key: torch.from_numpy(value) for key, value in arrays.items()}
    logits = model(
        input_ids=t["encoder_token_ids"],
        attention_mask=t["encoder_padding_mask"].long(),
        decoder_input_ids=t["decoder_token_ids"],
        decoder_attention_mask=t["decoder_padding_mask"].long(),
    ).logits
    each = torch.nn.functional.cross_entropy(logits.flatten(0, 1), t["labels"].flatten(), reduction="none")
    loss = (each * t["weights"].flatten()).sum() / each.numel()
    loss.backward()
    parameters = dict(model.named_parameters())
    tensors = {f"batch/{key}": np.ascontiguousarray(value) for key, value in arrays.items()}
    tensors |= {"logits": logits.detach().numpy(), "loss": loss.detach().numpy().reshape(1)}
    for ours, theirs in their_names(kind["use_gated_activation"], kind["tie_embedding_weights"]).items():
        for what, array in (("weight", parameters[theirs].detach()), ("gradient", parameters[theirs].grad)):
            turned = array.T if ours.endswith(("kernel", "reverse_embeddings")) else array
            tensors[f"{what}/{ours}"] = np.ascontiguousarray(turned.numpy())
    about = {
        "producer": f"torch {torch.__version__}, transformers {transformers.__version__}, float64",
        "config": SIZES | kind,
    }
    path = (Path(sys.argv[1]) / "steps" if len(sys.argv) > 1 else OUT) / f"{name}.safetensors"
    save_file(tensors, path, {"about": json.dumps(about)})
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    for found in MODELS:
        write(found)
