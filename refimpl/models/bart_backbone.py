"""BART: a bidirectional encoder and an autoregressive decoder, post-norm, with learned positions.

Source: Lewis et al. 2020, "BART: Denoising Sequence-to-Sequence Pre-training"; Vaswani et al. 2017.
Letters: B batch, S source length, T target length, L layers, H heads, D head width, E hidden, F intermediate,
V vocabulary.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from refimpl.autograd import ops
from refimpl.errors import ConfigError, SequenceLengthError
from refimpl.models.backbone import Backbone
from refimpl.models.layers import (
    Array,
    Drop,
    attend_past,
    attend_tokens,
    attention,
    feed_forward,
    keep,
    keys_and_values,
    layer_norm,
    stack_layers,
)
from refimpl.models.weights import Scope, WeightSpec, attention_specs, dense_specs, layer_norm_specs
from refimpl.presets import register
from refimpl.presets.bart_layout import hdf5_place, tensor_place
from refimpl.presets.tensor_place import TensorPlace


@register
class BartBackbone(Backbone):
    """BART's encoder and decoder.

    Spec: models.bart.embedding, models.bart.encoder-layer, models.bart.decoder-layer
    """

    module = "keras_hub.src.models.bart.bart_backbone"
    config_keys = (
        "vocabulary_size",
        "num_layers",
        "num_heads",
        "hidden_dim",
        "intermediate_dim",
        "dropout",
        "max_sequence_length",
    )

    def __init__(
        self,
        vocabulary_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        intermediate_dim: int,
        dropout: float = 0.1,
        max_sequence_length: int = 1024,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.dropout = dropout
        self.max_sequence_length = max_sequence_length
        self._check_config()
        super().__init__(dtype=dtype, **kwargs)

    # -- the forward pass ------------------------------------------------------------------------------------------
    def forward(self, weights: Scope, batch: Mapping[str, np.ndarray], drop: Drop = keep) -> dict[str, Array]:
        """Encoder and decoder over whole sequences.

        Shapes: ids and masks (B, S) and (B, T) -> (B, S, E) and (B, T, E).
        """
        encoded = self.encode(weights, batch["encoder_token_ids"], batch["encoder_padding_mask"], drop)
        decoded = self.decode(weights, encoded, batch, drop)
        return {"encoder_sequence_output": encoded, "decoder_sequence_output": decoded}

    def encode(self, weights: Scope, ids: np.ndarray, padding_mask: np.ndarray, drop: Drop = keep) -> Array:
        """The encoder. Shapes: ids, padding_mask (B, S) -> (B, S, E)."""
        may_attend = attend_tokens(padding_mask)
        x = self.embed(weights, "encoder", ids, 0, drop)
        for n in range(self.num_layers):
            x = encoder_layer(x, may_attend, weights[f"transformer_encoder_layer_{n}"], drop)
        return x

    def decode(self, weights: Scope, encoded: Array, batch: Mapping[str, np.ndarray], drop: Drop = keep) -> Array:
        """The decoder over a whole sequence. Shapes: encoded (B, S, E), decoder ids (B, T) -> (B, T, E)."""
        ids = batch["decoder_token_ids"]
        may_attend_past = attend_past(ids.shape[1], ids.shape[1]) & attend_tokens(batch["decoder_padding_mask"])
        may_attend_source = attend_tokens(batch["encoder_padding_mask"])
        x = self.embed(weights, "decoder", ids, 0, drop)
        for n in range(self.num_layers):
            layer = weights[f"transformer_decoder_layer_{n}"]
            self_kv = keys_and_values(x, layer["self_attention"])
            cross_kv = keys_and_values(encoded, layer["cross_attention"])
            x = decoder_layer(x, self_kv, may_attend_past, cross_kv, may_attend_source, layer, drop)
        return x

    def embed(self, weights: Scope, side: str, ids: np.ndarray, first: int, drop: Drop = keep) -> Array:
        """Token plus position, normalized; no scaling, positions from row 0. Shapes: ids (B, T) -> (B, T, E).

        Raises: SequenceLengthError beyond the position table.
        Spec: models.bart.embedding, models.bart.position-limit
        """
        end = first + ids.shape[1]
        self.check_length(side, end)
        tokens = ops.embed(weights["token_embedding"].embeddings, ids)
        positions = ops.embed(weights[f"{side}_position_embedding"].embeddings, np.arange(first, end))
        return drop(layer_norm(ops.add(tokens, positions), weights[f"{side}_embeddings_layer_norm"]))

    def logits(self, weights: Scope, x: Array) -> Array:
        """Scores of all tokens by the embedding table, no bias. Shapes: (..., E) -> (..., V).

        Spec: models.bart.tied-head
        """
        return ops.unembed(*self.head(weights, x))

    def head(self, weights: Scope, x: Array) -> tuple[Array, Array]:
        """What `logits` multiplies: states and table, for a loss that never holds all logits."""
        return x, weights["token_embedding"].embeddings

    def check_length(self, side: str, length: int) -> None:
        """A sequence, padding included, must fit the position table (spec: models.bart.position-limit)."""
        if length > self.max_sequence_length:
            raise SequenceLengthError(
                f"The {side} got a sequence of {length} positions.",
                f"BART has learned {self.max_sequence_length} positions (max_sequence_length).",
                f"Shorten it: set lm.preprocessor.{side}_sequence_length, or max_length for the decoder.",
                "models.bart.position-limit",
            )

    # -- cached decoding -------------------------------------------------------------------------------------------
    def cross_keys_values(self, weights: Scope, encoded: np.ndarray) -> np.ndarray:
        """What every decoder layer attends to in the source. Shapes: (B, S, E) -> (B, L, 2, S, H, D).

        Spec: models.bart.no-layers
        """
        layers = (weights[f"transformer_decoder_layer_{n}"]["cross_attention"] for n in range(self.num_layers))
        shape = (len(encoded), self.num_layers, 2, encoded.shape[1], self.num_heads, self.head_dim)
        return stack_layers((keys_and_values(encoded, layer) for layer in layers), shape, encoded.dtype)

    def decode_cached(
        self,
        weights: Scope,
        ids: np.ndarray,
        first: int,
        self_cache: np.ndarray,
        cross_cache: np.ndarray,
        source_mask: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Some decoder positions from `first` on; earlier ones are in the cache. Returns states and the new cache.

        Shapes: ids (B, T), self_cache (B, L, 2, T_max, H, D), cross_cache (B, L, 2, S, H, D), source_mask (B, S)
            -> (B, T, E), (B, L, 2, T_max, H, D).
        Spec: decoding.cache.equals-uncached
        """
        may_attend_past = attend_past(ids.shape[1], self_cache.shape[3], first)
        may_attend_source = attend_tokens(source_mask)
        new_cache = self_cache.copy()
        x = self.embed(weights, "decoder", ids, first)
        for n in range(self.num_layers):
            layer = weights[f"transformer_decoder_layer_{n}"]
            cache = new_cache[:, n]  # (B, 2, T_max, H, D), a view
            cache[:, :, first : first + ids.shape[1]] = np.stack(keys_and_values(x, layer["self_attention"]), axis=1)
            self_kv, cross_kv = (cache[:, 0], cache[:, 1]), (cross_cache[:, n, 0], cross_cache[:, n, 1])
            x = decoder_layer(x, self_kv, may_attend_past, cross_kv, may_attend_source, layer)
        return x, new_cache

    # -- weights and configuration ---------------------------------------------------------------------------------
    def weight_specs(self) -> Iterator[tuple[str, WeightSpec]]:
        """Name and shape of every weight, in KerasHub's order on JAX and TensorFlow. Spec: models.weights.order"""
        width = self.hidden_dim
        yield "token_embedding/embeddings", WeightSpec((self.vocabulary_size, width), "normal")
        for side in ("encoder", "decoder"):
            yield f"{side}_position_embedding/embeddings", WeightSpec((self.max_sequence_length, width), "normal")
            yield from layer_norm_specs(f"{side}_embeddings_layer_norm", width)
            for n in range(self.num_layers):
                layer = f"transformer_{side}_layer_{n}"
                yield from self._encoder_specs(layer) if side == "encoder" else self._decoder_specs(layer)

    def _encoder_specs(self, layer: str) -> Iterator[tuple[str, WeightSpec]]:
        width, inner = (self.hidden_dim,), (self.intermediate_dim,)
        yield from attention_specs(f"{layer}/self_attention", self.hidden_dim, self.num_heads)
        yield from layer_norm_specs(f"{layer}/self_attention_layer_norm", self.hidden_dim)
        yield from layer_norm_specs(f"{layer}/feedforward_layer_norm", self.hidden_dim)
        yield from dense_specs(f"{layer}/feedforward_intermediate_dense", width, inner)
        yield from dense_specs(f"{layer}/feedforward_output_dense", inner, width)

    def _decoder_specs(self, layer: str) -> Iterator[tuple[str, WeightSpec]]:
        width, inner = (self.hidden_dim,), (self.intermediate_dim,)
        for kind in ("self_attention", "cross_attention"):
            yield from attention_specs(f"{layer}/{kind}", self.hidden_dim, self.num_heads)
            yield from layer_norm_specs(f"{layer}/{kind}_layer_norm", self.hidden_dim)
        yield from dense_specs(f"{layer}/feedforward_intermediate_dense", width, inner)
        yield from dense_specs(f"{layer}/feedforward_output_dense", inner, width)
        yield from layer_norm_specs(f"{layer}/feedforward_layer_norm", self.hidden_dim)

    def hdf5_place(self, name: str) -> str:
        """The dataset of a weight in KerasHub's file."""
        return hdf5_place(name)

    def tensor_place(self, name: str) -> TensorPlace:
        """The tensor of a weight in a checkpoint of transformers."""
        return tensor_place(name)

    def _check_config(self) -> None:
        """Sizes must be whole numbers above 0, with at least one dimension a head (spec: models.bart.config)."""
        sizes = {key: getattr(self, key) for key in self.config_keys if key != "dropout"}
        wrong = {k: v for k, v in sizes.items() if type(v) is not int or v < (0 if k == "num_layers" else 1)}
        rate_fits = isinstance(self.dropout, (int, float)) and 0.0 <= self.dropout < 1.0
        if wrong or not rate_fits or self.hidden_dim < self.num_heads:
            raise ConfigError(
                f"BartBackbone got {wrong or {'dropout': self.dropout, **sizes}}.",
                "Sizes must be whole numbers above 0, hidden_dim at least num_heads, dropout from 0 to below 1.",
                "Check the constructor's arguments or config.json.",
                "models.bart.config",
            )


