"""Write golden/training/steps/*gradients.safetensors: every gradient of a whole BART, and of two T5, by PyTorch in
float64: adversarial weights, a ragged batch, one weighted loss.

Needs the `peers` extra: python -m conformance.make.training_gradients
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

from conformance.adapters import transformers_t5 as t5
from conformance.adapters.transformers import bart_config

STEPS = Path(__file__).parents[2] / "golden" / "training" / "steps"
SIZES: dict[str, Any] = {
    "vocabulary_size": 37, "num_layers": 2, "num_heads": 3, "hidden_dim": 12, "intermediate_dim": 20, "dropout": 0.0,
}  # fmt: skip
BART = SIZES | {"max_sequence_length": 17}
T5 = SIZES | {"key_value_dim": 5, "layer_norm_epsilon": 1e-6}
BART_PARTS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "attention_output": "out_proj"}
T5_PARTS = {"query_projector": "q", "key_projector": "k", "value_projector": "v", "output_projector": "o"}


@dataclass(frozen=True)
class Family:
    """How a model is built of a configuration, KerasHub's weight names -> those of transformers, and a tensor in
    KerasHub's layout; the seeds of weights and batch.
    """

    build: Callable[[dict[str, Any]], Any]
    their_names: Callable[[dict[str, Any]], dict[str, str]]
    to_ours: Callable[[str, np.ndarray], np.ndarray]
    seed: int


def bart_names(config: dict[str, Any]) -> dict[str, str]:
    """Kernels, biases, gains and shifts."""
    names = {"token_embedding/embeddings": "model.shared.weight"}
    for side in ("encoder", "decoder"):
        names[f"{side}_position_embedding/embeddings"] = f"model.{side}.embed_positions.weight"
        pairs = [(f"{side}_embeddings_layer_norm", f"model.{side}.layernorm_embedding")]
        for n in range(config["num_layers"]):
            ours, theirs = f"transformer_{side}_layer_{n}", f"model.{side}.layers.{n}"
            for kind, other in (("self_attention", "self_attn"), ("cross_attention", "encoder_attn")):
                if kind == "self_attention" or side == "decoder":
                    pairs += [(f"{ours}/{kind}/{a}", f"{theirs}.{other}.{b}") for a, b in BART_PARTS.items()]
                    pairs.append((f"{ours}/{kind}_layer_norm", f"{theirs}.{other}_layer_norm"))
            pairs.append((f"{ours}/feedforward_layer_norm", f"{theirs}.final_layer_norm"))
            pairs.append((f"{ours}/feedforward_intermediate_dense", f"{theirs}.fc1"))
            pairs.append((f"{ours}/feedforward_output_dense", f"{theirs}.fc2"))
        for a, b in pairs:
            first, second = ("gamma", "beta") if "norm" in a else ("kernel", "bias")
            names |= {f"{a}/{first}": f"{b}.weight", f"{a}/{second}": f"{b}.bias"}
    return names


def bart_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Kernels as input x output, heads split, no rows before the first position."""
    width, heads = SIZES["hidden_dim"], SIZES["num_heads"]
    if "position_embedding" in name:
        return array[2:]
    if name.endswith("kernel"):
        array = array.T
    if "/query/" in name or "/key/" in name or "/value/" in name:
        array = array.reshape(*array.shape[:-1], heads, width // heads)
    if name.endswith("attention_output/kernel"):
        array = array.reshape(heads, width // heads, width)
    return array


def bart(config: dict[str, Any]) -> Any:
    """With random weights."""
    return transformers.BartForConditionalGeneration(bart_config(transformers, config))


def t5_names(config: dict[str, Any]) -> dict[str, str]:
    """Kernels and gains; the table of distances stands in the first layer."""
    names = {"token_embedding/embeddings": "shared"}
    if not config["tie_embedding_weights"]:
        names["token_embedding/reverse_embeddings"] = "lm_head"
    inner = {"input_projector": "wi"}
    if config["use_gated_activation"]:
        inner = {"input_projector": "wi_0", "gate_projector": "wi_1"}
    for side in ("encoder", "decoder"):
        kinds = [("self_attention", "SelfAttention"), ("cross_attention", "EncDecAttention")]
        names[f"{side}_output_layer_norm/weight"] = f"{side}.final_layer_norm"
        bias = f"transformer_{side}_layer_0/self_attention/relative_attention_bias"
        names[bias] = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"
        for n in range(config["num_layers"]):
            ours, theirs = f"transformer_{side}_layer_{n}", f"{side}.block.{n}.layer"
            used = kinds if side == "decoder" else kinds[:1]
            for place, (kind, other) in enumerate(used):
                names |= {f"{ours}/{kind}/{a}/kernel": f"{theirs}.{place}.{other}.{b}" for a, b in T5_PARTS.items()}
                names[f"{ours}/{kind}_layer_norm/weight"] = f"{theirs}.{place}.layer_norm"
            last = f"{theirs}.{len(used)}"
            for a, b in (inner | {"output_projector": "wo"}).items():
                names[f"{ours}/{a}/kernel"] = f"{last}.DenseReluDense.{b}"
            names[f"{ours}/layer_norm/weight"] = f"{last}.layer_norm"
    return {ours: f"{theirs}.weight" for ours, theirs in names.items()}


def t5_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Kernels as input x output."""
    return array.T if name.endswith(("kernel", "reverse_embeddings")) else array


def t5_model(config: dict[str, Any]) -> Any:
    """Its norms are in float64 too."""
    model = transformers.T5ForConditionalGeneration(t5.config_of(transformers, config))
    if not config["tie_embedding_weights"]:
        t5.untie(torch, model)
    t5.double_norms(model)
    return model


def adversarial(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """The model in float64, with weights that hide nothing: no zeros, no ones, gains far from 1."""
    model = model.double().eval()
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.1
            weight.copy_(torch.from_numpy(centre + 0.4 * rng.standard_normal(tuple(weight.shape))))
    return model


def ragged(seed: int, vocabulary: int, lengths: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """Rows of three lengths, the first the longest; some ids stand in the source, in the target and in the labels."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for side, used in lengths.items():
        ids = rng.integers(3, vocabulary, (3, used[0]))
        ids[:, 1] = 11
        arrays[f"{side}_token_ids"] = ids
        arrays[f"{side}_padding_mask"] = np.arange(used[0]) < np.array(used)[:, None]
    arrays["labels"] = np.roll(arrays["decoder_token_ids"], -1, axis=1)
    arrays["weights"] = arrays["decoder_padding_mask"] * np.array([[1.0], [0.5], [2.0]])
    return arrays


def write(name: str, family: Family, config: dict[str, Any], lengths: dict[str, list[int]]) -> None:
    """Batch, logits, loss, weights and gradients."""
    model = adversarial(family.build(config), family.seed)
    arrays = ragged(family.seed + 1, config["vocabulary_size"], lengths)
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
    for ours, theirs in family.their_names(config).items():
        weight = parameters[theirs]
        tensors[f"weight/{ours}"] = np.ascontiguousarray(family.to_ours(ours, weight.detach().numpy()))
        tensors[f"gradient/{ours}"] = np.ascontiguousarray(family.to_ours(ours, weight.grad.numpy()))
    producer = f"torch {torch.__version__}, transformers {transformers.__version__}, float64"
    path = (Path(sys.argv[1]) / "steps" if len(sys.argv) > 1 else STEPS) / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"about": json.dumps({"producer": producer, "config": config})})
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")


if __name__ == "__main__":
    of_bart, of_t5 = Family(bart, bart_names, bart_layout, 20), Family(t5_model, t5_names, t5_layout, 30)
    plain = {"activation": "relu", "use_gated_activation": False, "tie_embedding_weights": True}
    gated = {"activation": "gelu_approximate", "use_gated_activation": True, "tie_embedding_weights": False}
    write("bart_gradients", of_bart, BART, {"encoder": [7, 3, 5], "decoder": [5, 2, 4]})
    # T5 1.0 with sequences beyond the maximal distance of 128, and T5 1.1.
    write("t5_gradients", of_t5, T5 | plain, {"encoder": [139, 3, 5], "decoder": [143, 2, 4]})
    write("t5_gated_gradients", of_t5, T5 | gated, {"encoder": [7, 3, 5], "decoder": [11, 2, 4]})
