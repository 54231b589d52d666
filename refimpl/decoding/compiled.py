"""Where the kernels take over, if they are there and fit the model. Nothing else in the project knows them."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from refimpl.decoding.trim import source_of
from refimpl.loading import LOADING

eligibility: ModuleType | None
try:  # here, not in a call: a process may fork while another of its threads imports
    from refimpl.kernels import eligibility
except ModuleNotFoundError:
    eligibility = None


def compiled_steps(model: Any, batch: Mapping[str, np.ndarray], index: int) -> Any:
    """A batch ready for the sampler's loop, in compiled form; None where the definition must run."""
    record = eligibility.record_of(model) if eligibility else ""
    if not record:
        return None
    with LOADING:
        from refimpl.kernels import records  # noqa: PLC0415 (this imports Numba)
        from refimpl.kernels.decoder_steps import DecoderSteps  # noqa: PLC0415

    source, source_mask = source_of(model.backbone, batch)
    weights = getattr(records, record)(model.backbone).model()
    return DecoderSteps(weights, model, source, source_mask, batch["decoder_token_ids"], index)
