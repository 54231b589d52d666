# ruff: noqa: ARG005
"""Quirks of sampling and of the loop around it."""

from typing import Any

import numpy as np

from conformance.quirks import Quirk

SAMPLER, ROOM = "refimpl.samplers.sampler", "refimpl.samplers"
SEARCHES = ("sampler", "beam_sampler", "contrastive_sampler", "speculative_sampler")


def _divides(_right: Any) -> Any:
    """`softmax(logits / temperature)`, whatever the temperature."""

    def compute(self: Any, logits: Any) -> np.ndarray:
        with np.errstate(all="ignore"):
            scores = np.asarray(logits, np.float32) / np.float32(self.temperature)
            weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
            return weights / weights.sum(axis=-1, keepdims=True)

    return compute


def _no_draw(kind: type[Exception]) -> Any:
    """PyTorch and TensorFlow refuse to draw from what is not a number."""

    def make(right: Any) -> Any:
        def categorical(log_probabilities: np.ndarray, seed: Any) -> Any:
            if np.isnan(log_probabilities).any():
                raise kind("probability tensor contains either `inf`, `nan` or element < 0")
            return right(log_probabilities, seed)

        return categorical

    return make


def _whole(part: np.ndarray) -> np.ndarray:
    """The array that some of its columns were taken from."""
    return part if part.base is None else part.base


def _looks_ahead(right: Any) -> Any:
    """Columns that are still to come are searched for stop tokens too."""
    return lambda generated, is_prompt, stops: right(_whole(generated), _whole(is_prompt), stops)


def _ends_at_fill(right: Any) -> Any:
    return lambda ids, is_prompt, end, stops: right(ids, is_prompt, ids.shape[-1], stops)


def _integer_masks() -> tuple[tuple[str, str, Any], ...]:
    """In contrastive search the complement of 1 is -2, which is true."""
    integers = [False]

    def own_copies(right: Any) -> Any:
        def copies(prompt: Any, mask: Any) -> Any:
            integers[0] = mask is not None and np.asarray(mask).dtype.kind in "iu"
            return right(prompt, mask)

        return copies

    def all_stopped(right: Any) -> Any:
        return lambda generated, is_prompt, stops: right(
            generated, np.zeros_like(is_prompt) if integers[0] else is_prompt, stops
        )

    module = f"{ROOM}.contrastive_sampler"
    return (module, "own_copies", own_copies), (module, "all_stopped", all_stopped)


def _no_beams(right: Any) -> Any:
    """A beam's number is taken modulo the number of beams."""

    def beams(self: Any, cache: Any) -> Any:
        if self.num_beams == 0:
            raise ZeroDivisionError("integer modulo by zero")
        return right(self, cache)

    return beams


def _fails_for_t5gemma(kind: type[Exception], most: int) -> Any:
    """A search over more than so many rows of T5Gemma is an error."""

    def make(right: Any) -> Any:
        def search(self: Any, next: Any, prompt: Any, *rest: Any, **named: Any) -> Any:
            if "T5Gemma" in type(named.get("model")).__name__ and len(prompt) > most:
                raise kind("shapes that do not fit, or no states")
            return right(self, next, prompt, *rest, **named)

        return search

    return make


def quirks(backend: str) -> list[Quirk]:
    """Quirks of temperature, settings and stopping."""
    unchecked = lambda right: lambda *given: given[-1]  # noqa: E731
    refuses = {"torch": RuntimeError, "tensorflow": ValueError}.get(backend)
    drawing = [f"{ROOM}.{name}_sampler" for name in ("random", "top_k", "top_p")] if refuses else []
    draws = tuple((module, "categorical", _no_draw(refuses)) for module in drawing if refuses)
    shapes = {"jax": TypeError, "torch": RuntimeError}.get(backend, ValueError)
    no_beams = ((f"{ROOM}.beam_sampler", "BeamSampler._beams", _no_beams),) if backend == "jax" else ()
    steps = tuple((f"{ROOM}.{name}", "all_stopped", _looks_ahead) for name in SEARCHES)
    return [
        Quirk(
            "temperature-zero",
            ((SAMPLER, "checked_temperature", unchecked), (SAMPLER, "Sampler.compute_probabilities", _divides),
             *draws),
        ),
        Quirk(
            "sampler-settings-unchecked",
            ((f"{ROOM}.top_p_sampler", "checked_fraction", unchecked),
             (f"{ROOM}.beam_sampler", "checked_count", unchecked), *no_beams),
        ),
        Quirk("fill-value-stops", (*steps, ("refimpl.decoding.generate_step", "output_mask", _ends_at_fill))),
        Quirk("contrastive-integer-mask", _integer_masks()),
        Quirk(
            "t5gemma-searches",
            ((f"{ROOM}.beam_sampler", "BeamSampler.__call__", _fails_for_t5gemma(shapes, 1)),
             (f"{ROOM}.contrastive_sampler", "ContrastiveSampler.__call__", _fails_for_t5gemma(shapes, 0))),
        ),
    ]  # fmt: skip
