# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of the forward pass that are wrong at an edge only: in a batch, at the last position, in one sublayer."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import (
    BART,
    CACHE,
    DECODER,
    EMBEDDING,
    ENCODER,
    EPSILON,
    HEAD,
    MASK,
    NOTHING,
    OPS,
    SCALE,
    STACKS,
    attention,
    norm,
    result,
)

ATTENTION = "refimpl.autograd.attention"
LIMIT = "models.bart.position-limit"


def rest_of_batch(change: Any) -> Any:
    """A change of an array that leaves the first row as it is."""

    def make(x: Any) -> Any:
        found = np.array(x)
        found[1:] = change(found[1:])
        return found

    return make


def _embed(change: Any) -> Any:
    """`BartBackbone.embed` with other position numbers: `change(self, side, numbers)`."""

    def make(right: Any) -> Any:
        def embed(self: Any, weights: Any, side: str, ids: Any, first: int, *rest: Any) -> Any:
            table = f"{side}_position_embedding/embeddings"
            kept = self.params[table]
            numbers = np.arange(len(kept))
            self.params[table] = kept[np.clip(change(self, side, numbers), 0, len(kept) - 1)]
            try:
                return right(self, type(weights)(self.params), side, ids, first, *rest)
            finally:
                self.params[table] = kept

        return embed

    return make


def _without_bias(*kinds: str) -> Any:
    """Projections of these kinds lose their bias."""

    def make(right: Any) -> Any:
        def read(self: Any, name: str) -> Any:
            found = right(self, name)
            return found * 0 if name == "bias" and any(kind in self._prefix for kind in kinds) else found

        return read

    return make


def _weight(change: Any) -> Any:
    """The weights as they come from the file, changed by name."""

    def make(right: Any) -> Any:
        def read(self: Any, layout: Any, dtype: str) -> Any:
            return {name: change(name, array) for name, array in right(self, layout, dtype).items()}

        return read

    return make


def named(part: str, change: Any) -> Any:
    """A change of the weights whose names hold `part`."""
    return _weight(lambda name, array: change(array).astype(array.dtype) if part in name else array)


def _in_one_pass(x: Any, g: Any, b: Any, e: float) -> Any:
    """The variance as a difference of two means, which cancel where it is small."""
    mean = x.mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(np.maximum((x * x).mean(-1, keepdims=True) - mean * mean, 0) + x.dtype.type(e)) * g + b


def _unstable(_right: Any) -> Any:
    """Softmax that does not take the highest score away first."""

    def softmax(scores: Any, may: Any) -> Any:
        with np.errstate(all="ignore"):
            weights = np.where(may, np.exp(scores), scores.dtype.type(0))
            total = weights.sum(axis=-1, keepdims=True)
            return weights / np.where(total > 0, total, 1).astype(scores.dtype)

    return softmax


def _masked_by_number(low: float) -> Any:
    """A mask that is a large number, added: too small a number lets padding through."""
    return lambda right: (
        lambda scores, may: right(
            np.where(may, scores, scores + scores.dtype.type(low)), may | may.any(-1, keepdims=True)
        )
    )


def _after_softmax(right: Any) -> Any:
    """Probabilities of padding are zeroed and the rest is not scaled up."""
    return lambda scores, may: right(scores, np.ones_like(may)) * may


def cached(change: Any) -> Any:
    """`decode` with a changed past: `change(ids, first, own, cross, mask)`."""

    def make(right: Any) -> Any:
        def decode(self: Any, weights: Any, batch: Any, *rest: Any, past: Any = None) -> Any:
            if past is None:
                return right(self, weights, batch, *rest)
            mask = batch["encoder_padding_mask"]
            ids, first, own, cross, mask = change(batch["decoder_token_ids"], past.first, past.own, past.cross, mask)
            given = {"decoder_token_ids": ids, "encoder_padding_mask": mask}
            states = right(self, weights, given, *rest, past=type(past)(own, cross, first))
            past.own[...] = own
            return states

        return decode

    return make


def _last_source_lost(mask: Any) -> Any:
    """The last token of each source is hidden, as if its length were counted from 1."""
    used = np.asarray(mask).sum(axis=1)
    return np.asarray(mask) & (np.arange(mask.shape[1]) != used[:, None] - 1)


def _one_length(mask: Any) -> Any:
    """Every row is as long as the first one."""
    return np.repeat(np.asarray(mask)[:1], len(mask), axis=0)


def _encode(change: Any) -> Any:
    """The encoder with another padding mask; the decoder has the right one."""

    def make(right: Any) -> Any:
        def encode(self: Any, weights: Any, batch: Any, *rest: Any) -> Any:
            mask = batch["encoder_padding_mask"]
            return right(self, weights, {**batch, "encoder_padding_mask": change(mask)}, *rest)[0], mask

        return encode

    return make


