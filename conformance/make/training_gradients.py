"""Write golden/training/steps/bart_gradients.safetensors: every gradient of a whole BART by PyTorch in float64.

Needs the `peers` extra: python conformance/make/training_gradients.py
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

OUT = Path(__file__).parents[2] / "golden" / "training" / "steps" / "bart_gradients.safetensors"
CONFIG = {
    "vocabulary_size": 37,
    "num_layers": 2,
    "num_heads": 3,
    "hidden_dim": 12,
    "intermediate_dim": 20,
    "dropout": 0.0,
    "max_sequence_length": 17,
}
PARTS = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "attention_output": "out_proj"}


def their_names() -> dict[str, str]:
    """KerasHub's weight names -> those of transformers."""
    names = {"token_embedding/embeddings": "model.shared.weight"}
    for side in ("encoder", "decoder"):
        names[f"{side}_position_embedding/embeddings"] = f"model.{side}.embed_positions.weight"
        pairs = [(f"{side}_embeddings_layer_norm", f"model.{side}.layernorm_embedding")]
        for n in range(CONFIG["num_layers"]):
            ours, theirs = f"transformer_{side}_layer_{n}", f"model.{side}.layers.{n}"
            for kind, other in (("self_attention", "self_attn"), ("cross_attention", "encoder_attn")):
                if kind == "self_attention" or side == "decoder":
                    pairs += [(f"{ours}/{kind}/{a}", f"{theirs}.{other}.{b}") for a, b in PARTS.items()]
                    pairs.append((f"{ours}/{kind}_layer_norm", f"{theirs}.{other}_layer_norm"))
            pairs.append((f"{ours}/feedforward_layer_norm", f"{theirs}.final_layer_norm"))
            pairs.append((f"{ours}/feedforward_intermediate_dense", f"{theirs}.fc1"))
            pairs.append((f"{ours}/feedforward_output_dense", f"{theirs}.fc2"))
        for a, b in pairs:
            first, second = ("gamma", "beta") if "norm" in a else ("kernel", "bias")
            names |= {f"{a}/{first}": f"{b}.weight", f"{a}/{second}": f"{b}.bias"}
    return names


def to_ours(name: str, array: np.ndarray) -> np.ndarray:
    """A tensor in KerasHub's layout: kernels as input x output, heads split, no rows before the first position."""
    width, heads = CONFIG["hidden_dim"], CONFIG["num_heads"]
    if "position_embedding" in name:
        return array[2:]
    if name.endswith("kernel"):
        array = array.T
    if "/query/" in name or "/key/" in name or "/value/" in name:
        array = array.reshape(*array.shape[:-1], heads, width // heads)
    if name.endswith("attention_output/kernel"):
        array = array.reshape(heads, width // heads, width)
    return array


def build() -> torch.nn.Module:
    """A model with weights that hide nothing: no zeros, no ones, gains far from 1."""
    config = transformers.BartConfig(
        vocab_size=CONFIG["vocabulary_size"],
        d_model=CONFIG["hidden_dim"],
        encoder_layers=CONFIG["num_layers"],
        decoder_layers=CONFIG["num_layers"],
        encoder_attention_heads=CONFIG["num_heads"],
        decoder_attention_heads=CONFIG["num_heads"],
        encoder_ffn_dim=CONFIG["intermediate_dim"],
        decoder_ffn_dim=CONFIG["intermediate_dim"],
        max_position_embeddings=CONFIG["max_sequence_length"],
        attn_implementation="eager",
    )
    model = transformers.BartForConditionalGeneration(config).double().eval()
    rng = np.random.default_rng(20)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.1
            weight.copy_(torch.from_numpy(centre + 0.4 * rng.standard_normal(tuple(weight.shape))))
    return model


def batch() -> dict[str, np.ndarray]:
    """Ragged rows; some ids stand in the source, in the target and among the labels."""
    rng = np.random.default_rng(21)
    widths = {"encoder": (7, [7, 3, 5]), "decoder": (5, [5, 2, 4])}
    arrays = {}
    for side, (width, lengths) in widths.items():
        ids = rng.integers(3, CONFIG["vocabulary_size"], (3, width))
        ids[:, 1] = 11
        arrays[f"{side}_token_ids"] = ids
        arrays[f"{side}_padding_mask"] = np.arange(width) < np.array(lengths)[:, None]
    arrays["labels"] = np.roll(arrays["decoder_token_ids"], -1, axis=1)
    arrays["weights"] = arrays["decoder_padding_mask"] * np.array([[1.0], [0.5], [2.0]])
    return arrays


def main() -> None:
    model, arrays = build(), batch()
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
    for name, theirs in their_names().items():
        weight = parameters[theirs]
        tensors[f"weight/{name}"] = np.ascontiguousarray(to_ours(name, weight.detach().numpy()))
        tensors[f"gradient/{name}"] = np.ascontiguousarray(to_ours(name, weight.grad.numpy()))
    producer = f"torch {torch.__version__}, transformers {transformers.__version__}, float64"
    out = Path(sys.argv[1]) / "steps" / OUT.name if len(sys.argv) > 1 else OUT
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out, {"about": json.dumps({"producer": producer, "config": CONFIG})})
    print(f"{out.name}: {len(tensors)} tensors, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
