"""Write golden/training/steps/bart_gradients.safetensors: every gradient of a whole BART by PyTorch in float64.

Needs the `peers` extra: python -m conformance.make.training_gradients
"""

import numpy as np
import transformers

from conformance.make.gradients import adversarial, ragged, write

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


def build() -> transformers.PreTrainedModel:
    """The model of CONFIG."""
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
    return adversarial(transformers.BartForConditionalGeneration(config), 20)


if __name__ == "__main__":
    batch = ragged(21, CONFIG["vocabulary_size"], {"encoder": [7, 3, 5], "decoder": [5, 2, 4]})
    write("bart_gradients", build(), batch, their_names(), to_ours, CONFIG)
