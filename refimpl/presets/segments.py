"""Numbers that lie in one piece in a file, brought into memory without a second copy of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from refimpl.errors import UnsafePresetError

Shape = tuple[int, ...]
Maps = dict[Path, np.ndarray]  # the files of one load, each mapped once
_PIECE = 2**18  # elements that are converted at once

# The types in which weights are stored, by name; bfloat16 is the upper half of a float32.
STORED_TYPES = {"float16": "<f2", "float32": "<f4", "float64": "<f8", "bfloat16": "<u2"}


@dataclass(frozen=True)
class Segment:
    """Numbers of type `stored` at `offset` bytes from the start of a file, in C order."""

    path: Path
    offset: int
    stored: str
    shape: Shape

    @property
    def raw(self) -> np.dtype:
        """The type as NumPy reads it."""
        return np.dtype(STORED_TYPES[self.stored])

    @property
    def bytes(self) -> int:
        """The number of bytes in the file."""
        return prod(self.shape) * self.raw.itemsize

    def check(self) -> Segment:
        """The segment itself, if it lies within its file: a map beyond the end would kill the process when read.

        Spec: presets.weights.inside-file
        """
        size = self.path.stat().st_size
        if self.offset < 0 or self.offset + self.bytes > size:
            raise UnsafePresetError(
                f"{self.path} says that {self.bytes} bytes lie at {self.offset}; it has {size}.",
                "Weights must lie within their file.",
                "Save the preset again, or download it anew.",
                "presets.weights.inside-file",
            )
        return self

    def array(self, dtype: str, shape: Shape, maps: Maps, inputs: int = 0, skipped: int = 0) -> np.ndarray:
        """The numbers as an array of `shape`: mapped if they stand in the file as they are wanted, else converted.

        Writing to a mapped array changes memory, never the file. `inputs` and `skipped` are those of `TensorPlace`.

        Spec: presets.weights.mapped, presets.load.dtype
        """
        count = prod(shape)
        row = prod(self.shape[1:]) * self.raw.itemsize
        first = self.offset + skipped * row
        if inputs:
            return self.array(dtype, self.shape, maps).T.reshape(shape)
        if self.stored != dtype or first % self.raw.itemsize or not count:
            return self._converted(first, count, dtype).reshape(shape)
        if self.path not in maps:
            maps[self.path] = np.memmap(self.path, np.uint8, mode="c")
        flat = maps[self.path][first : first + count * self.raw.itemsize]
        return flat.view(self.raw).view(np.ndarray).reshape(shape)

    def copy(self, dtype: str, shape: Shape) -> np.ndarray:
        """The numbers as an array of `shape`, read piece by piece: the file takes no memory beside it."""
        return self._converted(self.offset, prod(shape), dtype).reshape(shape)

    def equals(self, other: Segment) -> bool:
        """Whether two segments hold the same numbers, looked at piece by piece."""
        if self.stored != other.stored or self.shape != other.shape:
            return False
        step = _PIECE * self.raw.itemsize
        with self.path.open("rb") as left, other.path.open("rb") as right:
            left.seek(self.offset)
            right.seek(other.offset)
            sizes = [min(step, self.bytes - start) for start in range(0, self.bytes, step)]
            return all(left.read(size) == right.read(size) for size in sizes)

    def _converted(self, first: int, count: int, dtype: str) -> np.ndarray:
        """`count` numbers from the byte `first` on, read piece by piece."""
        out = np.empty(count, dtype)
        with self.path.open("rb") as file:
            file.seek(first)
            for start in range(0, count, _PIECE):
                piece = np.fromfile(file, self.raw, min(_PIECE, count - start))
                if not piece.size:  # cut off since `check`
                    raise OSError(f"{self.path} ended early")
                if self.stored == "bfloat16":
                    piece = (piece.astype(np.uint32) << 16).view(np.float32)
                out[start : start + len(piece)] = piece
        return out


def check_total(segments: list[Segment]) -> None:
    """Weights that claim the same bytes over and over would take more memory than their files hold.

    Spec: presets.weights.no-more-than-files
    """
    claimed = sum(segment.bytes for segment in segments)
    held = sum(path.stat().st_size for path in {segment.path for segment in segments})
    if claimed > held:
        raise UnsafePresetError(
            f"The weights claim {claimed} bytes, their files hold {held}.",
            "Every weight must have its own place in a file.",
            "Save the preset again, or download it anew.",
            "presets.weights.no-more-than-files",
        )
