# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants that show in the second call only, in some rows only, or at unusual ids and lengths."""

from dataclasses import replace
from typing import Any

import numpy as np

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import CACHE, STACKS, result
from conformance.mutants.loop import LM, PREPROCESSOR, SAMPLER, STEP, _length

TURNS, STOPS, RAGGED = "decoding.cache.no-state-between-calls", "generate.stop.ids", "generate.ragged-prompts"
COUNTS, STOP = "generate.max-length.counts", "refimpl.decoding.stop"


def by_shape(number: int) -> Any:
    """A method that keeps its first result for each shape of argument `number`."""

    def make(right: Any) -> Any:
        kept: dict[Any, Any] = {}

        def call(self: Any, *rest: Any, **named: Any) -> Any:
            given = rest[number] if len(rest) > number else list(named.values())[number - len(rest)]
            key = (id(self), np.shape(given))
            if key not in kept:
                kept[key] = right(self, *rest, **named)
            return kept[key]

        return call

    return make


def first_answer(right: Any) -> Any:
    """What was asked first decides: the argument of the first call is used again in later ones."""
    kept: list[Any] = []

    def call(*rest: Any, **named: Any) -> Any:
        kept.append((rest, named))
        return right(*kept[0][0], **kept[0][1])

    return call


def _first_length(right: Any) -> Any:
    """A length, once given, stays."""

    def generate_preprocess(self: Any, x: Any, **named: Any) -> Any:
        if named.get("sequence_length"):
            self.decoder_sequence_length = named["sequence_length"]
        return right(self, x, **named)

    return generate_preprocess


def _own_cache(right: Any) -> Any:
    """The self-attention's cache is one array for all calls of its shape, and is not emptied."""
    kept: dict[Any, Any] = {}

    def initialize(self: Any, ids: Any, spoken: Any) -> Any:
        own, other = right(self, ids, spoken)
        return kept.setdefault((id(self), own.shape), own), other

    return initialize


def _in_place(right: Any) -> Any:
    """The cache is written in place, and columns to come are visible one step too far."""

    def call(self: Any, states: Any, mask: Any, ids: Any, own: Any, *rest: Any) -> Any:
        logits, hidden, cache, cross = right(self, states, mask, ids, own, *rest)
        own[...] = cache
        return logits, hidden, own, cross

    return lambda self, *rest, **named: call(self, *rest, *named.values())


def _shared_start(right: Any) -> Any:
    """Generation starts at the longest prompt, not at the shortest."""

    def step(model: Any, inputs: Any, stops: Any, *rest: Any) -> Any:
        mask = np.array(inputs["decoder_padding_mask"]).astype(bool)
        longest = np.arange(mask.shape[1]) < mask.sum(axis=1).max()
        return right(model, {**inputs, "decoder_padding_mask": np.broadcast_to(longest, mask.shape)}, stops, *rest)

    return step


def _rows_cut_to_eight(right: Any) -> Any:
    """More than eight rows: the last ones are answered as the first ones."""

    def step(model: Any, inputs: Any, stops: Any, *rest: Any) -> Any:
        rows = len(inputs["decoder_token_ids"])
        take = np.arange(rows) % 8
        return right(model, {key: np.asarray(value)[take] for key, value in inputs.items()}, stops, *rest)

    return step


def _sorted_rows(right: Any) -> Any:
    """Rows come back in the order of their sources' lengths."""

    def step(model: Any, inputs: Any, stops: Any, *rest: Any) -> Any:
        order = np.argsort(np.asarray(inputs["encoder_padding_mask"]).sum(axis=1), kind="stable")
        return right(model, {key: np.asarray(value)[order] for key, value in inputs.items()}, stops, *rest)

    return step


def _stops(change: Any) -> Any:
    """`resolve_stop_token_ids` with a changed result."""
    return ((LM, "resolve_stop_token_ids", result(lambda ids: ids if ids is None else change(ids))),)


