"""Packing rows of ids into a rectangle: start values, ids cut to fit, end values, padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refimpl.errors import ConfigError, InputTypeError
from refimpl.keras_api.inputs import plain


def pack(
    rows: Sequence[Sequence[Any]], length: int, start: Sequence[Any], end: Sequence[Any], pad: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Pack B rows to `length` columns. A row too long loses its own end, never its start or end values.

    Shapes: returns ids (B, length) int32 and is_token (B, length) bool, True where a column is not padding.
    Spec: preprocessing.packer.truncation, preprocessing.packer.mask
    """
    ids = np.full((len(rows), length), pad, object if isinstance(pad, str) else np.int32)
    is_token = np.zeros((len(rows), length), bool)
    room = max(length - len(start) - len(end), 0)
    for b, row in enumerate(rows):
        packed = [*start, *row[:room], *end][:length]
        ids[b, : len(packed)] = packed
        is_token[b, : len(packed)] = True
    return ids, is_token


class StartEndPacker:
    """`pack` as KerasHub's layer: a row of ids or tokens, or several.

    Spec: preprocessing.packer.layer
    """

    def __init__(
        self,
        sequence_length: int,
        start_value: Any = None,
        end_value: Any = None,
        pad_value: Any = None,
        return_padding_mask: bool = False,
        name: str | None = None,
        padding_side: str = "right",
    ) -> None:
        if padding_side != "right":
            raise ConfigError(
                f"padding_side={padding_side!r} was passed.",
                "Encoder-decoder models are padded on the right.",
                "Leave it out.",
                "preprocessing.packer.layer",
            )
        self.sequence_length, self.pad_value = sequence_length, pad_value
        self.start_value, self.end_value = _listed(start_value), _listed(end_value)
        self.return_padding_mask, self.name = return_padding_mask, name or "start_end_packer"

    def __call__(
        self,
        inputs: Any,
        sequence_length: int | None = None,
        add_start_value: bool = True,
        add_end_value: bool = True,
    ) -> Any:
        """The packed row or rows, and with `return_padding_mask` which columns are no padding.

        Shapes: (T,) -> (sequence_length,); B rows -> (B, sequence_length). Tokens come back in lists.
        Raises: InputTypeError for what is no row and no list of rows.
        """
        held = plain(inputs)
        if not isinstance(held, (list, tuple, np.ndarray)):
            raise InputTypeError(
                f"StartEndPacker got {inputs!r:.60}.",
                "Input should be a list or a list of lists.",
                "Tokenize texts first.",
                "preprocessing.packer.layer",
            )
        single = not len(held) or not isinstance(held[0], (list, tuple, np.ndarray))
        rows = [list(row) for row in ([held] if single else held)]
        text = any(isinstance(token, str) for row in rows for token in row)
        pad = self.pad_value if self.pad_value is not None else "" if text else 0
        start, end = self.start_value * add_start_value, self.end_value * add_end_value
        packed, mask = pack(rows, sequence_length or self.sequence_length, start, end, pad)
        first: Any = 0 if single else slice(None)
        ids = packed[first].tolist() if text else packed[first]
        return (ids, mask[first]) if self.return_padding_mask else ids


def _listed(value: Any) -> list[Any]:
    return [] if value is None else [value] if isinstance(value, (int, str)) else list(value)
