"""Where T5's weights stand in files: KerasHub's HDF5 datasets, and the tensors of transformers.

Source: keras 3.15.1 saving_lib.py (layers are numbered by class in the order of the functional graph);
    transformers 5.23 modeling_t5.py (names of the modules)
"""

import re
from typing import Any

from refimpl.presets.tensor_place import TensorPlace

# The embedding table stands under one of these names; the others are copies of it, where a file holds them.
TABLE_NAMES = ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
_HEAD = "lm_head.weight"
_TOP = {
    "token_embedding/embeddings": "reversible_embedding/vars/0",
    "token_embedding/reverse_embeddings": "reversible_embedding/vars/1",
    "encoder_output_layer_norm/weight": "t5_layer_norm/vars/0",
    "decoder_output_layer_norm/weight": "t5_layer_norm_1/vars/0",
}
_PROJECTIONS = {"query_projector": "q", "key_projector": "k", "value_projector": "v", "output_projector": "o"}
_APPROXIMATE = "keras_hub>gelu_approximate"


def hdf5_place(name: str, layers: int) -> str:
    """`transformer_decoder_layer_1/layer_norm/weight`, of 6 layers -> `layers/t5_transformer_layer_7/layer_norm/vars/0`

    Spec: presets.save.hdf5-layout
    """
    if name in _TOP:
        return f"layers/{_TOP[name]}"
    layer, *parts, _ = name.split("/")
    side, number = _layer(layer)
    place = number + (layers if side == "decoder" else 0)
    return "/".join(["layers", "t5_transformer_layer" + (f"_{place}" if place else ""), *parts, "vars/0"])


def tensor_place(name: str, tied: bool, gated: bool) -> TensorPlace:
    """`transformer_decoder_layer_1/layer_norm/weight` -> `decoder.block.1.layer.2.layer_norm.weight`.

    Spec: presets.transformers.weights
    """
    layer, *parts, variable = name.split("/")
    if layer == "token_embedding":
        if variable == "reverse_embeddings":
            return TensorPlace((_HEAD,), inputs=1, instead=TABLE_NAMES[0])
        return TensorPlace((*TABLE_NAMES, _HEAD) if tied else TABLE_NAMES)
    if layer.endswith("output_layer_norm"):
        return TensorPlace((f"{layer.partition('_')[0]}.final_layer_norm.weight",))
    side, number = _layer(layer)
    part, last = parts[0], 1 if side == "encoder" else 2
    place = 0 if part.startswith("self") else 1 if part.startswith("cross") else last
    block = f"{side}.block.{number}.layer.{place}"
    if parts[-1].endswith("layer_norm"):
        return TensorPlace((f"{block}.layer_norm.weight",))
    if len(parts) == 1 and place == last:
        names = {"input_projector": "wi_0" if gated else "wi", "gate_projector": "wi_1", "output_projector": "wo"}
        module = f"DenseReluDense.{names[part]}"
    else:
        names = _PROJECTIONS | {"self_attention": variable}
        module = f"{'SelfAttention' if place == 0 else 'EncDecAttention'}.{names[parts[-1]]}"
    return TensorPlace((f"{block}.{module}.weight",), inputs=1 if variable == "kernel" else 0)


def _layer(name: str) -> tuple[str, int]:
    """`transformer_decoder_layer_3` -> `decoder`, 3."""
    found = re.fullmatch(r"transformer_(encoder|decoder)_layer_(\d+)", name)
    assert found, name
    return found[1], int(found[2])


def activation_name(activation: Any) -> Any:
    """An activation's name, from how Keras writes it: a string, or a dictionary for a function of KerasHub's own."""
    if isinstance(activation, dict):
        activation = activation.get("config")
    if not isinstance(activation, str):
        return activation
    short = activation.removeprefix("keras_hub>")
    return "silu" if short == "swish" else short


def serialized_activation(name: str) -> Any:
    """An activation as Keras writes it; `activation_name` is the way back."""
    if name != "gelu_approximate":
        return name
    return {"module": "builtins", "class_name": "function", "config": _APPROXIMATE, "registered_name": "function"}