def _mask(change: Any) -> Any:
    """`output_mask` with a changed result: `change(mask, ids, is_prompt, stops)`."""
    return (
        (
            STEP,
            "output_mask",
            lambda right: lambda ids, prompt, end, stops: change(right(ids, prompt, end, stops), ids, prompt, stops),
        ),
    )


def _stopped_by_prompt_text(right: Any) -> Any:
    """Only the frame of a prompt is excepted: a stop token in its text counts."""

    def all_stopped(ids: Any, prompt: Any, stops: Any) -> bool:
        return right(ids, prompt & (np.arange(ids.shape[1]) < 2), stops)

    return all_stopped


def _pad_is_prompt_end(right: Any) -> Any:
    """The prompt's length is counted by ids: a <pad> that was written in a prompt ends it."""

    def preprocess(self: Any, x: Any, **named: Any) -> Any:
        found = dict(right(self, x, **named))
        real = found["decoder_token_ids"] != self.tokenizer.pad_token_id
        found["decoder_padding_mask"] = found["decoder_padding_mask"] & np.logical_and.accumulate(real, axis=-1)
        return found

    return preprocess


def _words(change: Any) -> Any:
    """`generate_postprocess` on changed input: `change(self, ids, mask)`."""

    def make(right: Any) -> Any:
        def post(self: Any, x: Any) -> Any:
            ids, mask = change(self, np.array(x["decoder_token_ids"]), np.array(x["decoder_padding_mask"]).astype(bool))
            return right(self, {"decoder_token_ids": ids, "decoder_padding_mask": mask})

        return post

    return make


def _until_special(self: Any, ids: Any, mask: Any) -> Any:
    """Text ends at the first special token behind the frame."""
    special = np.isin(ids, self.tokenizer.special_token_ids) & (np.arange(ids.shape[-1]) > 1)
    return ids, mask & ~np.logical_or.accumulate(special, axis=-1)


def _without_frame(_self: Any, ids: Any, mask: Any) -> Any:
    """The first token of the text is taken for a part of the frame."""
    return ids, mask & (np.arange(ids.shape[-1]) != 2)


