"""BART's weights, and where each stands in files.

Source: keras-hub 0.32.0 models/bart (shapes, initializers, order of creation); keras 3.15.1 saving_lib.py (layers are
    numbered by class); transformers 5.23 modeling_bart.py (names of the modules)
"""

from functools import partial
from typing import Any

import numpy as np

from refimpl.presets.layout import Layout, Place
from refimpl.random import truncated_normal

NORMAL = partial(truncated_normal, stddev=0.02)
_COPIES = ("model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head")  # of the table, where a file has them


def layout(config: Any) -> Layout:
    """Every weight of a `BartConfig`, in KerasHub's order on JAX and TensorFlow.

    Spec: models.weights.order, models.weights.initializers, presets.save.hdf5-layout, presets.transformers.weights
    """
    tokens, positions = ((n, config.hidden_dim) for n in (config.vocabulary_size, config.max_sequence_length))
    table = Place("token_embedding", "layers/reversible_embedding", "model.shared")
    yield table.weight(tokens, NORMAL, "embeddings", also=_COPIES)
    for side, second in (("encoder", ""), ("decoder", "_1")):
        model = f"model.{side}"
        place = Place(f"{side}_position_embedding", f"layers/position_embedding{second}", f"{model}.embed_positions")
        yield place.weight(positions, NORMAL, "embeddings", skipped=2)  # PyTorch's keeps two rows before position 0
        place = Place(f"{side}_embeddings_layer_norm", f"layers/layer_normalization{second}", model)
        yield from _norm(config, place._replace(torch=f"{model}.layernorm_embedding"))
        for n in range(config.num_layers):
            keras = f"layers/transformer_{side}{f'_{n}' if n else ''}"
            yield from _layer(config, side, Place(f"transformer_{side}_layer_{n}", keras, f"{model}.layers.{n}"))


def _layer(c: Any, side: str, layer: Place) -> Layout:
    """In the decoder also attention to the source; in the encoder KerasHub makes the last norm before what it norms."""
    width, inner = (c.hidden_dim,), (c.intermediate_dim,)
    yield from _attention(c, "self_attention", "self_attn", layer)
    if side == "decoder":
        yield from _attention(c, "cross_attention", "encoder_attn", layer)
    norm = _norm(c, layer.at("feedforward_layer_norm", "final_layer_norm", "_feedforward_layer_norm"))
    yield from norm if side == "encoder" else ()
    for part, torch, inputs, outputs in (("intermediate", "fc1", width, inner), ("output", "fc2", inner, width)):
        name = f"feedforward_{part}_dense"
        yield from layer.at(name, torch, f"_{name}").dense(inputs, outputs, NORMAL, bias=True)
    yield from norm  # in the encoder it is used up


def _attention(c: Any, kind: str, torch: str, layer: Place) -> Layout:
    """The four projections and the norm after them."""
    width, heads = (c.hidden_dim,), (c.num_heads, c.head_dim)
    for name in ("query", "key", "value"):
        place = layer.at(f"{kind}/{name}", f"{torch}.{name[0]}_proj", f"_{kind}_layer/{name}_dense")
        yield from place.dense(width, heads, NORMAL, bias=True)
    place = layer.at(f"{kind}/attention_output", f"{torch}.out_proj", f"_{kind}_layer/output_dense")
    yield from place.dense(heads, width, NORMAL, bias=True)
    yield from _norm(c, layer.at(f"{kind}_layer_norm", f"{torch}_layer_norm", f"_{kind}_layer_norm"))


def _norm(c: Any, place: Place) -> Layout:
    """Gain and shift."""
    yield place.weight((c.hidden_dim,), np.ones, "gamma")
    yield place.weight((c.hidden_dim,), np.zeros, "beta", 1)
