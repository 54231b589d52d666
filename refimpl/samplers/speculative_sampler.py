"""Speculative sampling: a small model proposes several tokens, the large one judges them in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from refimpl.errors import ConfigError, InputError
from refimpl.random import SeedGenerator, categorical, uniform
from refimpl.random.draws import log32
from refimpl.samplers.arguments import built, checked_count
from refimpl.samplers.greedy_sampler import GreedySampler
from refimpl.samplers.sampler import Next, Sampler, all_stopped, own_copies
from refimpl.samplers.serialization import get, named, serialize

Verify = Callable[[np.ndarray, Any, int, int], tuple[Any, ...]]


@named("speculative")
class SpeculativeSampler(Sampler):
    """Tokens of the target model, proposed by a draft model; the draft decides the time that it takes, not the result.

    Without `base_sampler` the output is the target's greedy output, token for token. With one (random, top_k or top_p)
    each token has the distribution that this sampler would draw it from on the target alone.

    The temperature is that of the base sampler, or the one given here; different ones in both places are refused.

    Raises: ConfigError.
    Spec: samplers.speculative.greedy-equals-target, samplers.speculative.distribution, samplers.speculative.temperature
    Source: Leviathan et al. 2023, "Fast inference from transformers via speculative decoding", algorithm 1
    """

    def __init__(
        self,
        num_speculative_tokens: int = 5,
        base_sampler: Any = None,
        seed: int | None = None,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(temperature)
        self.num_speculative_tokens = checked_count("num_speculative_tokens", num_speculative_tokens)
        self.base_sampler = _checked_base(base_sampler, self.temperature)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def __call__(
        self,
        next: Next,
        prompt: np.ndarray,
        cache: Any = None,
        index: int = 0,
        mask: np.ndarray | None = None,
        stop_token_ids: Sequence[int] | None = None,
        hidden_states: np.ndarray | None = None,
        model: Any = None,
        draft_next: Next | None = None,
        draft_cache: Any = None,
        verify_next: Verify | None = None,
    ) -> np.ndarray:
        """Fill `prompt` from column `index` on.

        `draft_next` is the draft's `next`. `verify_next(prompt, cache, index, k)` gives the target's logits
        (B, k + 1, V) for the columns from `index` on, and its cache; without it `next` is called for each column.

        Shapes: prompt and mask (B, T) -> (B, T).
        Raises: InputError without `draft_next`.
        Spec: samplers.speculative.draft-model, samplers.loop.prompt-kept, samplers.speculative.stop
        """
        if draft_next is None:
            raise _no_draft()
        given, (prompt, mask) = prompt, own_copies(prompt, mask)
        verify = verify_next or _one_by_one(next)
        index, drafted = int(index), int(index)
        while index < prompt.shape[1] and not all_stopped(prompt[:, :index], mask[:, :index], stop_token_ids):
            for column in range(drafted, index):  # what the draft has not read yet
                _, _, draft_cache = draft_next(prompt, draft_cache, column)
            count = min(self.num_speculative_tokens, prompt.shape[1] - 1 - index) if index else 0
            tried, q, draft_cache = self._draft(draft_next, prompt, draft_cache, mask, index, count)
            logits, *_, cache = verify(tried, cache, index, count)
            p = np.stack([self._distribution(logits[:, step]) for step in range(count + 1)], axis=1)
            drafted, first = index + count, index
            index = self._accept(prompt, tried, mask, p, q, index)
            for column in range(first + 1, index):  # where the target's own loop would have ended
                if all_stopped(prompt[:, :column], mask[:, :column], stop_token_ids):
                    prompt[:, column:] = np.asarray(given)[:, column:]
                    return prompt
        return prompt

    def _draft(
        self, draft_next: Next, prompt: np.ndarray, cache: Any, mask: np.ndarray, index: int, count: int
    ) -> tuple[np.ndarray, np.ndarray, Any]:
        """The prompt with `count` tokens of the draft, their distributions (B, count, V), and the draft's cache."""
        tried, distributions = prompt.copy(), []
        for column in range(index, index + count):
            logits, _, cache = draft_next(tried, cache, column)
            distributions.append(self._distribution(logits))
            token = categorical(log32(distributions[-1]), self.seed_generator)
            tried[:, column] = np.where(mask[:, column], tried[:, column], token)
        return tried, np.stack(distributions, axis=1) if distributions else np.empty((len(prompt), 0, 0)), cache

    def _accept(
        self, prompt: np.ndarray, tried: np.ndarray, mask: np.ndarray, p: np.ndarray, q: np.ndarray, index: int
    ) -> int:
        """Write the proposals that all rows accept and one token more, in place; returns the next column.

        A row that accepted more than others keeps its own proposal as that one token; a row that refused draws from
        what the draft left out, `max(p - q, 0)`; after the last proposal all rows draw from `p`.

        Shapes: prompt, tried, mask (B, T), p (B, count + 1, V), q (B, count, V).
        Spec: samplers.speculative.distribution, samplers.speculative.rows
        """
        rows, count = np.arange(len(prompt)), q.shape[1]
        accepted = np.full(len(prompt), count)
        if count:
            proposal = tried[:, index : index + count]
            at = (rows[:, None], np.arange(count), proposal.astype(np.intp))  # spec: samplers.loop.float-prompt
            chance = uniform(self.seed_generator.next(), proposal.shape)
            refused = ~mask[:, index : index + count] & ~(chance * q[at] < p[:, :count][at])
            accepted = np.where(refused.any(axis=1), refused.argmax(axis=1), count)
        done = int(accepted.min())
        column = index + done
        prompt[:, index:column] = tried[:, index:column]
        rest = np.maximum(p[:, done] - q[:, done], 0) if done < count else p[:, done]
        drawn = categorical(log32(np.where(rest.any(axis=1, keepdims=True), rest, p[:, done])), self.seed_generator)
        keep = mask[:, column] | (accepted > done)
        prompt[:, column] = np.where(keep, tried[:, column], drawn)
        return column + 1

    def _distribution(self, logits: np.ndarray) -> np.ndarray:
        """What a token is drawn from: sure in greedy mode, the base sampler's otherwise. Shapes: (B, V) -> (B, V)."""
        base = self.base_sampler
        if base is None or self.temperature == 0:
            return GreedySampler().get_distribution(self.compute_probabilities(logits))
        if base.temperature == self.temperature:
            return base.get_distribution(base.compute_probabilities(logits))
        scaled = np.asarray(logits, np.float32) / np.float32(self.temperature)
        return base.get_distribution(base.compute_probabilities(scaled))

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, the base sampler serialized."""
        base = None if self.base_sampler is None else serialize(self.base_sampler)
        head = super().get_config() | {"num_speculative_tokens": self.num_speculative_tokens}
        return head | {"base_sampler": base, "seed": self.seed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build from `get_config()`'s dictionary; a serialized base sampler becomes a sampler again.

        Spec: samplers.speculative.base-restored
        """
        base = get(config.get("base_sampler")) if isinstance(config, Mapping) else None
        return built(cls, {**config, "base_sampler": base} if base is not None else config)


