"""What the makers of gradients share: adversarial weights, a ragged batch, one weighted loss, and the file."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

STEPS = Path(__file__).parents[2] / "golden" / "training" / "steps"


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


def write(
    name: str,
    model: Any,
    arrays: dict[str, np.ndarray],
    names: dict[str, str],
    to_ours: Callable[[str, np.ndarray], np.ndarray],
    config: dict[str, Any],
) -> None:
    """Batch, logits, loss, weights and gradients. `names` are KerasHub's weights -> those of transformers."""
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
    for ours, theirs in names.items():
        weight = parameters[theirs]
        tensors[f"weight/{ours}"] = np.ascontiguousarray(to_ours(ours, weight.detach().numpy()))
        tensors[f"gradient/{ours}"] = np.ascontiguousarray(to_ours(ours, weight.grad.numpy()))
    producer = f"torch {torch.__version__}, transformers {transformers.__version__}, float64"
    path = (Path(sys.argv[1]) / "steps" if len(sys.argv) > 1 else STEPS) / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, {"about": json.dumps({"producer": producer, "config": config})})
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size} bytes")
