"""Where the kernels take over, if they are there and fit the model. Nothing else in the project knows them."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np

from refimpl.decoding.trim import trim
from refimpl.loading import LOADING

eligibility: ModuleType | None
try:  # here, not in a call: a process may fork while another of its threads imports
    from refimpl.kernels import eligibility
except ModuleNotFoundError:
    eligibility = None

Generate = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]


def compiled_steps(model: Any, batch: Mapping[str, np.ndarray], index: int, threads: int | None = None) -> Any:
    """A batch ready for the sampler's loop, in compiled form; None where the definition must run.

    Spec: kernels.twin, kernels.deleted
    """
    record = eligibility.record_of(model) if eligibility else ""
    if not record:
        return None
    with LOADING:
        from refimpl.kernels import records  # noqa: PLC0415 (this imports Numba)
        from refimpl.kernels.decoder_steps import DecoderSteps  # noqa: PLC0415

    ids, source_mask = trim(batch["encoder_token_ids"], batch["encoder_padding_mask"])
    weights = getattr(records, record)(model.backbone).model()
    return DecoderSteps(weights, model, ids, source_mask, batch["decoder_token_ids"], index, threads)


def in_parts(model: Any, inputs: Mapping[str, np.ndarray], generate: Generate) -> dict[str, np.ndarray] | None:
    """Generate for parts of the rows, each in a thread of its own; None where that does not pay.

    Spec: kernels.parts
    """
    parts = eligibility.parts_of(model, len(inputs["decoder_token_ids"])) if eligibility else 1
    if parts < 2:
        return None
    cut = {key: np.array_split(value, parts) for key, value in inputs.items()}
    with ThreadPoolExecutor(parts) as pool:
        found = list(pool.map(lambda n: generate({key: value[n] for key, value in cut.items()}), range(parts)))
    return {key: np.concatenate([part[key] for part in found]) for key in found[0]}
