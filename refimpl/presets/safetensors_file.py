"""The safetensors format: eight bytes with the header's length, a JSON header, the numbers.

Source: github.com/huggingface/safetensors, README "Format"
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.errors import PresetUnreadableError, WeightsError
from refimpl.presets.segments import Segment, Shape

_TYPES = {"F16": "float16", "F32": "float32", "F64": "float64", "BF16": "bfloat16"}
_NAMES = {"float16": "F16", "float32": "F32", "float64": "F64"}
_LONGEST_HEADER = 100_000_000  # bytes, the format's own limit


def read_header(path: Path) -> dict[str, Segment | None]:
    """Every tensor of a file with its place, or None for one whose type is no float type.

    Raises: PresetUnreadableError if the header is not what the format asks for, or leads out of the file.
    Spec: presets.safetensors.header
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LONGEST_HEADER):
            raise _malformed(path, f"its header has {length} bytes, the file {size}")
        text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _malformed(path, f"its header is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise _malformed(path, "its header is no JSON object")
    header.pop("__metadata__", None)
    found = {name: _entry(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_tiling(path, header, size - 8 - length)
    return found


def _entry(path: Path, name: str, entry: Any, start: int) -> Segment | None:
    """A tensor's place, from its entry in the header."""
    entry = entry if isinstance(entry, dict) else {}
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    lists = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2
    numbers = [*shape, *offsets] if lists else [None]
    if any(type(number) is not int or not 0 <= number < 2**63 for number in numbers):
        raise _malformed(path, f"the entry of {name!r:.80} is {entry!r:.80}")
    kind = entry.get("dtype")
    if not isinstance(kind, str) or kind not in _TYPES:
        return None
    segment = Segment(path, start + offsets[0], _TYPES[kind], tuple(shape))
    if offsets[1] - offsets[0] != segment.bytes:
        raise _malformed(path, f"{name!r:.80} of shape {shape!r:.80} has the offsets {offsets}")
    return segment


def _check_tiling(path: Path, header: Mapping[str, Any], size: int) -> None:
    """Tensors lie one after the other, without gap or overlap, up to the end of the file."""
    end = 0
    for first, last in sorted(entry["data_offsets"] for entry in header.values()):
        if first != end or last < first:
            raise _malformed(path, f"a tensor lies at {first} to {last}, where {end} must begin one")
        end = last
    if end != size:
        raise _malformed(path, f"its tensors have {end} bytes, the file has {size} for them")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object without a key that stands twice."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands twice")
    return content


def write_tensors(path: Path, tensors: Mapping[str, tuple[Shape, str]], arrays: Iterable[np.ndarray]) -> None:
    """Write one file. `tensors` gives each one's shape and type; `arrays` follow in that order, one at a time.

    Spec: presets.safetensors.header
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (shape, dtype) in tensors.items():
        first, end = end, end + prod(shape) * np.dtype(dtype).itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [first, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in arrays:
            np.ascontiguousarray(array).tofile(file)


def expect(tensors: Mapping[str, Segment | None], name: str, shape: Shape) -> Segment:
    """A tensor that must be there, of that shape and a float type.

    Raises: WeightsError.
    Spec: presets.weights.complete, presets.weights.shape
    """
    segment = tensors.get(name)
    if segment is None or segment.shape != shape:
        has = f"of shape {segment.shape}" if segment else "of another type" if name in tensors else "missing"
        raise WeightsError(
            f"The tensor {name!r} is {has}.",
            f"It must have shape {shape} and a float type, as config.json says.",
            "Check the sizes in config.json, or download the checkpoint anew.",
            "presets.weights.shape" if name in tensors else "presets.weights.complete",
        )
    return segment


def _malformed(path: Path, problem: str) -> PresetUnreadableError:
    return PresetUnreadableError(
        f"{path} is no safetensors file: {problem}.",
        "It must be laid out as the safetensors format says.",
        "Download or save the checkpoint anew.",
        "presets.safetensors.header",
    )
