"""The steps of the definition: read source and prompt, then one column after the other over the cache."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.decoding.trim import source_of

Cache = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # self, cross, encoder states, encoder mask


class DecoderSteps:
    """What a sampler calls for logits, after the prompt's first `index` columns; knows up to which column it was asked.

    The kernels' twin of this class has the same methods and attributes.
    """

    def __init__(self, model: Any, batch: Mapping[str, np.ndarray], index: int) -> None:
        self._model, self.reached = model, index
        self.cache, self.hidden_states = prefill(model, batch, index)

    def sampler_of(self, sampler: Any) -> Any:
        """The sampler that goes with these steps: itself."""
        return sampler

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
        logits, states, own, _ = self._model.call_decoder_with_cache(
            encoder_hidden_states=encoded,
            encoder_padding_mask=source_mask,
            decoder_token_ids=prompt[:, first : first + count],
            self_attention_cache=own,
            self_attention_cache_update_index=first,
            cross_attention_cache=other,
            cross_attention_cache_update_index=None,
        )
        return logits, states, (own, other, encoded, source_mask)


def prefill(model: Any, batch: Mapping[str, np.ndarray], index: int) -> tuple[Cache, np.ndarray]:
    """Encode the source and run the decoder over the prompt's first `index` columns.

    Returns the cache and the decoder's states (B, T, E), zero beyond the prompt.
    """
    source, source_mask = source_of(model.backbone, batch)
    encoded, source_mask = model._encode(source, source_mask)
    prompt = batch["decoder_token_ids"]
    own, other = model._initialize_cache(source, prompt)
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
