"""T5's weights, and where each stands in files.

Source: keras-hub 0.32.0 models/t5 (shapes, initializers, order of creation); keras 3.15.1 saving_lib.py (layers are
    numbered by class); transformers 5.23 modeling_t5.py (names of the modules)
"""

from functools import partial
from typing import Any

import numpy as np

from refimpl.models.positions import BUCKETS
from refimpl.presets.layout import Layout, Place
from refimpl.random import random_normal, truncated_normal

_COPIES = ("encoder.embed_tokens", "decoder.embed_tokens")  # of the embedding table, where a file holds them


def layout(config: Any) -> Layout:
    """Every weight of a `T5Config`, in KerasHub's order. The table's deviation is the paper's 1, KerasHub's is not.

    Spec: models.weights.order, models.t5.initializers, presets.save.hdf5-layout, presets.transformers.weights
    """
    shape, tied = (config.vocabulary_size, config.hidden_dim), config.tie_embedding_weights
    normal = _normal(1, truncated_normal)
    table = Place("token_embedding", "layers/reversible_embedding", "shared")
    yield table.weight(shape, normal, "embeddings", also=(*_COPIES, "lm_head") if tied else _COPIES)
    if not tied:
        head = table._replace(torch="lm_head")
        yield head.weight(shape[::-1], normal, "reverse_embeddings", 1, inputs=1, instead="shared.weight")
    for side, second in (("encoder", ""), ("decoder", "_1")):
        for n in range(config.num_layers):
            number = n + (config.num_layers if second else 0)  # KerasHub has one class for both sides
            keras = f"layers/t5_transformer_layer{f'_{number}' if number else ''}"
            yield from _layer(config, n, side, Place(f"transformer_{side}_layer_{n}", keras, f"{side}.block.{n}.layer"))
        final = Place(f"{side}_output_layer_norm", f"layers/t5_layer_norm{second}", f"{side}.final_layer_norm")
        yield final.weight((config.hidden_dim,), np.ones, "weight")


def _layer(c: Any, n: int, side: str, layer: Place) -> Layout:
    """Attention to what is beside it, in the decoder to the source, and the feed-forward: parts 0, 1 and 2."""
    if n == 0:
        table = layer.at("self_attention", "0.SelfAttention.relative_attention_bias")
        yield table.weight((BUCKETS, c.num_heads), _normal(c.num_heads * c.head_dim), "relative_attention_bias")
    yield from _attention(c, "self_attention", "0", "SelfAttention", layer)
    if side == "decoder":
        yield from _attention(c, "cross_attention", "1", "EncDecAttention", layer)
    width, inner, part = (c.hidden_dim,), (c.intermediate_dim,), "1" if side == "encoder" else "2"
    gated = (("input", "wi_0"), ("gate", "wi_1"))
    for name, torch in gated if c.use_gated_activation else (("input", "wi"),):
        place = layer.at(f"{name}_projector", f"{part}.DenseReluDense.{torch}")
        yield from place.dense(width, inner, _normal(*width))
    yield from layer.at("output_projector", f"{part}.DenseReluDense.wo").dense(inner, width, _normal(*inner))
    yield layer.at("layer_norm", f"{part}.layer_norm").weight(width, np.ones, "weight")


def _attention(c: Any, kind: str, part: str, torch: str, layer: Place) -> Layout:
    """The four projections, and the norm before them. Scores are not divided, the query's first weights are."""
    width, inner = (c.hidden_dim,), (c.num_heads * c.head_dim,)
    for name in ("query", "key", "value", "output"):
        inputs, outputs = (inner, width) if name == "output" else (width, inner)
        divided = c.head_dim if name == "query" else 1
        place = layer.at(f"{kind}/{name}_projector", f"{part}.{torch}.{name[0]}")
        yield from place.dense(inputs, outputs, _normal(inner[0] * divided))
    yield layer.at(f"{kind}_layer_norm", f"{part}.layer_norm").weight(width, np.ones, "weight")


def _normal(size: int, draw: Any = random_normal) -> Any:
    """Normal numbers of the variance 1 / `size`."""
    return partial(draw, stddev=size**-0.5)
