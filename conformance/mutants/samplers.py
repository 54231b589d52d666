"""Mutants of the samplers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.mutants import Mutant

_ROOM = "refimpl.samplers."


def _mutant(name: str, fault: str, clauses: str, *patches: tuple[str, str, Callable[[Any], Any]]) -> Mutant:
    """A mutant of the module `refimpl.samplers.<first of each patch>`."""
    full = tuple("samplers." + clause for clause in clauses.split())
    return Mutant(f"samplers-{name}", fault, full, tuple((_ROOM + m, path, wrong) for m, path, wrong in patches))


def _top_k(change: Callable[[np.ndarray, int], tuple[np.ndarray, int]]) -> Callable[[Any], Any]:
    """`top_k` with other arguments."""
    return lambda right: lambda values, k: right(*change(values, k))


def _more(values: np.ndarray, k: int) -> tuple[np.ndarray, int]:
    return values, min(k + 1, values.shape[-1])


def _ties_highest(_: Any) -> Any:
    """Ranks by descending value, equals by descending index."""

    def top_k(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        order = values.shape[-1] - 1 - np.argsort(-values[..., ::-1], axis=-1, kind="stable")[..., :k]
        return np.take_along_axis(values, order, axis=-1), order

    return top_k


def _kept(keep_of: Callable[[np.ndarray, float], np.ndarray], scaled: bool = False) -> Callable[[Any], Any]:
    """`TopPSampler._kept` with another rule for what is kept."""

    def wrong(right: Any) -> Any:
        def kept(self: Any, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            p, self.p = self.p, 1.0
            highest, ids = right(self, probabilities)
            self.p = p
            if scaled:
                highest = highest / highest.sum(axis=-1, keepdims=True)
            return np.where(keep_of(np.cumsum(highest, axis=-1), np.float32(p)), highest, np.float32(0)), ids

        return kept

    return wrong


def _shifted(keep: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones_like(keep[:, :1]), keep[:, :-1]], axis=1)


def _unscaled(right: Any) -> Any:
    """Probabilities without temperature."""

    def compute(self: Any, logits: np.ndarray) -> Any:
        kept, self.temperature = self.temperature, 1.0
        found = right(self, logits)
        self.temperature = kept
        return found

    return compute


def _zero_divides(_: Any) -> Any:
    def compute(self: Any, logits: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            scores = np.asarray(logits, np.float32) / np.float32(self.temperature)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            return weights / weights.sum(axis=-1, keepdims=True)

    return compute


def _instead(other: Any) -> Callable[[Any], Any]:
    """Something else in place of what is right."""
    return lambda _: other


def _length_penalty(right: Any) -> Any:
    """Scores divided by a growing length, as other libraries do."""

    def best(self: Any, probabilities: np.ndarray, scores: np.ndarray) -> Any:
        found, came_from, token = right(self, probabilities, scores)
        return found * np.float32(0.8), came_from, token

    return best


def _last_best(right: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = right(self, *args, **kwargs)
        return (found[0][:, ::-1], found[1][:, ::-1]) if isinstance(found, tuple) else found

    return call


def _forced_score(right: Any) -> Any:
    """Scores that go to other beams than they belong to."""

    def best(self: Any, probabilities: np.ndarray, scores: np.ndarray) -> Any:
        found, came_from, token = right(self, probabilities, scores)
        return np.sort(found, axis=1), came_from, token

    return best


def _counter_first(right: Any) -> Any:
    def next(self: Any) -> Any:
        right(self)
        return self.state.copy()

    return next


def _one_round_less(right: Any) -> Any:
    return (right[0], right[1][:3])


def _prompt_counts(right: Any) -> Any:
    return lambda generated, is_prompt, stops: right(generated, np.zeros_like(is_prompt), stops)


def _no_mask(right: Any) -> Any:
    return lambda prompt, mask: (right(prompt, mask)[0], np.zeros(np.shape(prompt), bool))


def _added_similarity(right: Any) -> Any:
    return lambda self, p, s: right(self, p, -s)


def _lowest_similarity(right: Any) -> Any:
    def similarity(history: np.ndarray, states: np.ndarray) -> Any:
        return np.stack([right(history[:, t : t + 1], states) for t in range(history.shape[1])]).min(axis=0)

    return similarity


def _all_accepted(right: Any) -> Any:
    """Whatever the draft says is taken."""
    return lambda self, prompt, tried, mask, p, q, index: right(
        self, prompt, tried, np.ones_like(mask) if q.shape[1] else mask, p, q, index
    )


def _half_counted(right: Any) -> Any:
    """The draft's probabilities count half."""
    return lambda self, prompt, tried, mask, p, q, index: right(
        self, prompt, tried, mask, p, q * np.float32(0.5), index
    )


