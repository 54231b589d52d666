# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of decoding and generation."""

from typing import Any

import numpy as np

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import CACHE, STACKS, result
from conformance.mutants.models import cached

STEP, SAMPLER, LM = "refimpl.decoding.generate_step", "refimpl.samplers.sampler", "refimpl.models.seq_2_seq_lm"
PREPROCESSOR = "refimpl.preprocessing.seq_2_seq_lm_preprocessor"


def _stale(right: Any) -> Any:
    """The cache is no longer written from the third column on."""

    def decode(*rest: Any, past: Any = None) -> Any:
        before = past and past.own.copy()
        states = right(*rest, past=past)
        if past and past.first > 2:
            past.own[...] = before
        return states

    return decode


def _leftover(right: Any) -> Any:
    """Buffers are kept from the last call of the same shape and added by a little."""
    kept: dict[Any, Any] = {}

    def decode(*rest: Any, past: Any = None) -> Any:
        states = right(*rest, past=past)
        if past is None:
            return states
        key = (past.own.shape[1:], past.first)
        states = states + kept.get(key, 0) * states.dtype.type(1e-3)
        kept[key] = states.mean()
        return states

    return decode


def _all_rows_stop_with_the_first(_right: Any) -> Any:
    def all_stopped(generated: Any, is_prompt: Any, stop_token_ids: Any) -> bool:
        return stop_token_ids is not None and bool((np.isin(generated, stop_token_ids) & ~is_prompt).any())

    return all_stopped


def _length(change: Any) -> Any:
    """`generate_preprocess` with another sequence length."""
    return lambda right: (
        lambda self, x, **k: right(self, x, **{**k, "sequence_length": change(self, k.get("sequence_length"))})
    )


def _wrap_in_place(right: Any) -> Any:
    """Bare texts become lists in the caller's own dictionary."""

    def as_batch(inputs: Any) -> Any:
        found = right(inputs)
        if isinstance(inputs, dict):
            inputs.update(found[0])
        return found

    return as_batch


def _last_key(right: Any) -> Any:
    def as_batch(inputs: Any) -> Any:
        batch, single = right(inputs)
        return batch, isinstance(list(inputs.values())[-1], str) if isinstance(inputs, dict) else single

    return as_batch


