# ruff: noqa: ARG001, ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of T5's forward pass. `fault` is a row of the catalogue of real faults."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import argument, result, seen

OPS, POSITIONS, T5 = "refimpl.autograd.ops", "refimpl.models.positions", "refimpl.models.t5.backbone"
EMBEDDING, BUCKETS, BIAS = "models.t5.embedding", "models.t5.relative-buckets", "models.t5.position-bias"
ATTENTION, NORM, FORWARD = "models.t5.attention", "models.t5.rms-norm", "models.t5.feed-forward"
ENCODER, DECODER, HEAD = "models.t5.encoder-layer", "models.t5.decoder-layer", "models.t5.head"
CACHE, MASK, NOTHING = "decoding.cache.equals-uncached", "models.attention.mask", "models.attention.nothing-to-attend"


def _bias_where(wanted: Any) -> Any:
    """Attention with a bias that `wanted(bias, weights, keys)` gives."""

    def make(right: Any) -> Any:
        def attend(self: Any, kind: str, x: Any, view: Any, weights: Any, *rest: Any) -> Any:
            bias = wanted(view.bias, weights._path, view.may_attend.shape[-1])
            return right(self, kind, x, view._replace(bias=bias), weights, *rest)

        return attend

    return make


def _across(bias: Any, path: str, keys: int) -> Any:
    """A bias in cross-attention too: nearer positions count more."""
    return -0.1 * np.arange(keys, dtype=np.float32)[None, None] if bias is None else bias


def _first_layer_only(bias: Any, path: str, keys: int) -> Any:
    return bias if bias is None or "layer_0" in path else bias * 0


def _gate_activated(_right: Any) -> Any:
    """The activation is on the gate."""

    def feed_forward(self: Any, x: Any, weights: Any, drop: Any = None) -> Any:
        from refimpl.autograd import ops
        from refimpl.models.activations import ACTIVATIONS

        act, first = ACTIVATIONS[self.activation], ops.project(x, weights["input_projector"].kernel)
        if not self.use_gated_activation:
            return ops.project(act(first), weights["output_projector"].kernel)
        gate = act(ops.project(x, weights["gate_projector"].kernel))
        return ops.project(first * gate, weights["output_projector"].kernel)

    return feed_forward


def _head(change: Any) -> Any:
    """T5Backbone.head with other states: `change(model, x, states)`."""

    def make(right: Any) -> Any:
        def head(self: Any, weights: Any, x: Any) -> Any:
            states, table = right(self, weights, x)
            return change(self, x, states), table

        return head

    return make


def _norms_without(path: str) -> Any:
    """No norm where the weights lie at `path`."""
    return lambda right: lambda self, x, weights: x if path in weights._path else right(self, x, weights)


def _rms(formula: Any) -> Any:
    return lambda _right: lambda x, gain, epsilon: formula(x, gain, epsilon).astype(x.dtype)


def _transform_on_sum(right: Any) -> Any:
    """The norm takes the place of the input: the sum is of normed states."""
    return lambda self, x, weights, *rest: right(self, self.norm(x, weights["layer_norm"]), weights, *rest)


