"""Where the kernels take over, if they are there and fit the model. Nothing else in the project knows them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.decoding.trim import trim


def compiled_steps(model: Any, batch: Mapping[str, np.ndarray], index: int) -> Any:
    """A batch ready for the sampler's loop, in compiled form; None where the definition must run.

    Spec: kernels.twin, kernels.deleted
    """
    try:
        from refimpl.kernels.twin import architecture_of  # noqa: PLC0415
    except ModuleNotFoundError:
        return None
    architecture = architecture_of(model)
    if architecture is None:
        return None
    from refimpl.kernels.decoder_steps import DecoderSteps  # noqa: PLC0415 (this imports Numba)

    ids, source_mask = trim(batch["encoder_token_ids"], batch["encoder_padding_mask"])
    return DecoderSteps(architecture, model, ids, source_mask, batch["decoder_token_ids"], index)


def compiled_sampler(sampler: Any, steps: Any) -> Any:
    """The sampler's twin if the steps are compiled, or the sampler itself."""
    return steps.sampler_of(sampler) if hasattr(steps, "sampler_of") else sampler
