"""Moonshine's weights, and where each stands in files.

Source: keras-hub 0.32.0 models/moonshine (shapes, initializers, order of creation); transformers 5.23
    modeling_moonshine.py (names of the modules)
"""

from functools import partial, reduce
from typing import Any

import numpy as np

from refimpl.presets.layout import Layout, Place
from refimpl.random import truncated_normal

STEM = ((127, 64), (7, 3), (3, 2))  # window and stride of the three convolutions
WINDOW = reduce(lambda seen, each: (seen - 1) * each[1] + each[0], reversed(STEM), 1)  # samples behind one frame


def layout(config: Any) -> Layout:
    """Every weight of a `MoonshineConfig`, in KerasHub's order. Frequencies are no tensors, and never learned.

    Spec: models.weights.order, models.moonshine.initializers
    """
    width, model = config.hidden_dim, "model.encoder"
    for n, (inputs, outputs) in enumerate(((1, width), (width, 2 * width), (2 * width, width))):
        place = Place(f"conv{n + 1}", f"layers/conv1d{f'_{n}' if n else ''}", f"{model}.conv{n + 1}")
        yield place.weight((STEM[n][0], inputs, outputs), _normal(config), "kernel", inputs=2, mirrored=True)
        if n:
            yield place.weight((outputs,), np.zeros, "bias", 1)
        else:
            place = Place("group_norm", "layers/group_normalization", f"{model}.groupnorm")
            yield from (_gain(config, place), place.weight((width,), np.zeros, "beta", 1))
    table = Place("token_embedding", "layers/reversible_embedding", "model.decoder.embed_tokens")
    yield table.weight((config.vocabulary_size, width), _normal(config), "embeddings", also=("proj_out",))
    for side, second in (("encoder", ""), ("decoder", "_1")):
        place = Place(f"{side}_rotary_embedding", f"layers/moonshine_rotary_embedding{second}", "")
        yield place.weight((config.pairs(side),), partial(_frequencies, config), "inv_freq")
    for side, second in (("encoder", ""), ("decoder", "_1")):
        for n in range(config.side(side, "num_layers")):
            keras = f"layers/moonshine_{side}_block{f'_{n}' if n else ''}"
            yield from _layer(config, side, Place(f"{side}_block_{n}", keras, f"model.{side}.layers.{n}"))
        name, torch = ("encoder_final_layer_norm", "layer_norm") if side == "encoder" else ("decoder_post_norm", "norm")
        yield _gain(config, Place(name, f"layers/layer_normalization{second}", f"model.{side}.{torch}"))


def _layer(c: Any, side: str, layer: Place) -> Layout:
    """A norm before each part; KerasHub's encoder makes both after its attention."""
    width, inner = (c.hidden_dim,), (c.hidden_dim * c.feedforward_expansion_factor,)
    if side == "encoder":
        yield from _attention(c, side, layer.at("self_attention", "self_attn", "self_attention_layer"))
        yield _gain(c, layer.at("self_attention_layer_norm", "input_layernorm"))
        yield _gain(c, layer.at("feedforward_layer_norm", "post_attention_layernorm"))
    else:
        yield _gain(c, layer.at("self_attention_layer_norm", "input_layernorm", "norm1"))
        yield from _attention(c, side, layer.at("self_attention", "self_attn"))
        yield _gain(c, layer.at("cross_attention_layer_norm", "post_attention_layernorm", "norm2"))
        yield from _attention(c, side, layer.at("cross_attention", "encoder_attn"))
        yield _gain(c, layer.at("feedforward_layer_norm", "final_layernorm", "norm3"))
    gated, part = c.side(side, "use_swiglu_activation"), "feedforward" if side == "encoder" else "ff"
    for n, inputs, outputs in ((1, width, (inner[0] * (1 + gated),)), (2, inner, width)):
        place = layer.at(f"feedforward/dense_{n}", f"mlp.fc{n}", f"{part}/dense_{n}")
        yield from place.dense(inputs, outputs, _normal(c), bias=True)


def _attention(c: Any, side: str, place: Place) -> Layout:
    """The four projections."""
    width, heads = (c.hidden_dim,), (c.side(side, "num_heads"), c.depth(side))
    for name in ("query", "key", "value"):
        part = place.at(name, f"{name[0]}_proj", f"{name}_dense")
        yield from part.dense(width, heads, _normal(c), c.attention_bias)
    yield from place.at("attention_output", "o_proj", "output_dense").dense(heads, width, _normal(c), c.attention_bias)


def _gain(c: Any, place: Place) -> Any:
    return place.weight((c.hidden_dim,), np.ones, "gamma")


def _normal(c: Any) -> Any:
    return partial(truncated_normal, stddev=c.initializer_range)


def _frequencies(c: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The frequency of each pair. Spec: models.moonshine.rotary"""
    return c.rope_theta ** (-np.arange(shape[0]) / shape[0])