MUTANTS = [
    Mutant("t5-bucket-sign", "P10", (BUCKETS,), ((POSITIONS, "relative_buckets", lambda right: lambda d, both: right(-d, both)),)),
    Mutant("t5-maximal-distance-64", "P10", (BUCKETS,), ((POSITIONS, "MAX_DISTANCE", lambda _: 64),)),
    Mutant("t5-maximal-distance-256", "P10", (BUCKETS,), ((POSITIONS, "MAX_DISTANCE", lambda _: 256),)),
    Mutant("t5-buckets-not-clamped-but-folded", "P10", (BUCKETS,),
           ((POSITIONS, "relative_buckets", lambda right: lambda d, both: right(np.where(np.abs(d) > 128, d % 128, d), both)),)),
    Mutant("t5-decoder-buckets-of-the-encoder", "P10", (BUCKETS,),
           ((POSITIONS, "relative_buckets", lambda right: lambda d, both: right(d, True)),)),
    Mutant("t5-encoder-looks-back-only", "P10", (BUCKETS,),
           ((POSITIONS, "relative_buckets", lambda right: lambda d, both: right(d, False)),)),
    Mutant("t5-bias-of-position-0-in-cached-steps", "P11", (CACHE, BIAS),
           ((T5, "relative_bias", lambda right: lambda q, k, first, *rest: right(q, k, 0, *rest)),)),
    Mutant("t5-cached-bias-wraps-at-128", "P11", (CACHE, BIAS),
           ((T5, "relative_bias", lambda right: lambda q, k, first, *rest: right(q, k, first % 128, *rest)),)),
    Mutant("t5-bias-in-cross-attention", "P12", (BIAS, DECODER), ((T5, "T5Backbone.attend", _bias_where(_across)),)),
    Mutant("t5-bias-in-the-first-layer-only", "P10", (BIAS,), ((T5, "T5Backbone.attend", _bias_where(_first_layer_only)),)),
    Mutant("t5-scores-scaled", "M15", (ATTENTION,), ((T5, "T5Backbone.attention_of", result(lambda kind: replace(kind, scale=0.5))),), "*attention"),
    Mutant("t5-cross-mask-missing", "M01", (MASK, DECODER),
           ((T5, "T5Backbone.attend", argument(3, lambda view: (
               view._replace(may_attend=np.ones_like(view.may_attend)) if view.kv else view))),)),
    Mutant("t5-mean-over-nothing", "M05", (NOTHING,),
           ((T5, "T5Backbone.attend", argument(3, seen(lambda may: may | ~may.any(-1, keepdims=True)))),)),
    Mutant("t5-layer-norm", "N02", (NORM, ENCODER), ((OPS, "rms_norm", _rms(
        lambda x, g, e: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + e) * g)),)),
    Mutant("t5-epsilon-1e-12", "N01", (NORM,), ((OPS, "rms_norm", argument(2, lambda _: 1e-12)),)),
    Mutant("t5-epsilon-always-1e-6", "N01", (NORM,), ((OPS, "rms_norm", argument(2, lambda _: 1e-6)),)),
    Mutant("t5-gain-plus-one", "N01", (NORM,), ((OPS, "rms_norm", argument(1, lambda g: g + 1)),)),
    Mutant("t5-gelu-tanh", "N05", (FORWARD,),
           ((T5, "ACTIVATIONS", lambda right: {**right, "gelu": right["gelu_approximate"]}),)),
    Mutant("t5-activation-on-the-gate", "N06", (FORWARD,), ((T5, "T5Backbone.feed_forward", _gate_activated),)),
    Mutant("t5-gelu-for-relu", "N06", (FORWARD,), ((T5, "ACTIVATIONS", lambda right: {**right, "relu": right["gelu"]}),)),
    Mutant("t5-norm-replaces-the-input", "N07", (ENCODER, DECODER), ((T5, "T5Backbone.transform", _transform_on_sum),)),
    Mutant("t5-no-final-norm-in-the-encoder", "N07", (ENCODER,),
           ((T5, "T5Backbone.norm", _norms_without("encoder_output_layer_norm")),)),
    Mutant("t5-no-final-norm-in-the-decoder", "N07", (DECODER,),
           ((T5, "T5Backbone.norm", _norms_without("decoder_output_layer_norm")),)),
    Mutant("t5-embeddings-scaled", "P08", (EMBEDDING,),
           ((T5, "T5Backbone.embed", lambda right: lambda self, *rest: right(self, *rest) * np.float32(self.hidden_dim**0.5)),)),
    Mutant("t5-tied-head-not-scaled", "N08", (HEAD, "models.logits"), ((T5, "T5Backbone.head", _head(lambda m, x, states: x)),)),
    Mutant("t5-own-head-scaled", "N08", (HEAD, "models.logits"),
           ((T5, "T5Backbone.head", _head(lambda m, x, states: x * np.float32(m.hidden_dim**-0.5))),)),
]  # fmt: skip
