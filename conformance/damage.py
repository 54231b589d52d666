"""Broken presets: a copy of a good one with something taken away, added or changed."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np


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
            _set(path, change["keys"], change.get("value"), remove=kind == "remove-key")
        elif kind == "replace":
            path.write_text(path.read_text(encoding="utf-8").replace(change["old"], change["new"]), encoding="utf-8")
        elif kind == "move":
            path.rename(target / change["to"])
        elif kind == "round":
            _rounded(path, change["to"])
        else:
            _dataset(path, change)
    return target


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
