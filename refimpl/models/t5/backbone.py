"""T5: a bidirectional encoder and an autoregressive decoder, pre-norm, with relative positions and no biases.

Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer";
    Shazeer 2020, "GLU Variants Improve Transformer" (the gates of T5 1.1 and Flan-T5)
Letters: B batch, S source length, T target length, H heads, E hidden, F intermediate, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np

from refimpl.autograd import ops
from refimpl.autograd.dropout import Dropout
from refimpl.models.activations import ACTIVATIONS, activation_name, serialized_activation
from refimpl.models.attention import Array, Attention, View, keep, project
from refimpl.models.backbone import Backbone
from refimpl.models.config import Config, choice, number, size, switch
from refimpl.models.positions import relative_bias
from refimpl.models.t5.layout import layout
from refimpl.models.t5.transformers import FAMILY
from refimpl.models.weights import Scope
from refimpl.presets import register


@dataclass(frozen=True)
class T5Config(Config):
    """What T5 is built from. `key_value_dim` None makes heads share the hidden width. Spec: models.t5.config"""

    clause = "models.t5.config"
    vocabulary_size: int = size()
    num_layers: int = size(least=0)
    num_heads: int = size()
    hidden_dim: int = size()
    intermediate_dim: int = size()
    key_value_dim: int | None = size(default=None)
    dropout: float = number(0.1, below=1.0)
    activation: str = choice(ACTIVATIONS, "relu", activation_name, serialized_activation)
    use_gated_activation: bool = switch(True)
    layer_norm_epsilon: float = number(1e-6)
    tie_embedding_weights: bool = switch(True)

    # The width of a head need not be its share of the hidden width.
    head_dim = property(lambda self: self.key_value_dim or self.hidden_dim // self.num_heads)


@register
class T5Backbone(Backbone):
    """T5 1.0, 1.1 and Flan-T5. Spec: models.t5.encoder-layer, models.t5.decoder-layer, models.t5.position-bias"""

    module = "keras_hub.src.models.t5.t5_backbone"
    config_cls, family, layout = T5Config, FAMILY, staticmethod(layout)
    config: T5Config

    def attention_of(self, side: str) -> Attention:
        """Scores are not divided by anything. Spec: models.t5.attention"""
        names = ("query_projector", "key_projector", "value_projector", "output_projector")
        return Attention(self.config.num_heads, self.config.head_dim, 1.0, names)

    def embed(self, weights: Scope, side: str, ids: np.ndarray, first: int, drop: Dropout = keep) -> Array:
        """The token alone: no position, no scale, no norm. Spec: models.t5.embedding"""
        return drop(ops.embed(weights["token_embedding"].embeddings, ids))

    def position_bias(self, weights: Scope, side: str, queries: int, keys: int, first: int = 0) -> Array | None:
        """The bias of a stack: its first layer has the table, all its layers add it. Spec: models.t5.position-bias"""
        if not self.config.num_layers:
            return None
        table = weights[f"transformer_{side}_layer_0"]["self_attention"].relative_attention_bias
        return relative_bias(queries, keys, first, side == "encoder", table)

    def attend(self, kind: str, x: Array, view: View, weights: Scope, drop: Dropout) -> Array:
        """`x + attention(norm(x))`."""
        normed = self.norm(x, weights[f"{kind}_layer_norm"])
        return ops.add(x, drop(self.attention(normed, view, weights[kind], drop)))

    def transform(self, x: Array, weights: Scope, drop: Dropout) -> Array:
        """`x + feed_forward(norm(x))`."""
        return ops.add(x, drop(self.feed_forward(self.norm(x, weights["layer_norm"]), weights, drop)))

    def feed_forward(self, x: Array, weights: Scope, drop: Dropout = keep) -> Array:
        """`W2 (act(W1 x) * (V x))`, with `V x` where it is gated (Shazeer 2020). Spec: models.t5.feed-forward"""
        inner = ACTIVATIONS[self.config.activation](project(x, weights["input_projector"]))
        if self.config.use_gated_activation:
            inner = ops.multiply(inner, project(x, weights["gate_projector"]))
        return project(drop(inner), weights["output_projector"])

    def norm(self, x: Array, weights: Scope) -> Array:
        """RMS norm. Spec: models.t5.rms-norm"""
        return ops.rms_norm(x, weights.weight, self.config.layer_norm_epsilon)

    def final_norm(self, weights: Scope, side: str, x: Array, drop: Dropout = keep) -> Array:
        """Each stack ends with a norm."""
        return drop(self.norm(x, weights[f"{side}_output_layer_norm"]))

    def head(self, weights: Scope, x: Array) -> tuple[Array, Array]:
        """The states, scaled by `1 / sqrt(E)` where the embedding table is the head. Spec: models.t5.head"""
        table = weights["token_embedding"]
        if self.config.tie_embedding_weights:
            return ops.multiply(x, np.array(self.config.hidden_dim**-0.5, self.dtype)), table.embeddings
        return x, ops.transpose(table.reverse_embeddings, (1, 0))