MUTANTS = [
    Mutant("cache-stale-after-two-steps", "M11", (CACHE,), ((STACKS, "EncoderDecoder.decode", _stale),)),
    Mutant("cache-read-one-column-late", "M11", (CACHE,), ((STACKS, "EncoderDecoder.decode", cached(
        lambda ids, first, own, *rest: (ids, first, np.roll(own, 1, axis=3) if first else own, *rest))),)),
    Mutant("cross-cache-of-first-layer", "M11", (CACHE,),
           ((STACKS, "EncoderDecoder.cross_keys_values", result(lambda x: np.repeat(x[:, :1], x.shape[1], axis=1))),)),
    Mutant("cross-cache-swapped", "M11", (CACHE,), ((STACKS, "EncoderDecoder.cross_keys_values", result(lambda x: x[:, :, ::-1])),)),
    Mutant("cross-mask-missing-in-cached-steps", "M23", (CACHE, "generate.padding-inert"),
           ((STACKS, "EncoderDecoder.decode", cached(lambda *rest: (*rest[:-1], np.ones_like(rest[-1])))),)),
    Mutant("state-between-calls", "M22", ("decoding.cache.no-state-between-calls",),
           ((STACKS, "EncoderDecoder.decode", _leftover),)),
    Mutant("stop-in-prompt-counts", "D10", ("generate.stop.in-prompt",), (
        (STEP, "output_mask", lambda right: lambda ids, prompt, *rest: right(ids, np.zeros_like(prompt), *rest)),
        (SAMPLER, "all_stopped", lambda right: lambda ids, prompt, stops: right(ids, np.zeros_like(prompt), stops)))),
    Mutant("stop-token-not-output", "D10", ("generate.output.types", "generate.stop.ids"),
           ((STEP, "output_mask", lambda right: lambda ids, prompt, end, stops: right(ids, prompt, end, stops) & (
               True if stops is None else ~np.isin(ids, stops) | prompt)),)),
    Mutant("only-first-stop-id", "D11", ("generate.stop.ids",),
           ((LM, "resolve_stop_token_ids", result(lambda ids: ids[:1] if ids else ids)),)),
    Mutant("none-means-auto", "D11", ("generate.stop.none",),
           ((LM, "resolve_stop_token_ids", lambda right: lambda given, pre: right("auto" if given is None and pre is not None else given, pre)),)),
    Mutant("first-row-stops-all", "B02", ("generate.stop.mask",), ((SAMPLER, "all_stopped", _all_rows_stop_with_the_first),)),
    Mutant("nothing-hidden-after-stop", "D10", ("generate.stop.mask", "generate.stop.auto"),
           ((STEP, "output_mask", lambda _right: lambda ids, *rest: np.ones(ids.shape, bool)),)),
    Mutant("prompt-overwritten", "P05", ("generate.ragged-prompts", "generate.start-column"),
           ((SAMPLER, "own_copies", result(lambda pair: (pair[0], np.zeros_like(pair[1])))),)),
    Mutant("max-length-counts-new-tokens", "D14", ("generate.max-length.counts",),
           ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess", _length(lambda self, n: n and n + 2)),)),
    Mutant("max-length-ignored", "D15", ("generate.max-length.counts",),
           ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess", _length(lambda self, n: None)),)),
    Mutant("max-length-silently-cut", "P17", ("generate.max-length.beyond-positions",),
           ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess", _length(lambda self, n: n and min(n, 13))),)),
    Mutant("ties-to-the-highest-id", "S06", ("samplers.greedy.ties",), (("refimpl.samplers.greedy_sampler", "GreedySampler.get_next_token",
        lambda _right: lambda self, p: p.shape[-1] - 1 - np.asarray(p)[..., ::-1].argmax(-1)),)),
    Mutant("second-best", "D18", ("generate.greedy.argmax",), (("refimpl.samplers.greedy_sampler", "GreedySampler.get_next_token",
        lambda _right: lambda self, p: np.argsort(-np.asarray(p), axis=-1, kind="stable")[..., 1]),)),
    Mutant("unknown-sampler-taken", "S12", ("samplers.get",), (("refimpl.samplers", "get", lambda right: lambda name: right(
        name if name in ("greedy", "top_k") else "greedy")),)),
    Mutant("inputs-changed", "D04", ("generate.input.unchanged",), (("refimpl.models.generate_io", "as_batch", _wrap_in_place),)),
    Mutant("last-key-decides", "D04", ("generate.input.dictionary",), (("refimpl.models.generate_io", "as_batch", _last_key),)),
    Mutant("list-of-one-unwrapped", "D04", ("generate.input.text",),
           ((LM, "joined", result(lambda out: out[0] if isinstance(out, list) and len(out) == 1 else out)),)),
    Mutant("any-stop-ids", "D11", ("generate.stop.types",), (("refimpl.models.seq_2_seq_lm", "resolve_stop_token_ids",
        lambda right: lambda given, pre: right("auto" if given in (5, "end", ()) else given, pre)),)),
    Mutant("ids-not-checked", "W15", ("models.inputs.ids",), (("refimpl.models.backbone", "Backbone._check_ids", lambda _right: lambda *a: None),)),
    Mutant("ids-clipped", "W15", ("models.inputs.ids",), (
        ("refimpl.models.backbone", "Backbone._check_ids", lambda _right: lambda *a: None),
        ("refimpl.autograd.ops", "embed", lambda right: lambda table, ids: right(table, np.clip(ids, 0, len(table) - 1))))),
]  # fmt: skip
