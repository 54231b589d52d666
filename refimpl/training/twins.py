"""Whether training runs on the twins of `refimpl.autograd.vjp_numba`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from refimpl.autograd.blas_threads import one_thread
from refimpl.loading import LOADING
from refimpl.training import compile_clock
from refimpl.training.batch import TrainingBatch

_WORTH_COMPILING = 5e8  # positions times parameters of a batch; a smaller one is through before Numba is imported
_WEIGHTS_A_POSITION = 2000  # up to so many weights for each position a batch is worked on in shards

Shards = Callable[[Callable[[int, int], Any], int], list[Any]]


def whole(function: Callable[[int, int], Any], rows: int) -> list[Any]:
    """All rows in one shard."""
    return [function(0, rows)]


@dataclass
class Twins:
    """The twins of primitives and of Adam's step, the block in which they run, and how rows are shared out."""

    primitives: Mapping[str, Any] = field(default_factory=dict)
    adam: Callable[..., None] | None = None
    block: Callable[[], AbstractContextManager[None]] = nullcontext
    shards: Shards = whole


def twins_for(jit_compile: Any, backbone: Any, batch: TrainingBatch) -> Twins:
    """The twins; none where the definition shall run, or nothing else can.

    `jit_compile=False` never takes them; anything else does where the batch is large enough for it to pay.
    """
    positions = batch.labels.size + batch.rows * backbone.source_length(batch.inputs["encoder_padding_mask"].shape[1])
    wanted = bool(jit_compile) and positions * backbone.count_params() >= _WORTH_COMPILING
    if not wanted or backbone.dtype != "float32":
        return Twins()
    try:
        with LOADING:
            if "refimpl.autograd.vjp_numba" not in sys.modules:
                compile_clock.listen()
            from refimpl.autograd import vjp_numba  # noqa: PLC0415  (imports Numba, which takes its time)
    except ImportError:
        return Twins()
    # Each shard has gradients of its own for all weights: that must be little beside the products of its rows.
    shards = vjp_numba.in_shards if backbone.count_params() <= _WEIGHTS_A_POSITION * positions else whole
    return Twins(vjp_numba.TWINS, vjp_numba.adam, one_thread, shards)
