"""Weights in Keras's HDF5 format: one dataset for each weight, at `<layer path>/vars/<number>`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from refimpl.errors import PresetUnreadableError, RefimplError, UnsafePresetError, WeightsError
from refimpl.presets.layout import Layout, Weight
from refimpl.presets.segments import Maps, Segment, Shape, check_total
from refimpl.presets.shards import Index

_FLOATS = {(h5py.h5t.IEEE_F16LE, "float16"), (h5py.h5t.IEEE_F32LE, "float32"), (h5py.h5t.IEEE_F64LE, "float64")}


class Hdf5Weights:
    """The HDF5 files of a preset: one, or shards with the index that says which group stands where.

    Every weight must be in the files and every dataset of the files must be wanted: nothing is left random or unread.
    Nothing is allocated before all headers were looked at.

    Spec: presets.weights.complete, presets.weights.extra, presets.weights.no-links
    """

    def __init__(self, paths: Mapping[str, Path], index: Index | None = None) -> None:
        self._paths, self._index = paths, index
        self._opened: dict[str, tuple[h5py.File, set[str]]] = {}  # and the paths of all datasets
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name, path in self._paths.items():
                with readable(path):
                    # Without the lock that HDF5 would take: nothing is written, and some file systems have none.
                    file = stack.enter_context(h5py.File(path, "r", locking=False))
                    self._opened[name] = file, datasets_of(file)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._stack.close()

    def read(self, layout: Layout, dtype: str) -> dict[str, np.ndarray]:
        """Read weights.

        Raises: WeightsError, UnsafePresetError, PresetUnreadableError.
        """
        found: list[tuple[Weight, Segment]] = []
        taken: set[tuple[str, str]] = set()
        for weight in layout:
            file, dataset = self._dataset(weight.dataset, weight.name)
            taken.add((file, dataset.name[1:]))
            with readable(self._paths[file]):
                found.append((weight, segment_of(dataset, weight.shape, self._paths[file]).check()))
        self._refuse_extras(taken)
        check_total([segment for _, segment in found])
        maps: Maps = {}
        return {
            weight.name: weight.laid(segment.copy(dtype, weight.shape))
            if weight.tensor.inputs
            else segment.array(dtype, weight.shape, maps)
            for weight, segment in found
        }

    def _dataset(self, place: str, name: str) -> tuple[str, h5py.Dataset]:
        """The dataset of a weight, under its present path or one that older versions of Keras wrote."""
        group, _, number = place.rpartition("/")
        for path in legacy_paths(group):
            for file in self._opened if self._index is None else self._index.get(f"/{path}", ()):
                with readable(self._paths[file]):
                    dataset = walk(*self._opened[file], f"{path}/{number}")
                if dataset is not None:
                    return file, dataset
        raise WeightsError(
            f"{self._somewhere()} has no dataset {place!r} for the weight {name!r}.",
            "Every weight of the architecture must be in the file.",
            "Load with load_weights=False for random weights, or save the preset again.",
            "presets.weights.complete",
        )

    def _refuse_extras(self, taken: set[tuple[str, str]]) -> None:
        """A dataset that no weight asks for means another architecture, or more layers than the configuration says.

        Whole numbers are no weights: older versions of Keras saved the seeds of dropout layers. Nor is an optimizer's
        state, which `save_weights` of a task keeps beside them.
        """
        extra: list[str] = []
        for name, (file, datasets) in self._opened.items():
            with readable(self._paths[name]):
                left = [p for p in datasets if (name, p) not in taken and not p.startswith("optimizer/")]
                extra += [p for p in left if file[p].dtype.kind not in "iu"]
        if extra:
            raise WeightsError(
                f"{self._somewhere()} holds {len(extra)} dataset(s) that no weight takes: "
                f"{', '.join(sorted(extra)[:3])}.",
                "The file must hold the weights of the architecture in config.json and no others.",
                "Check num_layers in config.json, or save the preset again.",
                "presets.weights.extra",
            )

    def _somewhere(self) -> str:
        return " or ".join(map(str, list(self._paths.values())[:2])) or "The shard index"


def datasets_of(file: h5py.File) -> set[str]:
    """The paths of all datasets that hard links lead to."""
    found: set[str] = set()

    def note(path: bytes, about: Any) -> None:
        if about.type == h5py.h5o.TYPE_DATASET:
            found.add(path.decode())

    h5py.h5o.visit(file.id, note, info=True)
    return found


def legacy_paths(group: str) -> list[str]:
    """The paths at which a group of weights may stand, the present one first.

    Older versions of Keras kept attention's projections under private names, and layers under another root.

    Spec: presets.weights.legacy-paths
    """
    private = re.sub(r"/(query|key|value|output)_dense/", r"/_\1_dense/", group)
    paths = [group] if private == group else [group, private]
    return paths + [re.sub(r"^layers/", "_layer_checkpoint_dependencies/", path) for path in paths]


def walk(file: h5py.File, datasets: set[str], place: str) -> Any:
    """What stands at a place, over hard links only: a link out of the file would be a way to read other files.
    None if nothing is there.

    Raises: UnsafePresetError.
    Spec: presets.weights.no-links
    """
    parts = [] if place in datasets else place.split("/")
    for path in ("/".join(parts[: n + 1]) for n in range(len(parts))):
        link = file.get(path, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            raise _unsafe(file.filename, place, f"is a {type(link).__name__}", "presets.weights.no-links")
    return file[place]


def segment_of(dataset: h5py.Dataset, shape: Shape, path: Path) -> Segment:
    """Where a dataset's numbers stand in its file, from its header alone.

    Raises: WeightsError, UnsafePresetError.
    Spec: presets.weights.shape, presets.weights.stored-whole, presets.weights.no-links
    """
    if not isinstance(dataset, h5py.Dataset):
        raise _unsafe(str(path), str(dataset.name), "is not a dataset", "presets.weights.no-links")
    if dataset.external or dataset.is_virtual:
        raise _unsafe(str(path), str(dataset.name), "keeps its data in other files", "presets.weights.no-links")
    stored = _stored_type(dataset)
    if dataset.shape != shape or stored is None:
        raise WeightsError(
            f"{dataset.name} in {path} has shape {dataset.shape} and type {dataset.dtype}.",
            f"It must have shape {shape} and a float type, as config.json says.",
            "Check the sizes in config.json, or save the preset again.",
            "presets.weights.shape",
        )
    offset = dataset.id.get_offset()
    segment = Segment(path, offset if offset is not None else 0, stored, shape)
    if offset is None or dataset.id.get_storage_size() != segment.bytes:
        raise _unsafe(str(path), str(dataset.name), "is not stored in one piece", "presets.weights.stored-whole")
    return segment


def _stored_type(dataset: h5py.Dataset) -> str | None:
    """The name of a dataset's float type; Keras marks bfloat16, which HDF5 does not know, by an attribute."""
    if dataset.dtype.kind == "V":
        marked = dataset.dtype.itemsize == 2 and dataset.attrs.get("dtype") == "bfloat16"
        return "bfloat16" if marked else None
    kind = dataset.id.get_type()
    return next((name for known, name in _FLOATS if kind.equal(known)), None)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """On a damaged file h5py raises all kinds of errors; they all mean that the file can't be read.

    Spec: presets.weights.unreadable
    """
    try:
        yield
    except RefimplError:
        raise
    except Exception as error:
        raise PresetUnreadableError(
            f"{path} can't be read: {error!s:.200}.",
            "Weights must be an HDF5 file as Keras writes it.",
            "Save the preset again, or download it anew.",
            "presets.weights.unreadable",
        ) from error


def _unsafe(file: str, place: str, problem: str, clause: str) -> UnsafePresetError:
    must = "Weights must be plain datasets inside the file, each in one piece and uncompressed, as Keras stores them."
    return UnsafePresetError(f"{place!r} in {file} {problem}.", must, "Save the preset again with Keras.", clause)
