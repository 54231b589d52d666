"""The encoder-decoder, once for all architectures: two stacks of layers, the second attending to the first.

An architecture says what its layers are; here stands what runs them, over whole sequences or column by column.

Letters: B batch, S source length, T target length, L layers, H heads, K key/value heads, D head width, E hidden,
V vocabulary.
Source: Vaswani et al. 2017, section 3
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from refimpl.autograd import ops
from refimpl.autograd.dropout import Dropout
from refimpl.models.attention import Array, Attention, View, keep, may_attend_past, may_attend_tokens
from refimpl.models.weights import Scope

Batch = Mapping[str, np.ndarray]


class Past(NamedTuple):
    """What columns before `first` left behind. `decode` writes the new columns into `own`.

    Shapes: own (B, L, 2, T_max, K, D), cross (B, L, 2, S, K, D). Spec: decoding.cache.layout
    """

    own: np.ndarray
    cross: np.ndarray
    first: int


class EncoderDecoder:
    """Encoder and decoder as functions of the weights, which may be nodes of the tape.

    `drop` is the dropout of a training pass.
    """

    layer_name: ClassVar[str] = "transformer_{}_layer_{}"
    source_key: ClassVar[str] = "encoder_token_ids"
    inert_padding: ClassVar[bool] = True  # whether padding at the end of a source changes nothing before it
    config: Any
    num_layers: int
    logit_cap: float | None  # the soft cap of the logits

    # -- what an architecture defines ------------------------------------------------------------------------------
    def attention_of(self, side: str) -> Attention:
        """The attention of a stack."""
        raise NotImplementedError

    def embed(self, weights: Scope, side: str, ids: np.ndarray, first: int, drop: Dropout = keep) -> Array:
        """Tokens at positions from `first` on. Shapes: ids (B, T) -> (B, T, E)."""
        raise NotImplementedError

    def attend(self, kind: str, x: Array, view: View, weights: Scope, drop: Dropout) -> Array:
        """Attention of a kind, with the norms around it, added to its input. Shapes: (B, T, E) -> (B, T, E)."""
        raise NotImplementedError

    def transform(self, x: Array, weights: Scope, drop: Dropout) -> Array:
        """The feed-forward, with the norms around it, added to its input. Shapes: (B, T, E) -> (B, T, E)."""
        raise NotImplementedError

    def head(self, weights: Scope, x: Array) -> tuple[Array, Array]:
        """What `logits` multiplies, for a loss that never holds all logits. Shapes: (..., E) -> (..., E), (V, E)."""
        raise NotImplementedError

    # -- what it may define ----------------------------------------------------------------------------------------
    def encoder_layer(self, n: int, x: Array, own: View, weights: Scope, drop: Dropout = keep) -> Array:
        """Layer n of the encoder: attention to all of the source, feed-forward. Shapes: (B, S, E) -> (B, S, E).

        Spec: models.bart.encoder-layer, models.t5.encoder-layer
        """
        return self.transform(self.attend("self_attention", x, own, weights, drop), weights, drop)

    def decoder_layer(self, n: int, x: Array, own: View, source: View, weights: Scope, drop: Dropout = keep) -> Array:
        """Layer n of the decoder: attention to what was said, attention to the source, feed-forward.

        Shapes: (B, T, E) -> (B, T, E).
        Spec: models.bart.decoder-layer, models.t5.decoder-layer
        """
        x = self.attend("self_attention", x, own, weights, drop)
        x = self.attend("cross_attention", x, source, weights, drop)
        return self.transform(x, weights, drop)

    def encode_source(self, weights: Scope, batch: Batch, drop: Dropout = keep) -> tuple[Array, np.ndarray]:
        """What the encoder's layers start from, and its padding mask. Shapes: -> (B, S, E), (B, S)."""
        return self.embed(weights, "encoder", batch["encoder_token_ids"], 0, drop), batch["encoder_padding_mask"]

    def source_length(self, columns: int) -> int:
        """The number of states that the encoder gives for a source of so many columns."""
        return columns

    def position_bias(self, weights: Scope, side: str, queries: int, keys: int, first: int = 0) -> Array | None:
        """What self-attention adds to its scores, in all layers of a stack. Shapes: -> (H, T, S)."""
        return None

    def reach(self, side: str, n: int) -> int | None:
        """How many positions from its own layer n of a stack sees of its sequence; None: all."""
        return None

    def final_norm(self, weights: Scope, side: str, x: Array, drop: Dropout = keep) -> Array:
        """What is behind the layers of a stack. Shapes: (B, T, E) -> (B, T, E)."""
        return x

    def check_length(self, side: str, length: int) -> None:
        """Refuse a sequence that is too long; without a position table none is."""

    # -- what all share --------------------------------------------------------------------------------------------
    def forward(self, weights: Scope, batch: Batch, drop: Dropout = keep) -> dict[str, Array]:
        """Encoder and decoder over whole sequences.

        Shapes: ids and masks (B, S) and (B, T) -> (B, S, E) and (B, T, E).
        """
        encoded, mask = self.encode(weights, batch, drop)
        decoded = self.decode(weights, {**batch, "encoder_padding_mask": mask}, encoded, drop)
        return {"encoder_sequence_output": encoded, "decoder_sequence_output": decoded}

    def encode(self, weights: Scope, batch: Batch, drop: Dropout = keep) -> tuple[Array, np.ndarray]:
        """The encoder, and the padding mask of what it gives. Shapes: -> (B, S, E), (B, S)."""
        x, mask = self.encode_source(weights, batch, drop)
        length = x.shape[1]
        own = View(may_attend_tokens(mask), self.position_bias(weights, "encoder", length, length))
        for n, layer in enumerate(self.layers_of(weights, "encoder")):
            x = self.encoder_layer(n, x, own.within(self.reach("encoder", n), length), layer, drop)
        return self.final_norm(weights, "encoder", x, drop), mask

    def decode(
        self, weights: Scope, batch: Batch, encoded: Array, drop: Dropout = keep, past: Past | None = None
    ) -> Array:
        """The decoder over a whole sequence, or with `past` over the columns that follow it: then keys and values of
        the source and of earlier columns are not computed again, and prompts are taken as having no holes.

        Shapes: encoded (B, S, E), decoder ids (B, T) -> (B, T, E).
        Spec: decoding.cache.equals-uncached
        """
        ids = batch["decoder_token_ids"]
        first, columns = (0, ids.shape[1]) if past is None else (past.first, past.own.shape[3])
        may_attend = may_attend_past(ids.shape[1], columns, first)
        if past is None:
            may_attend = may_attend & may_attend_tokens(batch["decoder_padding_mask"])
        bias = self.position_bias(weights, "decoder", ids.shape[1], columns, first)
        own = View(may_attend, bias, first, side="decoder")
        source = View(may_attend_tokens(batch["encoder_padding_mask"]), side="decoder")
        x = self.embed(weights, "decoder", ids, first, drop)
        for n, layer in enumerate(self.layers_of(weights, "decoder")):
            if past is None:
                kv = self.attention.keys_values(encoded, layer["cross_attention"])
            else:
                own, kv = own._replace(cache=past.own[:, n]), (past.cross[:, n, 0], past.cross[:, n, 1])
            near = own.within(self.reach("decoder", n), ids.shape[1])
            x = self.decoder_layer(n, x, near, source._replace(kv=kv), layer, drop)
        return self.final_norm(weights, "decoder", x, drop)

    def cross_keys_values(self, weights: Scope, encoded: np.ndarray) -> np.ndarray:
        """What every decoder layer attends to in the source. Shapes: (B, S, E) -> (B, L, 2, S, K, D).

        Spec: models.bart.no-layers
        """
        found = np.empty((len(encoded), *self.cache_shape(encoded.shape[1])), encoded.dtype)
        for n, layer in enumerate(self.layers_of(weights, "decoder")):
            found[:, n] = np.stack(self.attention.keys_values(encoded, layer["cross_attention"]), axis=1)
        return found

    def cache_shape(self, length: int) -> tuple[int, ...]:
        """The shape of a row of a cache. Shapes: (L, 2, T, K, D)."""
        return self.num_layers, 2, length, self.attention.cached_heads, self.attention.head_dim

    def logits(self, weights: Scope, x: Array) -> Array:
        """Scores of all tokens. Shapes: (..., E) -> (..., V)."""
        scores = ops.unembed(*self.head(weights, x))
        return scores if self.logit_cap is None else ops.soft_cap(scores, self.logit_cap)

    def layers_of(self, weights: Scope, side: str) -> Iterator[Scope]:
        """The weights of each layer of a stack."""
        return (weights[self.layer_name.format(side, n)] for n in range(self.depth(side)))

    def depth(self, side: str) -> int:
        """The number of layers of a stack."""
        return int(self.config.side(side, "num_layers"))

    def width(self, side: str) -> int:
        """E of a stack."""
        return int(self.config.side(side, "hidden_dim"))

    @property
    def attention(self) -> Attention:
        """The decoder's attention."""
        return self.attention_of("decoder")
