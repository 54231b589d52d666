"""Weights in several files: Keras's index `model.weights.json`, and the order in which arrays fill files."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from refimpl.errors import InputError, PresetError, UnsafePresetError

Index = Mapping[str, tuple[str, ...]]  # group -> the files that hold its datasets
GIB = 1024**3


def read_index(content: Mapping[str, Any], file: str) -> dict[str, tuple[str, ...]]:
    """The `weight_map` of an index: each group with its files.

    Raises: PresetError for anything but names; UnsafePresetError for a name that is a path.
    Spec: presets.weights.sharded, presets.folder.stays-inside
    """
    entries = content.get("weight_map")
    index: dict[str, tuple[str, ...]] = {}
    for group, names in entries.items() if isinstance(entries, dict) else [("weight_map", None)]:
        files = tuple(names) if isinstance(names, list) else (names,)
        if not files or not all(isinstance(name, str) for name in files):
            raise PresetError(
                f"{file} gives {group!r:.80} the files {names!r:.80}.",
                'A shard index is {"weight_map": {"/<group>": "<file>" or ["<file>", ...]}}.',
                "Save the preset again, or download it anew.",
                "presets.weights.sharded",
            )
        if any("/" in name for name in files):
            raise UnsafePresetError(
                f"{file} names the shard {names!r:.80}.",
                "Shards lie beside their index.",
                "Save the preset again.",
                "presets.folder.stays-inside",
            )
        index[group] = files
    return index


def shards_of(sizes: Iterable[tuple[str, int]], limit: float) -> list[list[str]]:
    """Fill files one after the other, up to `limit` bytes each. Takes and gives names, in their order.

    Raises: InputError if one array alone is larger.
    Spec: presets.save.shards
    """
    shards: list[list[str]] = [[]]
    filled = 0
    for name, size in sizes:
        if size > limit:
            raise InputError(
                f"The weight {name!r} has {size} bytes, max_shard_size={limit / GIB} allows {limit:.0f}.",
                "A weight must fit into one file.",
                "Pass a larger max_shard_size (in GiB), or None for one file.",
                "presets.save.shards",
            )
        if filled + size > limit and shards[-1]:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    return shards


def check_limit(max_shard_size: object) -> float:
    """`max_shard_size` in bytes; None is no limit. Units: GiB.

    Spec: presets.save.shards
    """
    if max_shard_size is None:
        return float("inf")
    number = isinstance(max_shard_size, (int, float, np.number)) and not isinstance(max_shard_size, bool)
    if not number or not float(max_shard_size) > 0:  # type: ignore[arg-type]
        raise InputError(
            f"max_shard_size={max_shard_size!r} was passed.",
            "It is a number of GiB above 0.",
            "Pass a number, or None for one file.",
            "presets.save.shards",
        )
    return float(max_shard_size) * GIB  # type: ignore[arg-type]
