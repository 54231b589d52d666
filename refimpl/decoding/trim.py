"""Padding that no row needs."""

import numpy as np


def trim(ids: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut columns at the end that are padding in every row; padding is inert, so only time changes.

    Spec: generate.padding-inert
    """
    used = np.flatnonzero(mask.any(axis=0))
    width = int(used[-1]) + 1 if used.size else 1
    return ids[:, :width], mask[:, :width]
