"""One batch from token ids to token ids: read source and prompt, then let a sampler choose a token a column."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.decoding.choice import way_of
from refimpl.decoding.stop import output_mask


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
    prompt, is_prompt = prompt_of(inputs, model.backbone.vocabulary_size), batch["decoder_padding_mask"]
    # The shortest prompt decides where generation starts; longer prompts keep their tokens in the sampler's loop.
    index = int(is_prompt.sum(axis=1).min())
    steps, sampler, draft = way_of(model, batch, index, assistant_model)
    found = sampler(
        steps.next,
        prompt,
        cache=steps.cache,
        index=index,
        mask=is_prompt,
        stop_token_ids=stop_token_ids,
        hidden_states=steps.hidden_states,
        model=model,
        **draft,
    )
    ids, scores = (found[0], {"beam_log_probs": found[1]}) if isinstance(found, tuple) else (found, {})
    if scores:
        prompt, is_prompt = prompt[:, None], is_prompt[:, None]
    mask = output_mask(ids, is_prompt, steps.reached, stop_token_ids)
    # What follows a row's stop token would depend on the rows beside it; it is no part of the result.
    return {"decoder_token_ids": np.where(mask, ids, prompt), "decoder_padding_mask": mask, **scores}


def prompt_of(inputs: Mapping[str, Any], vocabulary_size: int) -> np.ndarray:
    """The prompt in the integer type in which it came, so that the output has it too, if it can hold every id.

    Spec: generate.output.types
    """
    given = np.asarray(inputs["decoder_token_ids"])
    fits = given.dtype.kind in "iu" and np.iinfo(given.dtype).max >= vocabulary_size - 1
    return given if fits else given.astype(np.int32)
