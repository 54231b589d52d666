"""How a batch is generated, chosen once at its start: by definition or kernels, with a draft or without, in parts."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from refimpl.decoding.compiled import compiled_steps, in_parts
from refimpl.decoding.steps import DecoderSteps
from refimpl.errors import InputError, InputTypeError
from refimpl.samplers.speculative_sampler import speculative

Batch = Mapping[str, np.ndarray]


class Way(NamedTuple):
    """The steps that answer a sampler, the sampler, and what it takes beside the usual arguments."""

    steps: Any
    sampler: Any
    draft: Mapping[str, Any]


def way_of(model: Any, batch: Batch, index: int, assistant_model: Any = None, threads: int | None = None) -> Way:
    """How a batch is generated from column `index` on; with an assistant by the speculative sampler.

    Raises: InputTypeError for what is no model, InputError if the two have different vocabularies; ConfigError for a
        wrong sampler.
    Spec: generate.assistant.vocabulary, generate.assistant.sampler
    """
    steps = _steps(model, batch, index, threads)
    if assistant_model is None:
        return Way(steps, steps.sampler_of(model.sampler), {})
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
    draft = _steps(assistant_model, assistant_model.backbone.checked(batch), index)
    more = {"draft_next": draft.next, "draft_cache": draft.cache, "verify_next": steps.verify_next}
    return Way(steps, speculative(model.sampler), more)


def _steps(model: Any, batch: Batch, index: int, threads: int | None = None) -> Any:
    """The kernels' steps where they fit the model, else the definition's."""
    return compiled_steps(model, batch, index, threads) or DecoderSteps(model, batch, index)


def by_rows(
    model: Any, batch: Batch, generate: Callable[[Batch, int | None], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Generate for all rows together, or where that pays for parts of them, each in one thread of its own."""
    return in_parts(model, batch, lambda part: generate(part, 1)) or generate(batch, None)
