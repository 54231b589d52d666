"""Moonshine: sound in, text out. Three convolutions turn samples into frames, the rest is a pre-norm encoder-decoder.

Source: Jeffries et al. 2024, "Moonshine: Speech Recognition for Live Transcription and Voice Commands"; keras-hub
    0.32.0 models/moonshine
Letters: B batch, N samples, S frames, T target length, E hidden, F intermediate, V vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from refimpl.autograd import ops
from refimpl.autograd.dropout import Dropout
from refimpl.models.attention import Array, Attention, View, keep, project
from refimpl.models.backbone import Backbone
from refimpl.models.config import Config, number, size, switch
from refimpl.models.encoder_decoder import Batch
from refimpl.models.inputs import as_samples, require_samples
from refimpl.models.moonshine.layout import STEM, WINDOW, layout
from refimpl.models.moonshine.transformers import FAMILY
from refimpl.models.weights import Scope
from refimpl.presets import register

EPSILON = 1e-5  # of all norms


@dataclass(frozen=True)
class MoonshineConfig(Config):
    """What Moonshine is built from. `intermediate_dim` and `max_position_embeddings` change nothing, as in KerasHub.

    Spec: models.moonshine.config
    """

    clause = "models.moonshine.config"
    vocabulary_size: int = size()
    filter_dim: int = size()
    encoder_num_layers: int = size(least=0)
    decoder_num_layers: int = size(least=0)
    hidden_dim: int = size()
    intermediate_dim: int = size()
    encoder_num_heads: int = size()
    decoder_num_heads: int = size()
    feedforward_expansion_factor: int = size(default=4)
    encoder_use_swiglu_activation: bool = switch(False)
    decoder_use_swiglu_activation: bool = switch(True)
    max_position_embeddings: int = size(default=2048)
    pad_head_dim_to_multiple_of: int | None = size(default=None)
    partial_rotary_factor: float = number(0.62)
    dropout: float = number(0.0, below=1.0)
    initializer_range: float = number(0.02)
    rope_theta: float = number(10000.0, least=1.0)
    attention_bias: bool = switch(False)
    attention_dropout: float = number(0.0, below=1.0)

    def depth(self, side: str) -> int:
        """The width of a head. Spec: models.moonshine.head-width"""
        width, multiple = self.hidden_dim // self.side(side, "num_heads"), self.pad_head_dim_to_multiple_of or 1
        return -(-width // multiple) * multiple

    def pairs(self, side: str) -> int:
        """How many pairs of a head turn. Spec: models.moonshine.rotary"""
        return int(self.depth(side) * self.partial_rotary_factor) // 2

    def rules(self) -> Iterator[tuple[str, bool]]:
        """What belongs together."""
        yield "filter_dim equals hidden_dim, as frames are the encoder's states", self.filter_dim == self.hidden_dim
        for side in ("encoder", "decoder"):
            rule = f"partial_rotary_factor leaves a pair of each {side} head to turn, and has no more than all"
            yield rule, 0 < 2 * self.pairs(side) <= self.depth(side)
        yield "attention_dropout is 0 or dropout, as refimpl has one", self.attention_dropout in (0.0, self.dropout)

    # What all architectures have a word for is the decoder's.
    num_layers = property(lambda self: self.decoder_num_layers)
    num_heads = property(lambda self: self.decoder_num_heads)
    head_dim = property(lambda self: self.depth("decoder"))


@register
class MoonshineBackbone(Backbone):
    """Moonshine's stem, encoder and decoder.

    Spec: models.moonshine.stem, models.moonshine.encoder-layer, models.moonshine.decoder-layer
    """

    module = "keras_hub.src.models.moonshine.moonshine_backbone"
    config_cls, family, layout = MoonshineConfig, FAMILY, staticmethod(layout)
    config: MoonshineConfig
    layer_name, source_key, inert_padding = "{}_block_{}", "encoder_input_values", False

    # -- sound -----------------------------------------------------------------------------------------------------
    def as_source(self, given: Any) -> np.ndarray:
        """Samples of one channel. Shapes: (B, N) or (B, N, 1) -> (B, N, 1)."""
        return as_samples(self.source_key, given, self.dtype)

    def checked_source(self, source: np.ndarray) -> np.ndarray:
        """There must be a frame. Spec: models.moonshine.audio-length"""
        require_samples(source, WINDOW)
        return source

    def source_length(self, columns: Any) -> Any:
        """How many whole frames so many samples give. Spec: models.moonshine.frames"""
        for window, stride in STEM:
            columns = (columns - window) // stride + 1
        return np.maximum(columns, 0)

    def encode_source(self, weights: Scope, batch: Batch, drop: Dropout = keep) -> tuple[Array, np.ndarray]:
        """Frames, and which of them are whole. Shapes: (B, N, 1) -> (B, S, E), (B, S). Spec: models.moonshine.stem"""
        x = ops.soft_cap(convolved(batch[self.source_key], weights["conv1"], STEM[0]), 1.0)  # tanh
        x = ops.gelu(convolved(self.group_norm(x, weights["group_norm"]), weights["conv2"], STEM[1]))
        x = ops.gelu(convolved(x, weights["conv3"], STEM[2]))
        return drop(x), self.whole_frames(batch["encoder_padding_mask"])

    def whole_frames(self, padding_mask: np.ndarray) -> np.ndarray:
        """As many frames as the number of a row's samples gives. Shapes: (B, N) -> (B, S) bool.

        Spec: models.moonshine.frames
        """
        frames, longest = self.source_length(padding_mask.sum(axis=1)), self.source_length(padding_mask.shape[1])
        return np.arange(longest) < frames[:, None]

    def group_norm(self, x: Array, weights: Scope) -> Array:
        """A norm over all frames and channels of a row, those of padding too. Spec: models.moonshine.group-norm"""
        flat = ops.reshape(x, (x.shape[0], -1))
        ones = np.ones(flat.shape[1], self.dtype)
        x = ops.reshape(ops.layer_norm(flat, ones, 0 * ones, EPSILON), x.shape)
        return ops.add(ops.multiply(x, weights.gamma), weights.beta)

    # -- layers ----------------------------------------------------------------------------------------------------
    def attention_of(self, side: str) -> Attention:
        """Scores are divided by the root of a head's width; the frequencies of what turns stand with the weights.

        Spec: models.moonshine.attention
        """
        c, turns = self.config, self.params[f"{side}_rotary_embedding/inv_freq"]
        heads, depth, drops = c.side(side, "num_heads"), c.depth(side), c.attention_dropout > 0.0
        return Attention(heads, depth, depth**-0.5, drops=drops, frequencies=turns)

    def forward(self, weights: Scope, batch: Batch, drop: Dropout = keep) -> dict[str, Array]:
        """KerasHub's third output is the mask of frames."""
        mask = self.whole_frames(batch["encoder_padding_mask"])
        return super().forward(weights, batch, drop) | {"encoder_attention_mask": mask}

    def embed(self, weights: Scope, side: str, ids: np.ndarray, first: int, drop: Dropout = keep) -> Array:
        """The token: positions turn what attention compares. Spec: models.moonshine.embedding"""
        return drop(ops.embed(weights["token_embedding"].embeddings, ids))

    def attend(self, kind: str, x: Array, view: View, weights: Scope, drop: Dropout) -> Array:
        """`x + attention(norm(x))`."""
        normed = self.norm(x, weights[f"{kind}_layer_norm"])
        return ops.add(x, self.attention_of(view.side)(normed, view, weights[kind], drop))

    def transform(self, x: Array, weights: Scope, drop: Dropout) -> Array:
        """`x + feed_forward(norm(x))`."""
        return ops.add(x, self.feed_forward(self.norm(x, weights["feedforward_layer_norm"]), weights["feedforward"]))

    def feed_forward(self, x: Array, weights: Scope) -> Array:
        """`W2 gelu(W1 x + b1) + b2`, or with halves a and g of `W1 x + b1` `W2 (a silu(g)) + b2`.

        Spec: models.moonshine.feed-forward
        """
        inner = project(x, weights["dense_1"])
        gated = inner.shape[-1] > weights["dense_2"].kernel.shape[0]
        return project(ops.swiglu(inner) if gated else ops.gelu(inner), weights["dense_2"])

    def norm(self, x: Array, weights: Scope) -> Array:
        """Layer norm without a shift. Spec: models.moonshine.layer-norm"""
        return ops.layer_norm(x, weights.gamma, np.zeros(weights.gamma.shape, self.dtype), EPSILON)

    def final_norm(self, weights: Scope, side: str, x: Array, drop: Dropout = keep) -> Array:
        """Each stack ends with a norm."""
        return self.norm(x, weights["encoder_final_layer_norm" if side == "encoder" else "decoder_post_norm"])

    def head(self, weights: Scope, x: Array) -> tuple[Array, Array]:
        """The states and the table of tokens. Shapes: (..., E) -> (..., E), (V, E). Spec: models.moonshine.head"""
        return x, weights["token_embedding"].embeddings

    def described(self) -> dict[str, Any]:
        """Without a type, as KerasHub can't load a folder that names one. Spec: models.moonshine.saved-dtype"""
        found = super().described()
        return found | {"config": found["config"] | {"dtype": None}}

    def is_trainable(self, name: str) -> bool:
        """Frequencies are not learned."""
        return super().is_trainable(name) and not name.endswith("/inv_freq")


def convolved(x: Array, weights: Scope, how: tuple[int, int]) -> Array:
    """A convolution without padding. Shapes: x (B, N, C), kernel (window, C, E) -> (B, S, E)."""
    return project(ops.windows(x, *how), weights)
