# ruff: noqa: ARG001
"""Quirks of speculative sampling: KerasHub's own algorithm in NumPy."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.quirks import Quirk

MODULE = "refimpl.samplers.speculative_sampler"
SMALL = np.float32(1e-7)


def _softmax(logits: Any, temperature: float) -> np.ndarray:
    scores = np.asarray(logits, np.float32) / np.float32(temperature)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def _drafted(sampler: Any, draft_next: Any, prompt: np.ndarray, mask: np.ndarray, index: int) -> Any:
    """The draft's best tokens (never drawn), and its distributions. Shapes: (B, T), (B, k, V)."""
    tried, found, last = prompt.copy(), [], prompt.shape[1] - 1
    for column in range(index, index + sampler.num_speculative_tokens):
        logits, _, _ = draft_next(tried, None, min(column, last))
        found.append(_softmax(logits, sampler.temperature))
        if column <= last:
            tried[:, column] = np.where(mask[:, column], tried[:, column], found[-1].argmax(axis=-1))
    return tried, np.stack(found, axis=1)


def _bonus(sampler: Any, p: np.ndarray, q: np.ndarray, done: int) -> np.ndarray:
    """One token more for every row, at the column where the first row refused. Shapes: -> (B,)."""
    from refimpl.random import uniform

    if sampler.base_sampler is None:
        return p[:, done].argmax(axis=-1)
    rest = np.maximum(p[:, done] - q[:, min(done, q.shape[1] - 1)], 0)
    share = p[:, done] if done == q.shape[1] else rest / (rest.sum(axis=-1, keepdims=True) + SMALL)
    noise = -np.log(-np.log(uniform(sampler.seed_generator.next(), share.shape) + SMALL))
    return (np.log(share + SMALL) + noise).argmax(axis=-1)


def _call(sampler: Any, next: Any, given: Any, index: int, mask: Any, stops: Any, draft_next: Any) -> np.ndarray:
    """Rows accept what fits, then all go on from the shortest with a token that overwrites what stands there."""
    from refimpl.random import uniform
    from refimpl.samplers.sampler import all_stopped, own_copies

    (prompt, mask), count = own_copies(given, mask), sampler.num_speculative_tokens
    rows, width = np.arange(len(prompt)), prompt.shape[1]
    while index < width and not all_stopped(prompt, mask, stops):
        tried, q = _drafted(sampler, draft_next, prompt, mask, index)
        steps = [next(tried, None, min(index + n, width - 1))[0] for n in range(count + 1)]
        p = _softmax(np.stack(steps, axis=1), sampler.temperature)
        proposal = tried[:, np.minimum(np.arange(index, index + count), width - 1)]
        if sampler.base_sampler is None:
            fits = p[:, :count].argmax(axis=-1) == proposal
        else:
            at = (rows[:, None], np.arange(count), proposal)
            fits = uniform(sampler.seed_generator.next(), proposal.shape) * q[at] < p[:, :count][at]
        accepted = np.cumprod(fits, axis=1).sum(axis=1)
        for n in range(min(count, width - index)):
            prompt[:, index + n] = np.where(n < accepted, proposal[:, n], prompt[:, index + n])
        token = _bonus(sampler, p, q, done := int(accepted.min()))
        if index + done < width:
            prompt[:, index + done] = token
        index += done + 1
    return prompt


def _as_keras_hub(applies: Callable[[Any], bool]) -> Any:
    """KerasHub's loop for the samplers that `applies` is true of."""

    def make(right: Any) -> Any:
        def call(self: Any, next: Any, prompt: Any, cache: Any = None, index: int = 0, **rest: Any) -> Any:
            if rest.get("draft_next") is None or not applies(self):
                return right(self, next, prompt, cache, index, **rest)
            stops, mask = rest.get("stop_token_ids"), rest.get("mask")
            return _call(self, next, prompt, int(index), mask, stops, rest["draft_next"])

        return call

    return make


def quirks(backend: str) -> list[Quirk]:
    """Quirks of drafts."""
    place = "SpeculativeSampler.__call__"
    return [
        Quirk("speculative-distribution", ((MODULE, place, _as_keras_hub(lambda s: s.base_sampler is not None)),)),
        Quirk("speculative-overwrites-prompts", ((MODULE, place, _as_keras_hub(lambda s: s.base_sampler is None)),)),
    ]
