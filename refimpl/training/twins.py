"""Whether training runs on the twins of `refimpl.autograd.fused`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from refimpl.training.batch import TrainingBatch

_WORTH_COMPILING = 5e8  # positions times parameters of a batch; a smaller one is through before Numba is imported


@dataclass
class Twins:
    """The twins of primitives and of Adam's step, and the block in which they run."""

    primitives: Mapping[str, Any] = field(default_factory=dict)
    adam: Callable[..., None] | None = None
    block: Callable[[], AbstractContextManager[None]] = nullcontext


def twins_for(jit_compile: Any, backbone: Any, batch: TrainingBatch) -> Twins:
    """The twins; none where the definition shall run, or nothing else can.

    `jit_compile="auto"` takes them where the batch is large enough for it to pay.

    Spec: autograd.twins
    """
    positions = batch.labels.size + batch.inputs["encoder_token_ids"].size
    wanted = positions * backbone.count_params() >= _WORTH_COMPILING if jit_compile == "auto" else bool(jit_compile)
    if not wanted or backbone.dtype != "float32":
        return Twins()
    try:
        from refimpl.autograd import fused  # noqa: PLC0415  (imports Numba, which takes its time)
    except ImportError:
        return Twins()
    return Twins(fused.TWINS, fused.adam, fused.one_thread)
