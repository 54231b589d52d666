"""Broken presets: a copy of a good one with something taken away, added or changed."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conformance.make.recipe import weight


def damaged(preset: Path, changes: list[dict[str, Any]], target: Path) -> Path:
    """Copy `preset` to `target` and apply the changes, which are written out in golden/README.md."""
    shutil.copytree(preset, target)
    for change in changes:
        kind, path = change["change"], target / change["file"]
        if kind == "remove-file":
            path.unlink()
        elif kind == "write":
            path.write_text(change["text"], encoding="utf-8")
        elif kind == "truncate":
            path.write_bytes(path.read_bytes()[: change["bytes"]])
        elif kind in ("set", "remove-key"):
            for keys, value in _changes_of(change):
                _set(path, keys, value, remove=kind == "remove-key")
        elif kind == "replace":
            path.write_text(path.read_text(encoding="utf-8").replace(change["old"], change["new"]), encoding="utf-8")
        elif kind == "move":
            path.rename(target / change["to"])
        else:
            _weights(path, change)
    return target


def _changes_of(change: dict[str, Any]) -> list[tuple[list[str], Any]]:
    """The one value of a change, or each of its `values`, which are names below `keys`."""
    if "values" in change:
        return [([*change["keys"], name], value) for name, value in change["values"].items()]
    return [(change["keys"], change.get("value"))]


def _set(path: Path, keys: list[str], value: Any, remove: bool) -> None:
    """Set or remove one value of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    if remove:
        del inner[keys[-1]]
    else:
        inner[keys[-1]] = value
    path.write_text(json.dumps(content), encoding="utf-8")


def _weights(path: Path, change: dict[str, Any]) -> None:
    """Change an HDF5 file."""
    if change["change"] == "round":
        _rounded(path, change["to"])
    elif change["change"] == "fill":
        _filled(path, change["groups"])
    else:
        _dataset(path, change)


def _dataset(path: Path, change: dict[str, Any]) -> None:
    """Change one dataset of an HDF5 file."""
    with h5py.File(path, "r+") as file:
        place = change["dataset"]
        if change["change"] == "scale-dataset":
            file[place][...] *= change["factor"]
        if change["change"] in ("remove-dataset", "reshape-dataset"):
            del file[place]
        if change["change"] in ("add-dataset", "reshape-dataset"):
            file.create_dataset(place, data=np.zeros(change["shape"], "float32"))


def _filled(path: Path, groups: list[dict[str, Any]]) -> None:
    """Write an HDF5 file anew: below each place of a group a tree of folders, of lists of their variables' shapes."""
    shapes: dict[str, list[int]] = {}

    def visit(place: str, node: Any) -> None:
        if isinstance(node, dict):
            for name, inner in node.items():
                visit(f"{place}/{name}", inner)
        else:
            shapes.update({f"{place}/vars/{n}": shape for n, shape in enumerate(node)})

    for group in groups:
        for place in group["at"]:
            visit(place, group["tree"])
    with h5py.File(path, "w") as file:
        for number, place in enumerate(sorted(shapes)):
            file[place] = weight(place, number, tuple(shapes[place])).astype("float32")


def _rounded(path: Path, to: str) -> None:
    """Round every number of an HDF5 file to the nearest of float16 or bfloat16, of two as near to the even one."""

    def visit(_place: str, node: object) -> None:
        if isinstance(node, h5py.Dataset):
            if to == "float16":
                node[...] = node[...].astype(np.float16).astype(np.float32)
                return
            bits = node[...].astype("<f4").view("<u4").astype("<u8")
            even = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16
            node[...] = even.astype("<u4").view("<f4")

    with h5py.File(path, "r+") as file:
        file.visititems(visit)
