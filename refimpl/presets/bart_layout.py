"""Where BART's weights stand in files: KerasHub's HDF5 datasets, and the tensors of transformers.

Source: keras 3.15.1 saving_lib.py (layers are numbered by class in the order of the functional graph);
    transformers 5.23 modeling_bart.py (names of the modules)
"""

import re

from refimpl.presets.tensor_place import TensorPlace

_EMBEDDINGS = {
    "token_embedding": "reversible_embedding",
    "encoder_position_embedding": "position_embedding",
    "decoder_position_embedding": "position_embedding_1",
    "encoder_embeddings_layer_norm": "layer_normalization",
    "decoder_embeddings_layer_norm": "layer_normalization_1",
}
_PARTS = {
    "self_attention": "_self_attention_layer",
    "cross_attention": "_cross_attention_layer",
    "query": "query_dense",
    "key": "key_dense",
    "value": "value_dense",
    "attention_output": "output_dense",
}
_VARIABLES = {"embeddings": "0", "kernel": "0", "gamma": "0", "bias": "1", "beta": "1"}

# The embedding table stands under one of these names; the others are copies of it, where a file holds them.
TABLE_NAMES = (
    "model.shared.weight",
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "lm_head.weight",
)
# PyTorch's BART keeps two rows before position 0.
_POSITION_ROWS = 2
_MODULES = {
    "self_attention": "self_attn",
    "cross_attention": "encoder_attn",
    "self_attention_layer_norm": "self_attn_layer_norm",
    "cross_attention_layer_norm": "encoder_attn_layer_norm",
    "feedforward_layer_norm": "final_layer_norm",
    "feedforward_intermediate_dense": "fc1",
    "feedforward_output_dense": "fc2",
    "query": "q_proj",
    "key": "k_proj",
    "value": "v_proj",
    "attention_output": "out_proj",
}
_PARAMETERS = {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias"}


def hdf5_place(name: str) -> str:
    """`transformer_encoder_layer_1/self_attention/query/bias` -> `layers/transformer_encoder_1/.../vars/1`.

    Spec: presets.save.hdf5-layout
    """
    layer, *parts, variable = name.split("/")
    numbered = re.fullmatch(r"(transformer_(?:en|de)coder)_layer_(\d+)", layer)
    if numbered:
        stack, number = numbered.groups()
        place = [stack if number == "0" else f"{stack}_{number}"]
        place += [_PARTS.get(part, f"_{part}") for part in parts]
    else:
        place = [_EMBEDDINGS[layer]]
    return "/".join(["layers", *place, "vars", _VARIABLES[variable]])


def tensor_place(name: str) -> TensorPlace:
    """`transformer_encoder_layer_1/self_attention/query/bias` -> `model.encoder.layers.1.self_attn.q_proj.bias`.

    Spec: presets.transformers.weights
    """
    layer, *parts, variable = name.split("/")
    if layer == "token_embedding":
        return TensorPlace(TABLE_NAMES)
    side = "encoder" if "encoder" in layer else "decoder"
    if layer.endswith("position_embedding"):
        return TensorPlace((f"model.{side}.embed_positions.weight",), skipped=_POSITION_ROWS)
    if layer.endswith("embeddings_layer_norm"):
        return TensorPlace((f"model.{side}.layernorm_embedding.{_PARAMETERS[variable]}",))
    number = layer.rpartition("_")[2]
    path = ".".join([f"model.{side}.layers", number, *(_MODULES[part] for part in parts), _PARAMETERS[variable]])
    inputs = 0 if variable != "kernel" else 2 if parts[-1] == "attention_output" else 1
    return TensorPlace((path,), inputs=inputs)
