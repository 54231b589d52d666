"""One batch from token ids to token ids: encode once, then one decoder step a token over the cache."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.decoding.stop import output_mask

Cache = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # self, cross, encoder states, encoder mask


def generate_step(
    model: Any, inputs: Mapping[str, np.ndarray], stop_token_ids: tuple[int, ...] | None
) -> dict[str, np.ndarray]:
    """Generate up to the width of the prompt array.

    Shapes: ids and masks (B, S) and (B, T) -> `decoder_token_ids`, `decoder_padding_mask` (B, T).
    Spec: generate.start-column, generate.ragged-prompts, generate.padding-inert
    """
    prompt = np.asarray(inputs["decoder_token_ids"])
    batch = model.backbone.checked(inputs)
    is_prompt = batch["decoder_padding_mask"]
    # The shortest prompt decides where generation starts; longer prompts keep their tokens in the sampler's loop.
    index = int(is_prompt.sum(axis=1).min())
    cache, hidden_states = prefill(model, batch, index)
    reached = index

    def next(prompt: np.ndarray, cache: Cache, index: int) -> tuple[np.ndarray, np.ndarray, Cache]:
        """Logits (B, V) and states (B, E) for column `index`, from the token before it."""
        nonlocal reached
        reached = max(reached, index + 1)
        own, other, encoded, source_mask = cache
        first = max(index - 1, 0)
        logits, states, own, _ = model.call_decoder_with_cache(
            encoder_hidden_states=encoded,
            encoder_padding_mask=source_mask,
            decoder_token_ids=prompt[:, first : first + 1],
            self_attention_cache=own,
            self_attention_cache_update_index=first,
            cross_attention_cache=other,
            cross_attention_cache_update_index=None,
        )
        return logits[:, 0], states[:, 0], (own, other, encoded, source_mask)

    ids = model.sampler(
        next,
        prompt,
        cache=cache,
        index=index,
        mask=is_prompt,
        stop_token_ids=stop_token_ids,
        hidden_states=hidden_states,
        model=model,
    )
    mask = output_mask(ids, is_prompt, reached, stop_token_ids)
    return {"decoder_token_ids": ids, "decoder_padding_mask": mask}


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


def trim(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut columns at the end that are padding in every row; padding is inert, so only time changes.

    Spec: generate.padding-inert
    """
    used = np.flatnonzero(mask.any(axis=0))
    width = int(used[-1]) + 1 if used.size else 1
    return ids[:, :width], mask[:, :width]