MUTANTS = [
    Mutant("source encoded once for each shape", "M22", (TURNS, "generate.greedy.argmax"), ((LM, "Seq2SeqLM.call_encoder", by_shape(0)),)),
    Mutant("cross cache of an earlier call", "M22", (TURNS,), ((STACKS, "EncoderDecoder.cross_keys_values", by_shape(1)),)),
    Mutant("cache is not emptied", "M22", (TURNS, CACHE), ((LM, "Seq2SeqLM._initialize_cache", _own_cache),
        (LM, "Seq2SeqLM.call_decoder_with_cache", _in_place),
        (STACKS, "may_attend_past", lambda right: lambda queries, keys, first=0: right(queries, keys, first + (keys > queries and first > 1))))),
    Mutant("a length once given stays", "D18", (COUNTS,), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess", _first_length),)),
    Mutant("first stop tokens stay", "D18", (STOPS, COUNTS), ((LM, "resolve_stop_token_ids", first_answer),)),
    Mutant("id 0 never stops", "D10", (STOPS,), _stops(lambda ids: tuple(i for i in ids if i) or (10**6,))),
    Mutant("end token always stops", "D10", (STOPS, "generate.stop.none"), _stops(lambda ids: (*ids, 5))),
    Mutant("only the last stop id", "D11", (STOPS,), _stops(lambda ids: ids[-1:])),
    Mutant("stop ids as a sequence", "D11", (STOPS,), _stops(lambda ids: ids if len(ids) == 1 else (10**6,))),
    Mutant("mask of the first row's end", "B02", ("generate.stop.mask",), _mask(lambda mask, *_: np.broadcast_to(mask[:1], mask.shape))),
    Mutant("mask shows one token more", "D10", ("generate.output.types",), _mask(
        lambda mask, *_: mask | np.concatenate([mask[..., :1], mask[..., :-1]], axis=-1))),
    Mutant("mask ends before the last column", "D14", (COUNTS,), _mask(lambda mask, *_: mask & (np.arange(mask.shape[-1]) < mask.shape[-1] - 1))),
    Mutant("stop token in a prompt's text counts", "D10", ("generate.stop.in-prompt",), ((SAMPLER, "all_stopped", _stopped_by_prompt_text),)),
    Mutant("loop one column short", "D14", (COUNTS,), ((SAMPLER, "Sampler.steps", lambda right: lambda self, *rest: _short(right(self, *rest), rest[1])),)),
    Mutant("longest prompt decides", "P05", (RAGGED,), ((LM, "generate_step", _shared_start),)),
    Mutant("rows beyond the eighth repeat", "B03", ("generate.input.text",), ((LM, "generate_step", _rows_cut_to_eight),)),
    Mutant("rows sorted by length", "B02", ("generate.input.text", RAGGED), ((LM, "generate_step", _sorted_rows),)),
    Mutant("pad token ends a prompt", "D05", ("preprocessing.packer.mask", "generate.start-column"), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess", _pad_is_prompt_end),)),
    Mutant("text ends at any special token", "X02", ("preprocessing.seq2seq.postprocess", "generate.output.types"), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_postprocess", _words(_until_special)),)),
    Mutant("first token of the text lost", "D08", ("generate.output.types", "preprocessing.seq2seq.postprocess"), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_postprocess", _words(_without_frame)),)),
    Mutant("longest source counts as decoder length", "D14", (COUNTS, "generate.max-length.default"), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess", _length(lambda self, n: n or self.encoder_sequence_length)),)),
    Mutant("max length is the encoder's too", "D14", ("preprocessing.seq2seq.prompt",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess", lambda right: lambda self, x, **k: right(self, x, **{"encoder_sequence_length": k.get("sequence_length"), **k})),)),
    Mutant("logits change their caller's ids", "O04", ("models.logits",), ((STACKS, "EncoderDecoder.forward", lambda right: lambda self, weights, batch, *rest: right(self, weights, _ended(batch), *rest)),)),
    Mutant("evaluation as if training", "D17", ("models.logits", "invariance.calls"), ((STACKS, "EncoderDecoder.forward.__defaults__", lambda right: (type(right[0])(0.1, 7),)),)),
    Mutant("unstopped rows lose their last token", "D14", ("generate.stop.none", "generate.stop.ids"), _mask(lambda mask, ids, prompt, stops: mask & ~(mask.all(axis=-1, keepdims=True) & (np.arange(mask.shape[-1]) == mask.shape[-1] - 1)))),
    Mutant("decoder text doubled as source", "D03", ("generate.input.text",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor._texts", lambda right: staticmethod(lambda x, needs_decoder: _doubled(right.__func__(x, needs_decoder), needs_decoder))),)),
]  # fmt: skip
# Where the patched place does not tell the block.
BLOCKS = {
    "source encoded once for each shape": "cache encoder* generate* decoding*",
    "cache is not emptied": "cache generate* decoding*",
    "logits change their caller's ids": "encoder*",
    "evaluation as if training": "encoder* decoder* models* invariance*",
    **{m.name: "generate*" for m in MUTANTS if m.patches[0][1] == "resolve_stop_token_ids"},
}
MUTANTS = [replace(m, block=BLOCKS.get(m.name, m.block)) for m in MUTANTS]


def _short(steps: Any, prompt: Any) -> Any:
    """All columns but the last."""
    for done in steps:
        if done < prompt.shape[1]:
            yield done
        else:
            prompt[:, -1] = prompt[:, -2]
            yield done


def _doubled(pair: Any, has_prompt: bool) -> Any:
    """The source is the prompt where none was given."""
    return pair if has_prompt else (pair[0], pair[0])


def _ended(batch: Any) -> Any:
    """The last source token becomes the first word of the vocabulary."""
    ids = np.array(batch["encoder_token_ids"])
    ids[:, -1] = 0
    return {**batch, "encoder_token_ids": ids}