def speculative(sampler: Any) -> SpeculativeSampler:
    """The speculative sampler that gives what `sampler` gives. Its draws continue the sampler's own seed.

    Raises: ConfigError for a sampler that does not draw each token from one distribution.
    Spec: generate.assistant.sampler
    """
    if isinstance(sampler, SpeculativeSampler):
        return sampler
    found = SpeculativeSampler(base_sampler=sampler)
    found.seed_generator = getattr(sampler, "seed_generator", found.seed_generator)
    return found


def _one_by_one(next: Next) -> Verify:
    """Judge proposals with one pass each, for models without `verify_next`."""

    def verify(prompt: np.ndarray, cache: Any, index: int, k: int) -> tuple[np.ndarray, Any]:
        """Shapes: prompt (B, T) -> logits (B, k + 1, V), and the cache."""
        logits = []
        for column in range(index, index + k + 1):
            step, _, cache = next(prompt, cache, column)
            logits.append(step)
        return np.stack(logits, axis=1), cache

    return verify


def _checked_base(base: Any, temperature: float) -> Any:
    """The base sampler as an object whose distribution can be asked for.

    Spec: samplers.speculative.base, samplers.speculative.temperature
    """
    if base is None:
        return None
    if not hasattr(base, "get_distribution"):
        raise ConfigError(
            f"base_sampler={base!r} was passed.",
            "It must be a sampler that draws each token from one distribution: greedy, random, top_k or top_p, "
            "or one of your own with get_distribution(probabilities).",
            "Pass for example base_sampler=TopPSampler(p=0.9), or None for greedy output.",
            "samplers.speculative.base",
        )
    if 1.0 not in (temperature, base.temperature) and temperature != base.temperature:
        raise ConfigError(
            f"temperature={temperature} was passed, beside a base sampler of temperature {base.temperature}.",
            "There is one temperature, that of the base sampler.",
            "Set it on the base sampler only.",
            "samplers.speculative.temperature",
        )
    return base


def _no_draft() -> InputError:
    """A draft model is needed (spec: samplers.speculative.draft-model)."""
    return InputError(
        "`SpeculativeSampler` requires a `draft_next` callable.",
        "A second, smaller model must propose the tokens.",
        "Call lm.generate(inputs, assistant_model=small_lm), or use another sampler.",
        "samplers.speculative.draft-model",
    )
