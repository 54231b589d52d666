"""One batch from token ids to token ids: encode once, then one decoder step a token over the cache."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.decoding.compiled import compiled_sampler, compiled_steps, in_parts
from refimpl.decoding.stop import output_mask
from refimpl.decoding.trim import trim
from refimpl.errors import InputError, InputTypeError
from refimpl.samplers.speculative_sampler import SpeculativeSampler, speculative

Cache = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # self, cross, encoder states, encoder mask


def generate_step(
    model: Any,
    inputs: Mapping[str, np.ndarray],
    stop_token_ids: tuple[int, ...] | None,
    assistant_model: Any = None,
) -> dict[str, np.ndarray]:
    """Generate up to the width of the prompt array.

    Shapes: ids and masks (B, S) and (B, T) -> `decoder_token_ids`, `decoder_padding_mask` (B, T). A sampler that
        returns all K beams gives both as (B, K, T), the best beam first, and `beam_log_probs` (B, K).
    Spec: generate.start-column, generate.ragged-prompts, generate.padding-inert, generate.beams.all,
        generate.stop.after
    """
    batch = model.backbone.checked(inputs)
    rows = {**batch, "prompt": prompt_of(inputs, model.backbone.vocabulary_size)}
    if assistant_model is None:
        parts = in_parts(model, rows, lambda part: _generated(model, part, stop_token_ids, threads=1))
        if parts is not None:
            return parts
    return _generated(model, rows, stop_token_ids, assistant_model)


def prompt_of(inputs: Mapping[str, Any], vocabulary_size: int) -> np.ndarray:
    """The prompt in the integer type in which it came, so that the output has it too, if it can hold every id.

    Spec: generate.output.types
    """
    given = np.asarray(inputs["decoder_token_ids"])
    fits = given.dtype.kind in "iu" and np.iinfo(given.dtype).max >= vocabulary_size - 1
    return given if fits else given.astype(np.int32)


def _generated(
    model: Any,
    batch: Mapping[str, np.ndarray],
    stop_token_ids: tuple[int, ...] | None,
    assistant_model: Any = None,
    threads: int | None = None,
) -> dict[str, np.ndarray]:
    """`generate_step` of a batch that was looked at; its `prompt` is of the type that the output shall have."""
    prompt, is_prompt = batch["prompt"], batch["decoder_padding_mask"]
    # The shortest prompt decides where generation starts; longer prompts keep their tokens in the sampler's loop.
    index = int(is_prompt.sum(axis=1).min())
    steps, cache, hidden_states = prefilled(model, batch, index, threads)
    sampler: Any = compiled_sampler(model.sampler, steps)
    draft: dict[str, Any] = {}
    if assistant_model is not None:
        sampler, draft = drafting(model, assistant_model, batch, index, steps)
    found = sampler(
        steps.next,
        prompt,
        cache=cache,
        index=index,
        mask=is_prompt,
        stop_token_ids=stop_token_ids,
        hidden_states=hidden_states,
        model=model,
        **draft,
    )
    ids, scores = (found[0], {"beam_log_probs": found[1]}) if isinstance(found, tuple) else (found, {})
    if scores:
        prompt, is_prompt = prompt[:, None], is_prompt[:, None]
    mask = output_mask(ids, is_prompt, steps.reached, stop_token_ids)
    # What follows a row's stop token would depend on the rows beside it; it is no part of the result.
    return {"decoder_token_ids": np.where(mask, ids, prompt), "decoder_padding_mask": mask, **scores}


class DecoderSteps:
    """What a sampler calls for logits; knows up to which column it was asked."""

    def __init__(self, model: Any, index: int) -> None:
        self.model = model
        self.reached = index

    def next(self, prompt: np.ndarray, cache: Cache, index: int) -> tuple[np.ndarray, np.ndarray, Cache]:
        """Logits (B, V) and states (B, E) for column `index`, from the token before it."""
        logits, states, cache = self._run(prompt, cache, index, 1)
        return logits[:, 0], states[:, 0], cache

    def verify_next(self, prompt: np.ndarray, cache: Cache, index: int, k: int) -> tuple[np.ndarray, Cache]:
        """Logits (B, k + 1, V) for the columns from `index` on, in one pass."""
        logits, _, cache = self._run(prompt, cache, index, k + 1)
        return logits, cache

    def _run(self, prompt: np.ndarray, cache: Cache, index: int, count: int) -> tuple[np.ndarray, np.ndarray, Cache]:
        """The decoder over `count` tokens, those before the columns from `index` on."""
        self.reached = max(self.reached, index + count)
        own, other, encoded, source_mask = cache
        first = max(index - 1, 0)
        logits, states, own, _ = self.model.call_decoder_with_cache(
            encoder_hidden_states=encoded,
            encoder_padding_mask=source_mask,
            decoder_token_ids=prompt[:, first : first + count],
            self_attention_cache=own,
            self_attention_cache_update_index=first,
            cross_attention_cache=other,
            cross_attention_cache_update_index=None,
        )
        return logits, states, (own, other, encoded, source_mask)


def drafting(
    model: Any, assistant_model: Any, batch: Mapping[str, np.ndarray], index: int, steps: Any
) -> tuple[SpeculativeSampler, dict[str, Any]]:
    """The speculative sampler of a model with an assistant, and what it takes beside the usual arguments.

    Raises: InputTypeError for what is no model, InputError if the two have different vocabularies; ConfigError for a
        wrong sampler.
    Spec: generate.assistant.vocabulary, generate.assistant.sampler
    """
    if not hasattr(assistant_model, "backbone"):
        raise InputTypeError(
            f"assistant_model={assistant_model!r:.80} was passed.",
            "It must be a Seq2SeqLM.",
            "Load one with Seq2SeqLM.from_preset, or leave it out.",
            "generate.assistant.vocabulary",
        )
    sizes = model.backbone.vocabulary_size, assistant_model.backbone.vocabulary_size
    if sizes[0] != sizes[1]:
        raise InputError(
            f"The model has {sizes[0]} tokens and assistant_model has {sizes[1]}.",
            "Both must have the same vocabulary: the assistant proposes token ids.",
            "Use a smaller model of the same family.",
            "generate.assistant.vocabulary",
        )
    draft, cache, _ = prefilled(assistant_model, assistant_model.backbone.checked(batch), index)
    extra = {"draft_next": draft.next, "draft_cache": cache, "verify_next": steps.verify_next}
    return speculative(model.sampler), extra


def prefilled(
    model: Any, batch: Mapping[str, np.ndarray], index: int, threads: int | None = None
) -> tuple[Any, Any, np.ndarray]:
    """The steps of a batch, compiled or by definition, with their cache and the states of the prompt."""
    twin = compiled_steps(model, batch, index, threads)
    if twin is not None:
        return twin, twin.cache, twin.hidden_states
    return DecoderSteps(model, index), *prefill(model, batch, index)


def prefill(model: Any, batch: Mapping[str, np.ndarray], index: int) -> tuple[Cache, np.ndarray]:
    """Encode the source and run the decoder over the prompt's first `index` columns.

    Returns the cache and the decoder's states (B, T, E), zero beyond the prompt.
    """
    ids, source_mask = trim(batch["encoder_token_ids"], batch["encoder_padding_mask"])
    encoded = model.call_encoder(token_ids=ids, padding_mask=source_mask)
    prompt = batch["decoder_token_ids"]
    own, other = model._initialize_cache(ids, prompt)
    _, states, own, other = model.call_decoder_with_cache(
        encoder_hidden_states=encoded,
        encoder_padding_mask=source_mask,
        decoder_token_ids=prompt[:, : max(index, 1)],
        self_attention_cache=own,
        self_attention_cache_update_index=0,
        cross_attention_cache=other,
        cross_attention_cache_update_index=0,
    )
    hidden_states = np.zeros((*prompt.shape, states.shape[-1]), states.dtype)
    hidden_states[:, : states.shape[1]] = states
    return (own, other, encoded, source_mask), hidden_states
