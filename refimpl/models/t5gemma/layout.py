"""T5Gemma's weights, and where each stands in files.

Source: keras-hub 0.32.0 models/t5gemma (shapes, initializers, order of creation); transformers 5.23
    modeling_t5gemma.py (names of the modules)
"""

from functools import partial
from typing import Any

import numpy as np

from refimpl.presets.layout import Layout, Place, Weight
from refimpl.random import random_normal


def layout(config: Any) -> Layout:
    """Every weight of a `T5GemmaConfig`, in KerasHub's order on JAX and TensorFlow.

    Spec: models.weights.order, models.t5gemma.initializers
    """
    normal, size, tied = _normal(config), config.vocabulary_size, config.tie_word_embeddings
    table = Place("encoder_token_embedding", "layers/embedding", "model.encoder.embed_tokens")
    yield table.weight((size, config.encoder_hidden_dim), normal, "embeddings")
    table = Place("decoder_token_embedding", "layers/reversible_embedding", "model.decoder.embed_tokens")
    shape = (size, config.decoder_hidden_dim)
    yield table.weight(shape, normal, "embeddings", also=("lm_head.out_proj",) if tied else ())
    if not tied:
        yield table._replace(torch="lm_head.out_proj").weight(shape[::-1], normal, "reverse_embeddings", 1, inputs=1)
    for side, second in (("encoder", ""), ("decoder", "_1")):
        for n in range(config.side(side, "num_layers")):
            keras = f"layers/t5_gemma_{side}_layer{f'_{n}' if n else ''}"
            yield from _layer(config, side, Place(f"{side}_layer_{n}", keras, f"model.{side}.layers.{n}"))
        yield _norm(config, side, Place(f"{side}_norm", f"layers/rms_normalization{second}", f"model.{side}.norm"))


def _layer(c: Any, side: str, layer: Place) -> Layout:
    """Attention to what is beside it, in the decoder to the source, and the feed-forward; two norms around each."""
    for kind in ("self", "cross") if side == "decoder" else ("self",):
        yield from _attention(c, side, kind, layer)
        yield from _norms(c, side, layer, f"{kind}_attention", f"{kind}_attn")
    width, inner = (c.side(side, "hidden_dim"),), (c.side(side, "intermediate_dim"),)
    for name, inputs, outputs in (("gate", width, inner), ("up", width, inner), ("down", inner, width)):
        yield from layer.at(f"mlp/{name}_proj", f"mlp.{name}_proj").dense(inputs, outputs, _normal(c))
    yield from _norms(c, side, layer, "feedforward", "feedforward")


def _attention(c: Any, side: str, kind: str, layer: Place) -> Layout:
    """The four projections; keys and values come from the encoder's width where the source is attended to."""
    width, depth = (c.side(side, "hidden_dim"),), c.side(side, "head_dim")
    heads, shared = ((c.side(side, f"num_{name}_heads"), depth) for name in ("attention", "key_value"))
    source = width if kind == "self" else (c.encoder_hidden_dim,)
    for name, inputs, outputs in (
        ("query", width, heads), ("key", source, shared), ("value", source, shared), ("output", heads, width),
    ):  # fmt: skip
        place = layer.at(f"{kind}_attention/{name}", f"{kind}_attn.{name[0]}_proj", f"{kind}_attn/{name}_dense")
        yield from place.dense(inputs, outputs, _normal(c), c.attention_bias)


def _norms(c: Any, side: str, layer: Place, name: str, theirs: str) -> Layout:
    """The norms before and after a part."""
    for where in ("pre", "post"):
        place = layer.at(f"{where}_{name}_norm", f"{where}_{theirs}_layernorm", f"{where}_{theirs}_layernorm")
        yield _norm(c, side, place)


def _norm(c: Any, side: str, place: Place) -> Weight:
    """A gain, kept as what it is above 1."""
    return place.weight((c.side(side, "hidden_dim"),), np.zeros, "scale")


def _normal(c: Any) -> Any:
    return partial(random_normal, stddev=c.initializer_range)
