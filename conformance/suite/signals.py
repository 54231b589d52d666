"""Long arrays of cases in short form: sound and masks written as arithmetic, spelled out before they are sent."""

from typing import Any

import numpy as np

from conformance.make.recipe import noise


def spelled_out(value: Any) -> Any:
    """A message, or what is expected, with each `$sound` and `$mask` as an array; golden/README.md has the form."""
    if isinstance(value, list):
        return [spelled_out(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$sound" in value:
        return _sound(**value["$sound"])
    if "$mask" in value:
        return _mask(**value["$mask"])
    return {key: spelled_out(item) for key, item in value.items()}


def _sound(
    number: int, lengths: list[int], width: int, scale: float = 0.125, silent: Any = (), channels: int = 0
) -> np.ndarray:
    """Rows of noise, each with zeros behind its length. Shapes: -> (B, width) or, with channels, (B, width, C)."""
    rows = np.zeros((len(lengths), width), "float32")
    for b, length in enumerate(lengths):
        rows[b, :length] = noise(number + b, (length,)) * scale
    for b, first, last in silent:
        rows[b, first:last] = 0.0
    return np.repeat(rows[..., None], channels, axis=2) if channels else rows


def _mask(lengths: list[int], width: int, holes: Any = ()) -> list[list[bool]]:
    """Rows that are true up to a length, but not in the holes."""
    rows = np.arange(width) < np.array(lengths)[:, None]
    for b, first, last in holes:
        rows[b, first:last] = False
    return rows.tolist()  # type: ignore[no-any-return]
