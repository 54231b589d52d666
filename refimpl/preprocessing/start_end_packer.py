"""Packing rows of ids into a rectangle: start values, ids cut to fit, end values, padding."""

from collections.abc import Sequence

import numpy as np


def pack(
    rows: Sequence[Sequence[int]], length: int, start: Sequence[int], end: Sequence[int], pad: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pack B rows to `length` columns. A row too long loses its own end, never its start or end values.

    Shapes: returns ids (B, length) int32 and is_token (B, length) bool, True where a column is not padding.
    Spec: preprocessing.packer.truncation, preprocessing.packer.mask
    """
    ids = np.full((len(rows), length), pad, np.int32)
    is_token = np.zeros((len(rows), length), bool)
    room = max(length - len(start) - len(end), 0)
    for b, row in enumerate(rows):
        packed = [*start, *row[:room], *end][:length]
        ids[b, : len(packed)] = packed
        is_token[b, : len(packed)] = True
    return ids, is_token