def encoder_layer(x: Array, may_attend: np.ndarray, weights: Scope, drop: Drop = keep) -> Array:
    """Attention, then feed-forward, each added to its input and then normalized. Shapes: (B, S, E) -> (B, S, E).

    Spec: models.bart.encoder-layer
    """
    self_kv = keys_and_values(x, weights["self_attention"])
    attended = drop(attention(x, *self_kv, may_attend, weights["self_attention"], drop))
    x = layer_norm(ops.add(x, attended), weights["self_attention_layer_norm"])
    return layer_norm(ops.add(x, drop(feed_forward(x, weights))), weights["feedforward_layer_norm"])


def decoder_layer(
    x: Array,
    self_kv: tuple[Array, Array],
    may_attend_past: np.ndarray,
    cross_kv: tuple[Array, Array],
    may_attend_source: np.ndarray,
    weights: Scope,
    drop: Drop = keep,
) -> Array:
    """Attention to what was said, attention to the source, feed-forward. Shapes: (B, T, E) -> (B, T, E).

    `self_kv` and `cross_kv` are keys and values (B, T or S, H, D); the masks say which of them may be attended to.

    Spec: models.bart.decoder-layer
    """
    self_attended = drop(attention(x, *self_kv, may_attend_past, weights["self_attention"], drop))
    x = layer_norm(ops.add(x, self_attended), weights["self_attention_layer_norm"])
    cross_attended = drop(attention(x, *cross_kv, may_attend_source, weights["cross_attention"], drop))
    x = layer_norm(ops.add(x, cross_attended), weights["cross_attention_layer_norm"])
    return layer_norm(ops.add(x, drop(feed_forward(x, weights))), weights["feedforward_layer_norm"])
