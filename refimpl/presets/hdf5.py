"""Weights in Keras's HDF5 format: one dataset for each weight, at `<layer path>/vars/<number>`."""

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from refimpl.errors import PresetUnreadableError, UnsafePresetError, WeightsError

Shape = tuple[int, ...]


def read_hdf5(path: Path, wanted: Mapping[str, tuple[str, Shape]], dtype: str) -> dict[str, np.ndarray]:
    """Read weights: `wanted` maps a weight's name to its dataset and shape.

    Every weight must be in the file and every dataset of the file must be wanted: nothing is left random or unread.

    Raises: WeightsError, UnsafePresetError, PresetUnreadableError.
    Spec: presets.weights.complete, presets.weights.extra, presets.weights.shape
    """
    try:
        with h5py.File(path, "r") as file:
            found = {name: _dataset(file, place, name) for name, (place, _) in wanted.items()}
            _refuse_extras(file, {place for place, _ in wanted.values()})
            return {name: _read(found[name], shape, dtype, path) for name, (_, shape) in wanted.items()}
    except (OSError, RuntimeError) as error:  # RuntimeError: h5py on a damaged tree
        if isinstance(error, PresetUnreadableError):
            raise
        raise PresetUnreadableError(
            f"{path} can't be read: {error}.",
            "Weights must be an HDF5 file as Keras writes it.",
            "Save the preset again, or download it anew.",
            "presets.weights.unreadable",
        ) from error


def _dataset(file: h5py.File, place: str, name: str) -> h5py.Dataset:
    """Walk to a dataset over hard links only; a link out of the file would be a way to read other files."""
    node: h5py.Group | h5py.Dataset = file
    for part in place.split("/"):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            raise WeightsError(
                f"{file.filename} has no dataset {place!r} for the weight {name!r}.",
                "Every weight of the architecture must be in the file.",
                "Load with load_weights=False for random weights, or save the preset again.",
                "presets.weights.complete",
            )
        if not isinstance(link, h5py.HardLink):
            raise _unsafe(file, place, f"is a {type(link).__name__}")
        node = node[part]
    if not isinstance(node, h5py.Dataset):
        raise _unsafe(file, place, "is not a dataset")
    if node.external or node.is_virtual:
        raise _unsafe(file, place, "keeps its data in other files")
    return node


def _unsafe(file: h5py.File, place: str, problem: str) -> UnsafePresetError:
    return UnsafePresetError(
        f"{place!r} in {file.filename} {problem}.",
        "Weights must be plain datasets inside the file.",
        "Save the preset again with Keras.",
        "presets.weights.no-links",
    )


def _refuse_extras(file: h5py.File, wanted: set[str]) -> None:
    """A dataset that no weight asks for means another architecture, or more layers than the configuration says."""
    extra: list[str] = []

    def visit(place: str, node: object) -> None:
        if isinstance(node, h5py.Dataset) and place not in wanted:
            extra.append(place)

    file.visititems(visit)
    if extra:
        raise WeightsError(
            f"{file.filename} holds {len(extra)} dataset(s) that no weight takes: {', '.join(sorted(extra)[:3])}.",
            "The file must hold the weights of the architecture in config.json and no others.",
            "Check num_layers in config.json, or save the preset again.",
            "presets.weights.extra",
        )


def _read(dataset: h5py.Dataset, shape: Shape, dtype: str, path: Path) -> np.ndarray:
    """One weight in the wanted type. Headers are checked before a byte is allocated."""
    if tuple(dataset.shape or ()) != shape or dataset.dtype.kind not in "fV":
        raise WeightsError(
            f"{dataset.name} in {path} has shape {dataset.shape} and type {dataset.dtype}.",
            f"It must have shape {shape} and a float type, as config.json says.",
            "Check the sizes in config.json, or save the preset again.",
            "presets.weights.shape",
        )
    if dataset.id.get_storage_size() < dataset.size * dataset.dtype.itemsize:
        raise UnsafePresetError(
            f"{dataset.name} in {path} claims {dataset.size * dataset.dtype.itemsize} bytes, "
            f"the file holds {dataset.id.get_storage_size()}.",
            "Weights must be stored whole and without compression, as Keras stores them.",
            "Save the preset again with Keras.",
            "presets.weights.stored-whole",
        )
    offset = dataset.id.get_offset()
    if offset is not None and dataset.dtype == np.dtype(dtype) and dataset.size:
        return np.memmap(path, dtype, mode="c", offset=offset, shape=shape).view(np.ndarray)
    stored = dataset[...]
    if stored.dtype.kind == "V":  # bfloat16: the upper half of a float32
        stored = (stored.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return stored.astype(dtype)


def write_hdf5(path: Path, weights: Mapping[str, tuple[str, np.ndarray]], names: Mapping[str, str]) -> None:
    """Write weights: each value is a dataset's place and its content. `names` are the layers' names, by group.

    Spec: presets.save.hdf5-layout
    """
    with h5py.File(path, "w") as file:
        for place, array in weights.values():
            file.create_dataset(place, data=array)
        for group, name in names.items():
            file.require_group(group).attrs["name"] = name
