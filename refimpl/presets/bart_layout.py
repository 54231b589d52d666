"""Where BART's weights stand in files: KerasHub's HDF5 datasets.

Source: keras 3.15.1 saving_lib.py (layers are numbered by class in the order of the functional graph)
"""

import re

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