def _any_name(right: Any) -> Any:
    return lambda name, known: right(name if name in known else "greedy", known)


MUTANTS: list[Mutant] = [
    _mutant("k-plus-one", "S05", "top-k.support get.names", ("top_k_sampler", "top_k", _top_k(_more))),
    _mutant("ties-highest", "S06", "top-k.order", ("top_k_sampler", "top_k", _ties_highest)),
    _mutant("beam-ties-highest", "S06", "beam.score", ("beam_sampler", "top_k", _ties_highest)),
    _mutant("top-p-drops-crossing", "S01", "top-p.support",
            ("top_p_sampler", "TopPSampler._kept", _kept(lambda mass, p: mass <= p))),
    _mutant("top-p-less-than", "S01", "top-p.boundary",
            ("top_p_sampler", "TopPSampler._kept", _kept(lambda mass, p: _shifted(mass < p)))),
    _mutant("top-p-scales-up", "S04", "top-p.with-k",
            ("top_p_sampler", "TopPSampler._kept", _kept(lambda mass, p: _shifted(mass <= p), scaled=True))),
    _mutant("no-temperature", "S12", "loop.temperature", ("sampler", "Sampler.compute_probabilities", _unscaled)),
    _mutant("temperature-zero-divides", "S07", "temperature.zero",
            ("sampler", "Sampler.compute_probabilities", _zero_divides)),
    _mutant("negative-temperature", "S07", "temperature.range",
            ("sampler", "checked_temperature", _instead(lambda value: value))),
    _mutant("beams-all-live", "B04", "beam.first-step", ("beam_sampler", "NOT_LIVE", _instead(np.float32(0)))),
    _mutant("beam-cache-stays", "B02", "beam.cache-follows",
            ("beam_sampler", "taken", _instead(lambda cache, _: cache))),
    _mutant("beam-length-penalty", "B12", "beam.score beam.finished-go-on",
            ("beam_sampler", "BeamSampler._best", _length_penalty)),
    _mutant("beams-worst-first", "B07", "beam.return-all", ("beam_sampler", "BeamSampler.__call__", _last_best)),
    _mutant("beam-scores-mixed", "B02", "beam.score beam.forced-columns",
            ("beam_sampler", "BeamSampler._best", _forced_score)),
    _mutant("contrastive-cache-stays", "B02", "contrastive.score contrastive.candidates contrastive.hidden-states",
            ("contrastive_sampler", "taken", lambda right: lambda cache, rows: right(cache, rows // rows.clip(1) * 0))),
    _mutant("contrastive-likes-old", "N", "contrastive.score",
            ("contrastive_sampler", "ContrastiveSampler._score", _added_similarity)),
    _mutant("contrastive-lowest", "N", "contrastive.score", ("contrastive_sampler", "similarity", _lowest_similarity)),
    _mutant("stop-in-prompt", "D01", "loop.integer-mask",
            ("contrastive_sampler", "all_stopped", _prompt_counts)),
    _mutant("prompt-overwritten", "D01", "loop.prompt-kept", ("sampler", "own_copies", _no_mask),
            ("speculative_sampler", "own_copies", _no_mask)),
    _mutant("draft-believed", "N", "speculative.greedy-equals-target speculative.distribution",
            ("speculative_sampler", "SpeculativeSampler._accept", _all_accepted)),
    _mutant("draft-half-counted", "N", "speculative.distribution",
            ("speculative_sampler", "SpeculativeSampler._accept", _half_counted)),
    _mutant("any-name-is-greedy", "N", "get config.class-names", ("serialization", "_class_of", _any_name)),
    Mutant("samplers-seed-not-advanced", "D18", ("samplers.seed.state", "samplers.random.distribution"),
           (("refimpl.random.seed_generator", "SeedGenerator.next", _instead(lambda self: self.state.copy())),)),
    Mutant("samplers-counter-from-one", "N", ("samplers.seed.state",),
           (("refimpl.random.seed_generator", "SeedGenerator.next", _counter_first),)),
    Mutant("samplers-threefry-rotations", "N", ("samplers.random.threefry",),
           (("refimpl.random.threefry", "ROTATIONS", _one_round_less),)),
]  # fmt: skip
