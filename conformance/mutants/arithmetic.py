# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of the forward pass. `fault` is a row of the catalogue of real faults (P positions, M masks, N norms, D, X, W)."""

from typing import Any

import numpy as np

from conformance.mutants import Mutant

OPS, BART = "refimpl.autograd.ops", "refimpl.models.bart.backbone"
STACKS, ATTENTION = "refimpl.models.encoder_decoder", "refimpl.models.attention"
SCALE, MASK, NOTHING = "models.attention.scale", "models.attention.mask", "models.attention.nothing-to-attend"
EMBEDDING, EPSILON, HEAD = "models.bart.embedding", "models.bart.layer-norm-epsilon", "models.bart.tied-head"
ENCODER, DECODER, CACHE = "models.bart.encoder-layer", "models.bart.decoder-layer", "decoding.cache.equals-uncached"


def attention(change: Any) -> Any:
    """Attention whose query, key, value and mask go through `change` first."""
    return lambda right: lambda q, k, v, may, *rest: right(*change(q, k, v, may), *rest)


def argument(number: int, change: Any) -> Any:
    """A function that gets argument `number` changed."""
    return lambda right: lambda *a, **k: right(*a[:number], change(a[number]), *a[number + 1 :], **k)


def result(change: Any) -> Any:
    """A function whose result is changed."""
    return lambda right: lambda *a, **k: change(right(*a, **k))


def everywhere(may: Any) -> Any:
    """A padding mask (B, 1, 1, S) that hides nothing; other masks as they are."""
    return np.ones_like(may) if may.shape[1:3] == (1, 1) and may.shape[0] > 0 else may


def seen(change: Any) -> Any:
    """A view of attention whose mask goes through `change`."""
    return lambda view: view._replace(may_attend=change(view.may_attend))


def norm(formula: Any) -> Any:
    """Another layer norm."""
    return lambda _right: lambda x, gamma, beta, epsilon: formula(x, gamma, beta, epsilon).astype(x.dtype)


def _normed(x: Any, variance: Any, epsilon: float) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(variance + epsilon)


def _embed(place: Any) -> Any:
    """BartBackbone.embed with another side or first position; `place(side, ids, first)` gives both."""

    def make(right: Any) -> Any:
        def embed(self: Any, weights: Any, side: str, ids: Any, first: int, *rest: Any) -> Any:
            side, first = place(side, ids, first)
            first = max(min(first, self.max_sequence_length - ids.shape[1]), 0)
            return right(self, weights, side, ids, first, *rest)

        return embed

    return make


