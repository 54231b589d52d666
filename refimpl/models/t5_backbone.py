"""T5: a bidirectional encoder and an autoregressive decoder, pre-norm, with relative positions and no biases.

Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer";
    Shazeer 2020, "GLU Variants Improve Transformer" (the gates of T5 1.1 and Flan-T5)
Letters: B batch, S source length, T target length, L layers, H heads, D head width, E hidden, F intermediate,
V vocabulary.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from refimpl.autograd import ops
from refimpl.errors import ConfigError
from refimpl.models import t5_weights
from refimpl.models.backbone import Backbone
from refimpl.models.layers import Array, Drop, attend_past, attend_tokens, keep, stack_layers
from refimpl.models.t5_layers import (
    ACTIVATIONS,
    KeysValues,
    attention,
    feed_forward,
    keys_and_values,
    position_bias,
    rms_norm,
)
from refimpl.models.weights import Scope, WeightSpec
from refimpl.presets import register
from refimpl.presets.t5_layout import activation_name, hdf5_place, serialized_activation, tensor_place
from refimpl.presets.tensor_place import TensorPlace


@register
class T5Backbone(Backbone):
    """T5's encoder and decoder: 1.0, 1.1 (gated, with a head of its own) and Flan-T5.

    Spec: models.t5.encoder-layer, models.t5.decoder-layer, models.t5.position-bias
    """

    module = "keras_hub.src.models.t5.t5_backbone"
    config_keys = (
        "vocabulary_size",
        "hidden_dim",
        "intermediate_dim",
        "num_layers",
        "num_heads",
        "activation",
        "key_value_dim",
        "dropout",
        "use_gated_activation",
        "layer_norm_epsilon",
        "tie_embedding_weights",
    )

    def __init__(
        self,
        vocabulary_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        intermediate_dim: int,
        key_value_dim: int | None = None,
        dropout: float = 0.1,
        activation: Any = "relu",
        use_gated_activation: bool = True,
        layer_norm_epsilon: float = 1e-6,
        tie_embedding_weights: bool = True,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        self.vocabulary_size = vocabulary_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.hidden_dim = hidden_dim
        self.intermediate_dim = intermediate_dim
        self.key_value_dim = key_value_dim
        self.dropout = dropout
        self.activation = activation_name(activation)
        self.use_gated_activation = use_gated_activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.tie_embedding_weights = tie_embedding_weights
        self._check_config()
        super().__init__(dtype=dtype, **kwargs)

    @property
    def head_dim(self) -> int:
        """The width of a head, which need not be the share of the hidden width."""
        return self.key_value_dim or self.hidden_dim // self.num_heads

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
        bias = self.position_bias(weights, "encoder", ids.shape[1], ids.shape[1])
        x = self.embed(weights, ids, drop)
        for n in range(self.num_layers):
            layer = weights[f"transformer_encoder_layer_{n}"]
            x = self.attend_self(x, bias, may_attend, layer, drop)
            x = self.transform(x, layer, drop)
        return drop(self.norm(x, weights["encoder_output_layer_norm"]))

    def decode(self, weights: Scope, encoded: Array, batch: Mapping[str, np.ndarray], drop: Drop = keep) -> Array:
        """The decoder over a whole sequence. Shapes: encoded (B, S, E), decoder ids (B, T) -> (B, T, E)."""
        ids = batch["decoder_token_ids"]
        may_attend_past = attend_past(ids.shape[1], ids.shape[1]) & attend_tokens(batch["decoder_padding_mask"])
        may_attend_source = attend_tokens(batch["encoder_padding_mask"])
        bias = self.position_bias(weights, "decoder", ids.shape[1], ids.shape[1])
        x = self.embed(weights, ids, drop)
        for n in range(self.num_layers):
            layer = weights[f"transformer_decoder_layer_{n}"]
            cross_kv = keys_and_values(encoded, layer["cross_attention"], self.num_heads)
            x = self.attend_self(x, bias, may_attend_past, layer, drop)
            x = self.attend_source(x, cross_kv, may_attend_source, layer, drop)
            x = self.transform(x, layer, drop)
        return drop(self.norm(x, weights["decoder_output_layer_norm"]))

    def embed(self, weights: Scope, ids: np.ndarray, drop: Drop = keep) -> Array:
        """The token alone: no position, no scale, no norm. Shapes: ids (B, T) -> (B, T, E).

        Spec: models.t5.embedding
        """
        return drop(ops.embed(weights["token_embedding"].embeddings, ids))

    def position_bias(self, weights: Scope, side: str, queries: int, keys: int, first: int = 0) -> Array:
        """The bias of a stack: its first layer has the table, all its layers add it. Shapes: -> (H, T, S).

        Spec: models.t5.position-bias
        """
        if not self.num_layers:
            return None
        table = weights[f"transformer_{side}_layer_0"]["self_attention"].relative_attention_bias
        return position_bias(queries, keys, first, side == "encoder", table)

    def attend_self(
        self, x: Array, bias: Array, may_attend: np.ndarray, weights: Scope, drop: Drop = keep,
        remember: Callable[[KeysValues], KeysValues] = lambda kv: kv,
    ) -> Array:  # fmt: skip
        """`x + attention(norm(x))`, relative positions counting. `remember` keeps keys and values, and adds older ones.

        Shapes: x (B, T, E), bias (H, T, S), may_attend (B or 1, 1, 1 or T, S) -> (B, T, E).
        Spec: models.t5.encoder-layer, models.t5.decoder-layer
        """
        normed = self.norm(x, weights["self_attention_layer_norm"])
        kv = remember(keys_and_values(normed, weights["self_attention"], self.num_heads))
        return ops.add(x, drop(attention(normed, kv, bias, may_attend, weights["self_attention"], drop)))

    def attend_source(
        self, x: Array, kv: KeysValues, may_attend: np.ndarray, weights: Scope, drop: Drop = keep
    ) -> Array:
        """`x + attention(norm(x), source)`: no position counts here. Shapes: x (B, T, E), kv (B, S, H, D) -> (B, T, E).

        Spec: models.t5.decoder-layer, models.t5.position-bias
        """
        normed = self.norm(x, weights["cross_attention_layer_norm"])
        return ops.add(x, drop(attention(normed, kv, None, may_attend, weights["cross_attention"], drop)))

    def transform(self, x: Array, weights: Scope, drop: Drop = keep) -> Array:
        """`x + feed_forward(norm(x))`. Shapes: (B, T, E) -> (B, T, E)."""
        normed = self.norm(x, weights["layer_norm"])
        return ops.add(x, drop(feed_forward(normed, weights, self.activation, self.use_gated_activation, drop)))

    def norm(self, x: Array, weights: Scope) -> Array:
        """RMS norm. Shapes: (..., E) -> (..., E)."""
        return rms_norm(x, weights, self.layer_norm_epsilon)

    def logits(self, weights: Scope, x: Array) -> Array:
        """Scores of all tokens, no bias. Shapes: (..., E) -> (..., V)."""
        return ops.unembed(*self.head(weights, x))

    def head(self, weights: Scope, x: Array) -> tuple[Array, Array]:
        """What `logits` multiplies: the states, scaled by `1 / sqrt(E)` where the embedding table is the head too.

        Shapes: x (..., E) -> (..., E), (V, E).
        Spec: models.t5.head
        """
        table = weights["token_embedding"]
        if self.tie_embedding_weights:
            return ops.multiply(x, np.array(self.hidden_dim**-0.5, self.dtype)), table.embeddings
        return x, ops.transpose(table.reverse_embeddings, (1, 0))

    # -- cached decoding -------------------------------------------------------------------------------------------
    def cross_keys_values(self, weights: Scope, encoded: np.ndarray) -> np.ndarray:
        """What every decoder layer attends to in the source. Shapes: (B, S, E) -> (B, L, 2, S, H, D)."""
        layers = (weights[f"transformer_decoder_layer_{n}"]["cross_attention"] for n in range(self.num_layers))
        shape = (len(encoded), self.num_layers, 2, encoded.shape[1], self.num_heads, self.head_dim)
        pairs = (keys_and_values(encoded, layer, self.num_heads) for layer in layers)
        return stack_layers(pairs, shape, encoded.dtype)

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
        Spec: decoding.cache.equals-uncached, models.t5.position-bias
        """
        columns, positions = ids.shape[1], self_cache.shape[3]
        may_attend_past = attend_past(columns, positions, first)
        may_attend_source = attend_tokens(source_mask)
        bias = self.position_bias(weights, "decoder", columns, positions, first)
        new_cache = self_cache.copy()
        x = self.embed(weights, ids)
        for n in range(self.num_layers):
            layer = weights[f"transformer_decoder_layer_{n}"]
            cache = new_cache[:, n]  # (B, 2, T_max, H, D), a view

            def remember(kv: KeysValues, cache: np.ndarray = cache) -> KeysValues:
                cache[:, :, first : first + columns] = np.stack(kv, axis=1)
                return cache[:, 0], cache[:, 1]

            x = self.attend_self(x, bias, may_attend_past, layer, keep, remember)
            x = self.attend_source(x, (cross_cache[:, n, 0], cross_cache[:, n, 1]), may_attend_source, layer)
            x = self.transform(x, layer)
        return self.norm(x, weights["decoder_output_layer_norm"]), new_cache

    # -- weights and configuration ---------------------------------------------------------------------------------
    def weight_specs(self) -> Iterator[tuple[str, WeightSpec]]:
        """Name and shape of every weight, in KerasHub's order. Spec: models.weights.order, models.t5.initializers"""
        return t5_weights.weight_specs(self)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return super().get_config() | {"activation": serialized_activation(self.activation)}

    def hdf5_place(self, name: str) -> str:
        """The dataset of a weight in KerasHub's file."""
        return hdf5_place(name, self.num_layers)

    def tensor_place(self, name: str) -> TensorPlace:
        """The tensor of a weight in a checkpoint of transformers."""
        return tensor_place(name, self.tie_embedding_weights, self.use_gated_activation)

    def _check_config(self) -> None:
        """Sizes must be whole numbers above 0, rates and switches what they say (spec: models.t5.config)."""
        given = {key: getattr(self, key) for key in self.config_keys}
        sizes = ("vocabulary_size", "hidden_dim", "intermediate_dim", "num_heads", "key_value_dim")
        wrong = {key: given[key] for key in sizes if type(given[key]) is not int or given[key] < 1}
        if self.key_value_dim is None and not wrong.keys() - {"key_value_dim"} and self.hidden_dim >= self.num_heads:
            del wrong["key_value_dim"]
        if type(self.num_layers) is not int or self.num_layers < 0:
            wrong["num_layers"] = self.num_layers
        for key, end in (("dropout", 1.0), ("layer_norm_epsilon", float("inf"))):
            if type(given[key]) not in (int, float) or not 0.0 <= given[key] < end:
                wrong[key] = given[key]
        wrong |= {k: given[k] for k in ("use_gated_activation", "tie_embedding_weights") if type(given[k]) is not bool}
        if wrong or self.activation not in tuple(ACTIVATIONS):
            raise ConfigError(
                f"T5Backbone got {wrong or {'activation': self.activation}}.",
                "Sizes must be whole numbers above 0 (key_value_dim may be None if hidden_dim is at least num_heads), "
                f"dropout from 0 to below 1, switches True or False, activation one of {', '.join(ACTIVATIONS)}.",
                "Check the constructor's arguments or config.json.",
                "models.t5.config",
            )
