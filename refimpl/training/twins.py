"""Whether training runs on the twins of `refimpl.autograd.fused`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refimpl.training.batch import TrainingBatch

_WORTH_COMPILING = 5e8  # positions times parameters of a batch; a smaller one is through before Numba is imported


def twins_for(jit_compile: Any, backbone: Any, batch: TrainingBatch) -> tuple[Mapping[str, Any], Any]:
    """The twins of primitives, and Adam's; none where the definition shall run, or nothing else can.

    `jit_compile="auto"` takes them where the batch is large enough for it to pay.

    Spec: autograd.twins
    """
    positions = batch.labels.size + batch.inputs["encoder_token_ids"].size
    wanted = positions * backbone.count_params() >= _WORTH_COMPILING if jit_compile == "auto" else bool(jit_compile)
    if not wanted or backbone.dtype != "float32":
        return {}, None
    try:
        from refimpl.autograd import fused  # noqa: PLC0415  (imports Numba, which takes its time)
    except ImportError:
        return {}, None
    return fused.TWINS, fused.adam
