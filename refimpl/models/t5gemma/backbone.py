"""T5Gemma: Gemma 2 as an encoder-decoder, with rotary positions, shared key/value heads, norms around each part.

Source: Zhang et al. 2025, "Encoder-Decoder Gemma"; Gemma Team 2024, "Gemma 2"; keras-hub 0.32.0 models/t5gemma
Letters: B batch, T length, E hidden, F intermediate, V vocabulary.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from refimpl.autograd import ops
from refimpl.autograd.dropout import Dropout
from refimpl.models.activations import ACTIVATIONS, activation_name
from refimpl.models.attention import Array, Attention, View, keep, project
from refimpl.models.backbone import Backbone
from refimpl.models.config import Config, choice, number, size, switch, value
from refimpl.models.t5gemma.layout import layout
from refimpl.models.t5gemma.transformers import FAMILY
from refimpl.models.weights import Scope
from refimpl.presets import register

SLIDING = "sliding_attention"  # another name of a layer's kind means full attention
NAMES = ("query", "key", "value", "output")


def _listed(given: Any) -> Any:
    return list(given) if isinstance(given, tuple) else given


def _are_names(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(kind, str) for kind in given)


@dataclass(frozen=True)
class T5GemmaConfig(Config):
    """What T5Gemma is built from. Spec: models.t5gemma.config, presets.config.defaults"""

    clause = "models.t5gemma.config"
    vocabulary_size: int = size()
    encoder_hidden_dim: int = size()
    encoder_intermediate_dim: int = size()
    encoder_num_layers: int = size(least=0)
    encoder_num_attention_heads: int = size()
    encoder_num_key_value_heads: int = size()
    encoder_head_dim: int = size()
    encoder_layer_types: list[str] = value("a list of names", _are_names, read=_listed)
    decoder_hidden_dim: int = size()
    decoder_intermediate_dim: int = size()
    decoder_num_layers: int = size(least=0)
    decoder_num_attention_heads: int = size()
    decoder_num_key_value_heads: int = size()
    decoder_head_dim: int = size()
    decoder_layer_types: list[str] = value("a list of names", _are_names, read=_listed)
    dropout_rate: float = number(0.0, below=1.0)
    rms_norm_eps: float = number(1e-6)
    query_pre_attn_scalar: float = number(1.0, least=1e-30)
    attention_bias: bool = switch(False)
    hidden_activation: str = choice(ACTIVATIONS, "gelu_approximate", activation_name)
    tie_word_embeddings: bool = switch(True)
    initializer_range: float = number(0.02)
    attention_dropout: float = number(0.0, below=1.0)
    sliding_window: int | None = size(default=None)
    cross_attention_hidden_size: int | None = size(default=None)
    attn_logit_softcapping: float | None = number(None, least=1e-30)
    final_logit_softcapping: float | None = number(None, least=1e-30)
    rope_max_wavelength: float = number(10000.0, least=1.0)

    def rules(self) -> Iterator[tuple[str, bool]]:
        """What belongs together on each side."""
        for side in ("encoder", "decoder"):
            layers, kinds = self.side(side, "num_layers"), self.side(side, "layer_types")
            yield f"{side}_layer_types names each of {layers} layers", len(kinds) >= layers
            heads, shared = self.side(side, "num_attention_heads"), self.side(side, "num_key_value_heads")
            yield f"{side}_num_attention_heads is a multiple of {side}_num_key_value_heads", heads % shared == 0
            yield f"{side}_head_dim is even, as its halves rotate", self.side(side, "head_dim") % 2 == 0
            yield f"sliding_window is given for {SLIDING}", self.sliding_window is not None or SLIDING not in kinds
        same = self.attention_dropout in (0.0, self.dropout_rate)
        yield "attention_dropout is 0 or dropout_rate, as refimpl has one rate", same

    def written(self) -> dict[str, Any]:
        """The values as KerasHub writes them."""
        width = self.cross_attention_hidden_size or self.encoder_hidden_dim
        return super().written() | {"cross_attention_hidden_size": width}

    # What all architectures have a word for is the decoder's.
    hidden_dim = property(lambda self: self.decoder_hidden_dim)
    num_layers = property(lambda self: self.decoder_num_layers)
    num_heads = property(lambda self: self.decoder_num_attention_heads)
    head_dim = property(lambda self: self.decoder_head_dim)
    dropout = property(lambda self: self.dropout_rate)
    logit_cap = property(lambda self: self.final_logit_softcapping)


@register
class T5GemmaBackbone(Backbone):
    """T5Gemma's encoder and decoder, which may be of different sizes.

    Spec: models.t5gemma.encoder-layer, models.t5gemma.decoder-layer
    """

    module = "keras_hub.src.models.t5gemma.t5gemma_backbone"
    config_cls, family, layout = T5GemmaConfig, FAMILY, staticmethod(layout)
    config: T5GemmaConfig
    layer_name = "{}_layer_{}"

    def attention_of(self, side: str) -> Attention:
        """Scores are divided by the root of a number of the configuration, and softly capped.

        Spec: models.t5gemma.attention
        """
        c = self.config
        heads, shared, depth = (c.side(side, n) for n in ("num_attention_heads", "num_key_value_heads", "head_dim"))
        scale, turns = c.query_pre_attn_scalar**-0.5, c.rope_max_wavelength ** (-np.arange(0, depth, 2) / depth)
        drops = c.attention_dropout > 0.0
        return Attention(heads, depth, scale, NAMES, shared, c.attn_logit_softcapping, drops, turns, halves=True)

    def embed(self, weights: Scope, side: str, ids: np.ndarray, first: int, drop: Dropout = keep) -> Array:
        """The token, times the root of the width; each side has a table of its own. Spec: models.t5gemma.embedding"""
        scale = np.array(self.width(side) ** 0.5, self.dtype)
        return drop(ops.multiply(ops.embed(weights[f"{side}_token_embedding"].embeddings, ids), scale))

    def reach(self, side: str, n: int) -> int | None:
        """The window of a sliding layer, which in the decoder counts the own position. Spec: models.t5gemma.window"""
        window = self.config.sliding_window if self.config.side(side, "layer_types")[n] == SLIDING else None
        return window - (side == "decoder") if window else None

    def attend(self, kind: str, x: Array, view: View, weights: Scope, drop: Dropout) -> Array:
        """`x + norm(attention(norm(x)))`."""
        normed = self.norm(x, weights[f"pre_{kind}_norm"])
        attended = self.attention_of(view.side)(normed, view, weights[kind], drop)
        return ops.add(x, drop(self.norm(attended, weights[f"post_{kind}_norm"])))

    def transform(self, x: Array, weights: Scope, drop: Dropout) -> Array:
        """`x + norm(feed_forward(norm(x)))`."""
        inner = self.feed_forward(self.norm(x, weights["pre_feedforward_norm"]), weights["mlp"], drop)
        return ops.add(x, drop(self.norm(inner, weights["post_feedforward_norm"])))

    def feed_forward(self, x: Array, weights: Scope, drop: Dropout = keep) -> Array:
        """`W2 (act(W1 x) * (V x))`. Spec: models.t5gemma.feed-forward"""
        gate = ACTIVATIONS[self.config.hidden_activation](project(x, weights["gate_proj"]))
        return project(drop(ops.multiply(gate, project(x, weights["up_proj"]))), weights["down_proj"])

    def norm(self, x: Array, weights: Scope) -> Array:
        """RMS norm whose gain is `1 + scale`. Spec: models.t5gemma.rms-norm"""
        return ops.rms_norm(x, ops.add(weights.scale, np.ones((), self.dtype)), self.config.rms_norm_eps)

    def final_norm(self, weights: Scope, side: str, x: Array, drop: Dropout = keep) -> Array:
        """Each stack ends with a norm."""
        return drop(self.norm(x, weights[f"{side}_norm"]))

    def head(self, weights: Scope, x: Array) -> tuple[Array, Array]:
        """The states, and the decoder's table or one of the head's own; logits are softly capped.

        Shapes: (..., E) -> (..., E), (V, E).
        Spec: models.t5gemma.head
        """
        table = weights["decoder_token_embedding"]
        if self.config.tie_word_embeddings:
            return x, table.embeddings
        return x, ops.transpose(table.reverse_embeddings, (1, 0))