MUTANTS = [
    Mutant("scale-by-hidden", "M16", (SCALE,),
           ((OPS, "attention", attention(lambda q, k, v, m: (q / np.sqrt(q.dtype.type(q.shape[2])), k, v, m))),)),
    Mutant("no-scale", "M15", (SCALE,),
           ((OPS, "attention", attention(lambda q, k, v, m: (q * np.sqrt(q.dtype.type(q.shape[3])), k, v, m))),)),
    Mutant("padding-mask-ignored", "M04", (MASK,),
           ((OPS, "attention", attention(lambda q, k, v, m: (q, k, v, everywhere(m)))),)),
    Mutant("cross-mask-missing", "M01", (MASK, DECODER),
           ((STACKS, "EncoderDecoder.decoder_layer", argument(4, seen(np.ones_like))),)),
    Mutant("encoder-mask-missing", "M04", (MASK, ENCODER), ((STACKS, "EncoderDecoder.encoder_layer", argument(3, seen(np.ones_like))),)),
    Mutant("sees-one-token-ahead", "M08", (MASK, DECODER),
           ((STACKS, "may_attend_past", lambda right: lambda queries, keys, first=0: right(queries, keys, first + 1)),)),
    Mutant("does-not-see-itself", "M08", (MASK, DECODER),
           ((STACKS, "may_attend_past", lambda right: lambda queries, keys, first=0: right(queries, keys, first - 1)),)),
    Mutant("causal-mask-forgets-the-cache", "M08", (CACHE,),
           ((STACKS, "may_attend_past", lambda right: lambda queries, keys, first=0: right(queries, keys, 0)),)),
    Mutant("mean-over-nothing", "M05", (NOTHING,),
           ((OPS, "attention", attention(lambda q, k, v, m: (q, k, v, m | ~m.any(-1, keepdims=True)))),)),
    Mutant("attends-first-when-nothing", "M05", (NOTHING,),
           ((OPS, "attention", attention(
               lambda q, k, v, m: (q, k, v, m | (~m.any(-1, keepdims=True) & (np.arange(m.shape[-1]) == 0))))),)),
    Mutant("keys-and-values-swapped", "M11", (DECODER, ENCODER), ((ATTENTION, "Attention.keys_values", result(lambda kv: kv[::-1])),)),
    Mutant("heads-in-another-order", "M11", (ENCODER,), ((OPS, "attention", result(lambda x: x[:, :, ::-1])),)),
    Mutant("gelu-tanh", "N05", (ENCODER, DECODER), ((OPS, "gelu", lambda _right: lambda x: (
        0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))).astype(x.dtype)),)),
    Mutant("relu", "N06", (ENCODER, DECODER), ((OPS, "gelu", lambda _right: lambda x: np.maximum(x, 0)),)),
    Mutant("epsilon-1e-12", "N01", (EPSILON,), ((OPS, "layer_norm", argument(3, lambda _: 1e-12)),)),
    Mutant("epsilon-1e-6", "N01", (EPSILON,), ((OPS, "layer_norm", argument(3, lambda _: 1e-6)),)),
    Mutant("epsilon-outside-the-root", "N01", (EPSILON,), ((OPS, "layer_norm", norm(
        lambda x, g, b, e: (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + e) * g + b)),)),
    Mutant("sample-variance", "N01", (ENCODER, DECODER), ((OPS, "layer_norm", norm(
        lambda x, g, b, e: _normed(x, x.var(-1, keepdims=True, ddof=1), e) * g + b)),)),
    Mutant("norm-without-mean", "N02", (ENCODER,), ((OPS, "layer_norm", norm(
        lambda x, g, b, e: x / np.sqrt((x * x).mean(-1, keepdims=True) + e) * g + b)),)),
    Mutant("norm-without-shift", "N01", (ENCODER, DECODER), ((OPS, "layer_norm", argument(2, lambda b: b * 0)),)),
    Mutant("gain-plus-one", "N01", (ENCODER, DECODER), ((OPS, "layer_norm", argument(1, lambda g: g + 1)),)),
    Mutant("bias-dropped", "N12", (ENCODER, DECODER), ((OPS, "linear", argument(2, lambda b: b * 0)),)),
    Mutant("pre-norm", "N07", (ENCODER,), ((STACKS, "EncoderDecoder.encoder_layer", argument(2, lambda x: x - x.mean(-1, keepdims=True))),)),
    Mutant("last-encoder-layer-skipped", "W02", (ENCODER,), ((STACKS, "EncoderDecoder.depth", lambda right: lambda self, side: (
               max(right(self, side) - (side == "encoder"), 1))),)),
    Mutant("position-offset-2", "P01", (EMBEDDING,),
           ((BART, "BartBackbone.embed", _embed(lambda side, ids, first: (side, first + 2))),)),
    Mutant("one-position-table", "N11", (EMBEDDING,),
           ((BART, "BartBackbone.embed", _embed(lambda side, ids, first: ("encoder", first))),)),
    Mutant("decoder-position-0-in-cached-steps", "P05", (CACHE,),
           ((BART, "BartBackbone.embed", _embed(
               lambda side, ids, first: (side, 0 if side == "decoder" and ids.shape[1] == 1 else first))),)),
    Mutant("embeddings-scaled", "P08", (EMBEDDING,),
           ((OPS, "embed", lambda right: lambda table, ids: right(table, ids) * (
               np.sqrt(table.dtype.type(table.shape[1])) if ids.ndim == 2 else 1)),)),
    Mutant("head-scaled", "N08", (HEAD, "models.logits"),
           ((STACKS, "EncoderDecoder.logits", result(lambda x: x / np.sqrt(x.dtype.type(12)))),)),
    Mutant("head-untied", "W09", (HEAD, "models.logits"),
           ((OPS, "unembed", argument(1, lambda table: np.roll(table, 1, axis=0))),)),
    Mutant("head-in-half-precision", "N17", (HEAD, "models.logits"),
           ((OPS, "unembed", result(lambda x: x.astype(np.float16).astype(x.dtype))),)),
    Mutant("dropout-left-on", "D17", ("invariance.calls", "models.logits"),
           ((OPS, "gelu", result(lambda x: x * (np.random.default_rng().random(x.shape) >= 0.1).astype(x.dtype) / 0.9)),)),
    Mutant("rows-leak-in-the-last-bits", "S06", ("invariance.rows",),
           ((OPS, "matmul_rows", result(lambda x: x * x.dtype.type(1 + 1e-6 * np.tanh(x.size % 7)))),)),
]  # fmt: skip