MUTANTS = [
    Mutant("last-position-shared", "P02", (EMBEDDING, LIMIT), ((BART, "BartBackbone.embed", _embed(lambda self, side, n: np.minimum(n, len(n) - 2))),)),
    Mutant("last-position-shared-in-the-decoder", "P02", (EMBEDDING, LIMIT), ((BART, "BartBackbone.embed", _embed(
        lambda self, side, n: np.minimum(n, len(n) - 2) if side == "decoder" else n)),)),
    Mutant("positions-from-one", "P01", (EMBEDDING,), ((BART, "BartBackbone.embed", _embed(lambda self, side, n: n + 1)),)),
    Mutant("encoder-positions-reversed", "P01", (EMBEDDING,), ((BART, "BartBackbone.embed", _embed(
        lambda self, side, n: n[::-1] if side == "encoder" else n)),)),
    Mutant("position-limit-one-short", "P02", (LIMIT,), ((BART, "BartBackbone.check_length", lambda right: lambda self, side, n: right(self, side, n + 1)),)),
    Mutant("mask-of-the-first-row-for-all", "P05", (MASK, ENCODER), ((STACKS, "EncoderDecoder.encode", _encode(_one_length)),)),
    Mutant("last-source-token-hidden", "M14", (MASK, ENCODER), ((STACKS, "EncoderDecoder.encode", _encode(_last_source_lost)),)),
    Mutant("mask-by-length", "M10", (MASK,), ((STACKS, "EncoderDecoder.encode", _encode(
        lambda mask: np.arange(mask.shape[1]) < np.asarray(mask).sum(axis=1)[:, None])),)),
    Mutant("cross-mask-of-the-first-row", "M13", (CACHE,), ((STACKS, "EncoderDecoder.decode", cached(
        lambda ids, first, own, cross, mask: (ids, first, own, cross, _one_length(mask)))),)),
    Mutant("cross-cache-of-the-first-row", "M13", (CACHE, "generate.ragged-prompts"), ((STACKS, "EncoderDecoder.cross_keys_values", result(
        lambda x: np.repeat(x[:1], len(x), axis=0))),)),
    Mutant("self-cache-of-the-first-row", "M13", (CACHE,), ((STACKS, "EncoderDecoder.decode", cached(
        lambda ids, first, own, cross, mask: (ids, first, np.repeat(own[:1], len(own), axis=0) if first > 3 else own, cross, mask))),)),
    Mutant("cached-chunks-see-no-own-past", "M08", (CACHE,), ((STACKS, "may_attend_past", lambda right: lambda queries, keys, first=0: (
        right(queries, keys, first) & (np.arange(keys) < first + 1) if first and queries > 1 else right(queries, keys, first))),)),
    Mutant("chunk-mask-open", "M08", (CACHE,), ((STACKS, "may_attend_past", lambda right: lambda queries, keys, first=0: (
        right(queries, keys, first + queries - 1 if first else 0))),)),
    Mutant("cache-window-of-nine", "P17", (CACHE,), ((STACKS, "may_attend_past", lambda right: lambda queries, keys, first=0: (
        right(queries, keys, first) & (np.arange(keys) > first + np.arange(queries)[:, None] - 9))),)),
    Mutant("first-column-forgotten", "P17", (CACHE, DECODER), ((STACKS, "may_attend_past", lambda right: lambda queries, keys, first=0: (
        right(queries, keys, first) & ((np.arange(keys) > 0) | (first + np.arange(queries)[:, None] < 5)))),)),
    Mutant("cross-mask-missing-in-prefill", "M23", (CACHE,), ((STACKS, "EncoderDecoder.decode", cached(
        lambda ids, first, own, cross, mask: (ids, first, own, cross, np.ones_like(mask) if ids.shape[1] > 1 else mask))),)),
    Mutant("values-cached-before-the-bias", "M11", (CACHE,), ((STACKS, "EncoderDecoder.decode", cached(
        lambda ids, first, own, cross, mask: (ids, first, own * np.array([1, 0.999], own.dtype)[None, None, :, None, None, None], cross, mask))),)),
    Mutant("last-head-forgotten", "M11", (ENCODER, DECODER), ((OPS, "attention", result(
        lambda x: np.concatenate([x[:, :, :-1], x[:, :, -2:-1]], axis=2))),)),
    Mutant("one-head-for-the-rest-of-the-batch", "B03", (MASK, "invariance.rows"), ((OPS, "attention", result(rest_of_batch(lambda x: x[:, :, ::-1]))),)),
    Mutant("scale-twice", "M15", (SCALE,), ((OPS, "attention", attention(lambda q, k, v, m: (q / np.sqrt(q.dtype.type(q.shape[3])), k, v, m))),)),
    Mutant("scale-of-neighbour-width", "M16", (SCALE,), ((OPS, "attention", attention(
        lambda q, k, v, m: (q * np.sqrt(q.dtype.type(q.shape[3] / (q.shape[3] + 1))), k, v, m))),)),
    Mutant("softmax-without-the-highest", "M06", (ENCODER, SCALE), ((ATTENTION, "softmax", _unstable),)),
    Mutant("mask-of-minus-thirty", "M06", (MASK,), ((ATTENTION, "softmax", _masked_by_number(-30.0)),)),
    Mutant("mask-after-softmax", "M19", (MASK,), ((ATTENTION, "softmax", _after_softmax),)),
    Mutant("attention-capped", "M18", (ENCODER, SCALE), ((ATTENTION, "softmax", lambda right: lambda scores, may: right(50 * np.tanh(scores / 50), may)),)),
    Mutant("half-precision-softmax", "N17", (ENCODER, DECODER), ((ATTENTION, "softmax", result(lambda w: w.astype(np.float16).astype(w.dtype))),)),
    Mutant("empty-rows-give-nan", "M05", (NOTHING,), ((ATTENTION, "softmax", lambda right: lambda scores, may: np.where(
        may.any(-1, keepdims=True), right(scores, may), scores.dtype.type(np.nan))),)),
    Mutant("empty-row-takes-the-batch-along", "M05", (NOTHING,), ((STACKS, "may_attend_tokens", lambda right: lambda mask: right(
        mask if np.asarray(mask).any(axis=1).all() else np.zeros_like(mask))),)),
    Mutant("gelu-by-sigmoid", "N05", (ENCODER, DECODER), ((OPS, "gelu", lambda _right: lambda x: (x / (1 + np.exp(-1.702 * x))).astype(x.dtype)),)),
    Mutant("gelu-without-x", "N05", (ENCODER, DECODER), ((OPS, "gelu", lambda right: lambda x: right(x) / np.where(x == 0, 1, x)),)),
    Mutant("swish", "N06", (ENCODER, DECODER), ((OPS, "gelu", lambda _right: lambda x: (x / (1 + np.exp(-x))).astype(x.dtype)),)),
    Mutant("variance-in-one-pass", "N01", (EPSILON,), ((OPS, "layer_norm", norm(_in_one_pass)),)),
    Mutant("epsilon-1e-3", "N01", (EPSILON,), ((BART, "EPSILON", lambda _right: 1e-3),)),
    Mutant("query-bias-dropped", "N12", (ENCODER, DECODER), (("refimpl.presets.folder", "PresetFolder.read_weights", named("query/bias", lambda w: w * 0)),)),
    Mutant("cross-output-bias-dropped", "N12", (DECODER, NOTHING), (("refimpl.presets.folder", "PresetFolder.read_weights",
        named("cross_attention/attention_output/bias", lambda w: w * 0)),)),
    Mutant("heads-and-widths-swapped", "W02", (ENCODER, DECODER), (("refimpl.presets.folder", "PresetFolder.read_weights",
        named("query/kernel", lambda w: w.reshape(w.shape[0], w.shape[2], w.shape[1]).swapaxes(1, 2))),)),
    Mutant("weights-through-half-precision", "N17", (HEAD, "models.logits"), (("refimpl.presets.folder", "PresetFolder.read_weights",
        named("", lambda w: w.astype(np.float16))),)),
    Mutant("decoder-norm-of-the-encoder", "N11", (EMBEDDING,), (("refimpl.presets.folder", "PresetFolder.read_weights", lambda right: lambda *a: _tied_norms(right(*a))),)),
    Mutant("last-word-unscored", "N18", (HEAD,), ((OPS, "unembed", result(lambda x: np.concatenate([x[..., :-1], x[..., -1:] * 0], axis=-1))),)),
    Mutant("padded-words-scored", "N18", (HEAD, "generate.greedy.argmax"), ((OPS, "unembed", result(
        lambda x: np.concatenate([x, np.zeros_like(x[..., :1])], axis=-1))),)),
]  # fmt: skip
# Where the patched place (a softmax for all layers, a weight of one) does not tell the block.
BLOCKS = {
    **dict.fromkeys(("query-bias-dropped", "cross-output-bias-dropped", "heads-and-widths-swapped"), "*attention"),
    "weights-through-half-precision": "encoder* decoder* logits presets*",
    "decoder-norm-of-the-encoder": "*_norm *.embed",
    "epsilon-1e-3": "*_norm",
}
MUTANTS = [
    replace(m, block=BLOCKS.get(m.name, "*attention" if m.patches[0][0] == ATTENTION else m.block)) for m in MUTANTS
]


def _tied_norms(weights: dict[str, Any]) -> dict[str, Any]:
    """One layer norm of embeddings for both sides."""
    return weights | {
        name: weights[name.replace("decoder_emb", "encoder_emb")]
        for name in weights
        if name.startswith("decoder_embeddings")
    }
