# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of Moonshine: from recordings to frames, and through the model. `fault` is a row of the catalogue of real faults."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import ATTENTION, OPS, result
from conformance.quirks.generating import starts_twice, zeros_are_padding

CLAUSE, MOONSHINE = "models.moonshine", "refimpl.models.moonshine.backbone"
PREPROCESSOR, TOKENIZER = "refimpl.models.moonshine.preprocessor", "refimpl.models.moonshine.tokenizer"
CONVERTER, CACHE = "refimpl.preprocessing.audio_converter", "decoding.cache.equals-uncached"
FRAMES, ROTARY, GROUP, GATE = (f"{CLAUSE}.{rule}" for rule in ("frames", "rotary", "group-norm", "feed-forward"))
STEM, WIDTH, SCORES, MASK = f"{CLAUSE}.stem", f"{CLAUSE}.head-width", f"{CLAUSE}.attention", "preprocessing.audio.mask"


def _mutant(name: str, fault: str, clause: str, place: str, wrong: Any, module: str = MOONSHINE) -> Mutant:
    return Mutant(f"moonshine-{name}", fault, (clause,), ((module, place, wrong),), block="*")


def _counted(of: Any) -> Any:
    """Frames of another number of samples: `of(mask)` (B,)."""

    def make(_right: Any) -> Any:
        def whole_frames(self: Any, mask: np.ndarray) -> np.ndarray:
            return np.arange(self.source_length(mask.shape[1])) < self.source_length(of(mask))[:, None]

        return whole_frames

    return make


def _filled(after: bool) -> Any:
    """Rows of samples get zeros up to 895, `after` the right function or before it."""

    def filled(x: np.ndarray) -> np.ndarray:
        return np.pad(x, ((0, 0), (0, max(895 - x.shape[1], 0)), *[(0, 0)] * (x.ndim - 2)))

    return lambda right: lambda self, x: filled(x) if after else right(self, filled(x))


def _normed(of: Any) -> Any:
    """Another norm of (B, S, C): `of(x)` gives mean and variance."""

    def make(_right: Any) -> Any:
        def group_norm(_self: Any, x: np.ndarray, weights: Any) -> np.ndarray:
            mean, variance = of(x)
            return ((x - mean) / np.sqrt(variance) * weights.gamma + weights.beta).astype(x.dtype)

        return group_norm

    return make


def _moments(axes: Any, more: float = 1e-5, short: int = 0) -> Any:
    """Mean and variance over axes, with another epsilon or divisor."""
    return _normed(lambda x: (x.mean(axes, keepdims=True), x.var(axes, keepdims=True, ddof=short) + more))


def _convolved(number: int, change: Any) -> Any:
    """What one of the convolutions gives is changed: `change(found, weights)`."""

    def make(right: Any) -> Any:
        def convolved(x: Any, weights: Any, how: Any) -> Any:
            found = right(x, weights, how)
            return change(found, weights) if weights._path.startswith(f"conv{number}") else found

        return convolved

    return make


def _halves(_right: Any) -> Any:
    """Numbers i and i + R/2 turn together."""

    def rotate(x: Any, cos: Any, sin: Any) -> Any:
        n, cos, sin, turned = cos.shape[1], cos[:, None], sin[:, None], x.copy()
        left, right = x[..., :n], x[..., n : 2 * n]
        turned[..., :n], turned[..., n : 2 * n] = left * cos - right * sin, right * cos + left * sin
        return turned

    return rotate


def _attention(**changes: Any) -> Any:
    """Attention of another kind; what is a function gets the right one, configuration and side."""

    def make(right: Any) -> Any:
        def attention_of(self: Any, side: str) -> Any:
            kind = right(self, side)
            return replace(kind, **{name: of(kind, self.config, side) for name, of in changes.items()})

        return attention_of

    return make


def _recomputed(kind: Any, c: Any, _side: str) -> Any:
    """The frequencies of the configuration, whatever the folder holds."""
    return c.rope_theta ** (-np.arange(len(kind.frequencies)) / len(kind.frequencies))


def _never_ends(right: Any) -> Any:
    """Of Moonshine's frame the start alone."""
    return property(
        lambda self: (right.fget(self)[0], [] if "Moonshine" in type(self).__name__ else right.fget(self)[1])
    )


