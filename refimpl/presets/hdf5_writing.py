"""Writing weights as Keras does, in one HDF5 file or in shards with their index."""

import json
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from refimpl.presets.shards import check_limit, shards_of

Placed = Mapping[str, tuple[str, np.ndarray]]


def write_weights(folder: Path, weights: Placed, model: str, max_shard_size: object) -> None:
    """Write `model.weights.h5`, or shards if the weights are larger than `max_shard_size` GiB.

    `weights` gives each weight's dataset and content; `model` is the name that Keras notes at the root.

    Spec: presets.save.hdf5-layout, presets.save.shards
    """
    sizes = [(name, array.nbytes) for name, (_, array) in weights.items()]
    total, limit = sum(size for _, size in sizes), check_limit(max_shard_size)
    if total <= limit:
        write_hdf5(folder / "model.weights.h5", weights, model)
        return
    index: dict[str, list[str]] = {}
    for number, names in enumerate(shards_of(sizes, limit)):
        file = f"model_{number:05}.weights.h5"
        write_hdf5(folder / file, {name: weights[name] for name in names}, model)
        for group in {f"/{weights[name][0].rpartition('/')[0]}": None for name in names}:
            index.setdefault(group, []).append(file)
    weight_map = {group: files[0] if len(files) == 1 else files for group, files in index.items()}
    content = {"metadata": {"total_size": float(total)}, "weight_map": weight_map}
    (folder / "model.weights.json").write_text(json.dumps(content, indent=4), encoding="utf-8")


def write_hdf5(path: Path, weights: Placed, model: str) -> None:
    """Write one file: each array to its dataset, uncompressed and in one piece."""
    with h5py.File(path, "w") as file:
        for place, array in weights.values():
            file.create_dataset(place, data=array)
        file.require_group("vars").attrs["name"] = model
