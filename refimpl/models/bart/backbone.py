"""BART: a bidirectional encoder and an autoregressive decoder, post-norm, with learned positions.

Source: Lewis et al. 2020, "BART: Denoising Sequence-to-Sequence Pre-training"; Vaswani et al. 2017.
Letters: B batch, S source length, T target length, E hidden, F intermediate, V vocabulary.
"""

from dataclasses import dataclass

import numpy as np

from refimpl.autograd import ops
from refimpl.autograd.dropout import Dropout
from refimpl.errors import SequenceLengthError
from refimpl.models.attention import Array, Attention, View, keep, project
from refimpl.models.backbone import Backbone
from refimpl.models.bart.layout import layout
from refimpl.models.bart.transformers import FAMILY
from refimpl.models.config import Config, number, size
from refimpl.models.weights import Scope
from refimpl.presets import register

EPSILON = 1e-5  # of all norms


@dataclass(frozen=True)
class BartConfig(Config):
    """What BART is built from. Spec: models.bart.config"""

    clause = "models.bart.config"
    vocabulary_size: int = size()
    num_layers: int = size(least=0)
    num_heads: int = size()
    hidden_dim: int = size()
    intermediate_dim: int = size()
    dropout: float = number(0.1, below=1.0)
    max_sequence_length: int = size(default=1024)


@register
class BartBackbone(Backbone):
    """BART's encoder and decoder.

    Spec: models.bart.embedding, models.bart.encoder-layer, models.bart.decoder-layer
    """

    module = "keras_hub.src.models.bart.bart_backbone"
    config_cls, family, layout = BartConfig, FAMILY, staticmethod(layout)
    config: BartConfig

    def attention_of(self, side: str) -> Attention:
        """Scores are divided by the root of a head's width."""
        return Attention(self.config.num_heads, self.config.head_dim, self.config.head_dim**-0.5)

    def embed(self, weights: Scope, side: str, ids: np.ndarray, first: int, drop: Dropout = keep) -> Array:
        """Token plus position, normalized; no scaling, positions from row 0. Shapes: ids (B, T) -> (B, T, E).

        Raises: SequenceLengthError beyond the position table.
        Spec: models.bart.embedding, models.bart.position-limit
        """
        end = first + ids.shape[1]
        self.check_length(side, end)
        tokens = ops.embed(weights["token_embedding"].embeddings, ids)
        positions = ops.embed(weights[f"{side}_position_embedding"].embeddings, np.arange(first, end))
        return drop(self.norm(ops.add(tokens, positions), weights[f"{side}_embeddings_layer_norm"]))

    def attend(self, kind: str, x: Array, view: View, weights: Scope, drop: Dropout) -> Array:
        """`norm(x + attention(x))`. Shapes: (B, T, E) -> (B, T, E)."""
        attended = drop(self.attention(x, view, weights[kind], drop))
        return self.norm(ops.add(x, attended), weights[f"{kind}_layer_norm"])

    def transform(self, x: Array, weights: Scope, drop: Dropout) -> Array:
        """`norm(x + feed_forward(x))`. Shapes: (B, T, E) -> (B, T, E)."""
        return self.norm(ops.add(x, drop(self.feed_forward(x, weights))), weights["feedforward_layer_norm"])

    def feed_forward(self, x: Array, weights: Scope) -> Array:
        """`W2 gelu(W1 x + b1) + b2`. Shapes: (B, T, E) -> (B, T, F) -> (B, T, E)."""
        inner = ops.gelu(project(x, weights["feedforward_intermediate_dense"]))
        return project(inner, weights["feedforward_output_dense"])

    def norm(self, x: Array, weights: Scope) -> Array:
        """Layer norm. Shapes: (..., E) -> (..., E). Spec: models.bart.layer-norm-epsilon"""
        return ops.layer_norm(x, weights.gamma, weights.beta, EPSILON)

    def head(self, weights: Scope, x: Array) -> tuple[Array, Array]:
        """The states and the embedding table; there is no bias. Shapes: (..., E) -> (..., E), (V, E).

        Spec: models.bart.tied-head
        """
        return x, weights["token_embedding"].embeddings

    def check_length(self, side: str, length: int) -> None:
        """A sequence, padding included, must fit the position table (spec: models.bart.position-limit)."""
        if length > self.config.max_sequence_length:
            raise SequenceLengthError(
                f"The {side} got a sequence of {length} positions.",
                f"BART has learned {self.config.max_sequence_length} positions (max_sequence_length).",
                f"Shorten it: set lm.preprocessor.{side}_sequence_length, or max_length for the decoder.",
                "models.bart.position-limit",
            )