MUTANTS = [
    _mutant("frames-of-each-384th-sample", "P15", FRAMES, "MoonshineBackbone.whole_frames", lambda right: lambda self, mask: mask[:, ::384][:, : self.source_length(mask.shape[1])]),
    _mutant("frames-of-all-samples", "M01", FRAMES, "MoonshineBackbone.whole_frames", _counted(lambda mask: np.full(len(mask), mask.shape[1]))),
    _mutant("frames-up-to-the-last-sample", "P15", FRAMES, "MoonshineBackbone.whole_frames", _counted(lambda mask: mask.shape[1] - mask[:, ::-1].argmax(axis=1))),
    _mutant("frames-of-one-sample-less", "P15", FRAMES, "MoonshineBackbone.whole_frames", _counted(lambda mask: mask.sum(axis=1) - 1)),
    _mutant("frames-of-one-sample-more", "P15", FRAMES, "MoonshineBackbone.whole_frames", _counted(lambda mask: mask.sum(axis=1) + 1)),
    Mutant("moonshine-too-short-is-filled-up", "N15", (f"{CLAUSE}.audio-length",), ((MOONSHINE, "MoonshineBackbone.checked_source", _filled(True)), (MOONSHINE, "MoonshineBackbone.whole_frames", _filled(False))), block="*"),
    _mutant("norm-of-each-frame", "N01", GROUP, "MoonshineBackbone.group_norm", _moments((2,))),
    _mutant("norm-of-each-channel", "N01", GROUP, "MoonshineBackbone.group_norm", _moments((1,))),
    _mutant("group-norm-epsilon", "N01", GROUP, "MoonshineBackbone.group_norm", _moments((1, 2), 1e-6)),
    _mutant("group-norm-sample-variance", "N01", GROUP, "MoonshineBackbone.group_norm", _moments((1, 2), short=1)),
    _mutant("group-norm-of-the-batch", "M22", GROUP, "MoonshineBackbone.group_norm", _moments((0, 1, 2))),
    _mutant("no-tanh", "N06", STEM, "convolved", _convolved(1, lambda x, _w: np.arctanh(np.clip(x, -0.9, 0.9)))),
    _mutant("conv2-without-bias", "N12", STEM, "convolved", _convolved(2, lambda x, w: x - w.bias)),
    _mutant("conv3-shifted-by-one", "P01", STEM, "convolved", _convolved(3, lambda x, _w: np.roll(x, 1, axis=1) if x.shape[1] > 1 else np.zeros_like(x))),
    _mutant("gelu-of-tanh", "N05", STEM, "gelu", lambda right: lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi).astype(x.dtype) * (x + x.dtype.type(0.044715) * x**3))), OPS),
    _mutant("turns-halves", "P09", ROTARY, "rotate_pairs", _halves, OPS),
    _mutant("turns-backwards", "P09", ROTARY, "rotate_pairs", lambda right: lambda x, cos, sin: right(x, cos, -sin if x.shape[2] == 3 else sin), OPS),
    _mutant("turns-one-pair-less", "P09", ROTARY, "MoonshineBackbone.attention_of", _attention(frequencies=lambda kind, _c, _s: kind.frequencies[:-1])),
    _mutant("frequencies-not-read", "W01", ROTARY, "MoonshineBackbone.attention_of", _attention(frequencies=_recomputed)),
    _mutant("encoder-frequencies-on-both-sides", "P09", ROTARY, "MoonshineBackbone.attention_of", lambda right: lambda self, side: replace(right(self, side), frequencies=self.params["encoder_rotary_embedding/inv_freq"])),
    _mutant("source-turns-too", "P12", f"{CLAUSE}.decoder-layer", "Attention.keys_values", lambda right: lambda self, y, weights, first=None: right(self, y, weights, 0 if first is None else first), ATTENTION),
    _mutant("steps-turn-from-0", "P11", CACHE, "Attention._rotated", lambda right: lambda self, x, first: right(self, x, 0 if x.shape[1] == 1 else first), ATTENTION),
    _mutant("gate-is-the-first-half", "N06", GATE, "swiglu", lambda right: lambda x: right(np.concatenate(np.split(x, 2, axis=-1)[::-1], axis=-1)), OPS),
    _mutant("gate-of-gelu", "N06", GATE, "swiglu", lambda right: lambda x: np.multiply(*np.split(x, 2, axis=-1)), OPS),
    _mutant("encoder-activates-as-the-decoder", "N06", GATE, "gelu", lambda right: lambda x: x / (1 + np.exp(-x)), OPS),
    _mutant("scale-of-the-width-before-padding", "M16", WIDTH, "MoonshineBackbone.attention_of", _attention(scale=lambda _k, c, side: (c.hidden_dim // c.side(side, "num_heads")) ** -0.5)),
    _mutant("scale-of-the-other-side", "M16", SCORES, "MoonshineBackbone.attention_of", _attention(scale=lambda _k, c, _s: c.depth("decoder") ** -0.5)),
    _mutant("embeddings-scaled", "P08", f"{CLAUSE}.embedding", "MoonshineBackbone.embed", lambda right: lambda self, *rest: right(self, *rest) * np.float32(self.config.hidden_dim**0.5)),
    _mutant("norm-epsilon", "N01", f"{CLAUSE}.layer-norm", "EPSILON", lambda right: 1e-6),
    _mutant("norm-keeps-the-mean", "N02", f"{CLAUSE}.layer-norm", "MoonshineBackbone.norm", lambda right: lambda self, x, weights: (x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weights.gamma).astype(x.dtype)),
    _mutant("encoder-without-last-norm", "M20", f"{CLAUSE}.encoder-layer", "MoonshineBackbone.final_norm", lambda right: lambda self, weights, side, x, *rest: x if side == "encoder" else right(self, weights, side, x, *rest)),
    _mutant("head-scaled", "N08", f"{CLAUSE}.head", "MoonshineBackbone.head", result(lambda found: (found[0] * np.float32(0.2), found[1]))),
    _mutant("zeros-are-padding", "P15", MASK, "MoonshineAudioToTextPreprocessor._encoder_inputs", zeros_are_padding, PREPROCESSOR),
    _mutant("silence-is-nothing", "P15", MASK, "WINDOW", lambda right: 1, PREPROCESSOR),
    _mutant("always-normalizes", "N06", "preprocessing.audio.converter", "MoonshineAudioConverter.__call__", result(lambda x: x / np.abs(x).max()), CONVERTER),
    _mutant("two-starts", "D04", "preprocessing.moonshine.frames", "MoonshineAudioToTextPreprocessor.generate_preprocess", starts_twice, PREPROCESSOR),
    _mutant("never-ends", "X16", "preprocessing.moonshine.frames", "Seq2SeqLMPreprocessor.decoder_frame", _never_ends, "refimpl.preprocessing.seq_2_seq_lm_preprocessor"),
    _mutant("end-is-not-special", "X02", "tokenizers.moonshine.special-tokens", "MoonshineTokenizer.special_token_names", lambda right: right[:1], TOKENIZER),
    _mutant("padding-is-text", "X02", "tokenizers.moonshine.special-tokens", "MoonshineTokenizer.pad_token_id", lambda right: -1, TOKENIZER),
]  # fmt: skip
