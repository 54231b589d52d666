# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of T5Gemma's forward pass. `fault` is a row of the catalogue of real faults."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import ATTENTION, result
from refimpl.models.attention import may_attend_past

T5GEMMA, CLAUSE = "refimpl.models.t5gemma.backbone", "models.t5gemma"
WINDOW, ROTARY, SCORES = f"{CLAUSE}.window", f"{CLAUSE}.rotary", f"{CLAUSE}.attention"


FRAMES, SPECIALS = "preprocessing.t5gemma.frames", "tokenizers.t5gemma.special-tokens"
PREPROCESSOR, TOKENIZER = "refimpl.models.t5gemma.preprocessor", "refimpl.models.t5gemma.tokenizer"
CACHE, FORWARD = "decoding.cache.equals-uncached", f"{CLAUSE}.feed-forward"


def _mutant(name: str, fault: str, clause: str, place: str, wrong: Any, module: str = T5GEMMA) -> Mutant:
    return Mutant(f"t5gemma-{name}", fault, (clause,), ((module, place, wrong),), block="*")


def _without_post_norm(right: Any) -> Any:
    """The norm behind a part is left out."""
    return lambda self, x, weights: x if "/post_" in weights._path else right(self, x, weights)


def _reaching(side: str, more: int) -> Any:
    """The sliding layers of one side see more, or fewer, positions."""
    return lambda right: lambda self, of, n: (found := right(self, of, n)) and found + more * (of == side)


def _frame(of: Any) -> Any:
    """Another frame: `of(preprocessor, right frame)`."""
    return lambda right: property(lambda self: of(self, right.fget(self)))


MUTANTS = [
    *(_mutant(f"{side}-window-{name}", "P17", WINDOW, "T5GemmaBackbone.reach", _reaching(side, more))
      for side in ("encoder", "decoder") for name, more in (("one-short", -1), ("one-wide", 1), ("missing", 999))),
    _mutant("encoder-sees-only-back", "P17", WINDOW, "may_attend_near", lambda right: lambda q, k, first, reach: right(q, k, first, reach) & may_attend_past(q, k, first), ATTENTION),
    _mutant("wavelength-10000", "P09", ROTARY, "rotated", lambda right: lambda x, first, f, turn: right(x, first, 10_000.0 ** (-np.arange(len(f)) / len(f)), turn), ATTENTION),
    _mutant("turned-backwards", "P09", ROTARY, "rotated", lambda right: lambda x, *how: right(x[..., ::-1], *how)[..., ::-1] if isinstance(x, np.ndarray) and x.shape[2] == 2 else right(x, *how), ATTENTION),
    _mutant("no-soft-cap", "M18", SCORES, "T5GemmaBackbone.attention_of", result(lambda kind: replace(kind, soft_cap=None))),
    _mutant("scale-by-width", "M16", SCORES, "T5GemmaBackbone.attention_of", result(lambda kind: replace(kind, scale=kind.head_dim**-0.5))),
    _mutant("heads-share-in-turns", "M11", SCORES, "for_heads", lambda right: lambda x, heads: np.tile(x, (1, 1, heads // x.shape[2], 1)), "refimpl.autograd.attention"),
    _mutant("gain-without-one", "N01", f"{CLAUSE}.rms-norm", "T5GemmaBackbone.norm", lambda right: lambda self, x, weights: right(self, x, weights) - right(self, x, weights) / (1 + weights.scale)),
    _mutant("no-norm-behind", "N07", f"{CLAUSE}.encoder-layer", "T5GemmaBackbone.norm", _without_post_norm),
    _mutant("embeddings-not-scaled", "P08", f"{CLAUSE}.embedding", "T5GemmaBackbone.embed", lambda right: lambda self, weights, side, *rest: (
        right(self, weights, side, *rest) * np.float32(self.config.side(side, "hidden_dim") ** -0.5))),
    _mutant("gates-not-activated", "N06", FORWARD, "ACTIVATIONS", lambda right: dict.fromkeys(right, lambda x: x)),
    _mutant("sigmoid-by-tanh", "N17", f"{CLAUSE}.feed-forward", "_sigmoid", lambda _right: lambda x: (0.5 + 0.5 * np.tanh(0.5 * x)).astype(x.dtype), "refimpl.autograd.activations"),
    _mutant("exact-gelu", "N05", FORWARD, "ACTIVATIONS", lambda right: dict.fromkeys(right, right["gelu"])),
    _mutant("cached-keys-turned-from-0", "P11", CACHE, "rotated", lambda right: lambda x, first, *how: right(x, 0 if x.shape[1] == 1 else first, *how), ATTENTION),
    _mutant("source-ends-in-prompts", "D04", FRAMES, "T5GemmaSeq2SeqLMPreprocessor.encoder_prompt_frame", _frame(lambda self, _: self.encoder_frame), PREPROCESSOR),
    _mutant("always-ends", "D04", FRAMES, "T5GemmaSeq2SeqLMPreprocessor.encoder_frame", _frame(lambda self, right: (right[0], [self.tokenizer.end_token_id])), PREPROCESSOR),
    _mutant("never-starts", "D04", FRAMES, "T5GemmaSeq2SeqLMPreprocessor.encoder_frame", _frame(lambda self, right: ([], right[1])), PREPROCESSOR),
    _mutant("decoder-starts-with-end", "D04", FRAMES, "T5GemmaSeq2SeqLMPreprocessor.decoder_frame", _frame(lambda self, right: ([self.tokenizer.end_token_id], right[1])), PREPROCESSOR),
    _mutant("start-is-not-special", "X02", SPECIALS, "T5GemmaTokenizer.special_token_names", lambda right: right[1:], TOKENIZER),
    _mutant("logits-not-capped", "N08", f"{CLAUSE}.head", "T5GemmaConfig.logit_cap", lambda right: property(lambda self: None)),
]  # fmt: skip
