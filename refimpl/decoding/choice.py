"""How a batch is generated, chosen once at its start: by definition or kernels, with a draft or without."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from refimpl.decoding.compiled import compiled_steps
from refimpl.decoding.steps import DecoderSteps
from refimpl.errors import InputError, InputTypeError
from refimpl.samplers.speculative_sampler import speculative

Batch = Mapping[str, np.ndarray]


class Way(NamedTuple):
    """The steps that answer a sampler, the sampler, and what it takes beside the usual arguments."""

    steps: Any
    sampler: Any
    draft: Mapping[str, Any]


def way_of(model: Any, batch: Batch, index: int, assistant_model: Any = None) -> Way:
    """How a batch is generated from column `index` on; with an assistant by the speculative sampler.

    Raises: InputTypeError for what is no model, InputError if the two have different vocabularies; ConfigError for a
        wrong sampler.
    Spec: generate.assistant.vocabulary, generate.assistant.sampler
    """
    steps = _steps(model, batch, index)
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


def _steps(model: Any, batch: Batch, index: int) -> Any:
    """The kernels' steps where they fit the model, else the definition's."""
    return compiled_steps(model, batch, index) or DecoderSteps(model, batch, index)
