"""Padding that no row needs."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def trim(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut columns at the end that are padding in every row; padding is inert, so only time changes.

    Spec: generate.padding-inert
    """
    used = np.flatnonzero(mask.any(axis=0))
    width = int(used[-1]) + 1 if used.size else 1
    return ids[:, :width], mask[:, :width]


def source_of(backbone: Any, batch: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A batch's source and its mask; where padding is inert, without padding that no row needs."""
    source, mask = batch[backbone.source_key], batch["encoder_padding_mask"]
    return trim(source, mask) if backbone.inert_padding else (source, mask)
