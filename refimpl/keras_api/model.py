"""What Keras's models have beside what is defined here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from refimpl.autograd.dropout import Dropout
from refimpl.errors import InputError, UnsupportedError
from refimpl.keras_api.variables import Weighted, layers_of, snake_case
from refimpl.presets.hdf5 import Hdf5Weights
from refimpl.presets.hdf5_writing import write_hdf5
from refimpl.presets.registry import Configured
from refimpl.random import draw_seed
from refimpl.training.freezing import Freezing

_INSTEAD = {
    "save": "Call save_to_preset(folder), and from_preset(folder) to load; or save_weights(file).",
    "export": "Call export_to_transformers(folder), or save_to_preset(folder) and export with KerasHub.",
    "quantize": "Load the preset with dtype='float16' to halve its memory, or quantize it with KerasHub.",
    "enable_lora": "Freeze layers instead: lm.backbone.get_layer(name).trainable = False.",
}


class KerasModel(Weighted):
    """For backbones and tasks."""

    built = True
    name: str
    layers: Any
    _root = ""  # where the backbone's weights stand in a file of weights

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The same as calling the model."""
        return self(inputs, training=training)  # type: ignore[operator]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer of a name, as it stands or in Keras's spelling (`bart_backbone`), or at a place.

        Raises: InputError if there is none.
        """
        found = self.layers[index : index + 1 or None] if index is not None else []
        for layer in found or self.layers:
            if found or name in (layer.name, snake_case(layer.name)):
                return layer
        what, there = f"There is no layer {name if index is None else index!r}.", ", ".join(x.name for x in self.layers)
        raise InputError(what, f"The layers are {there}.", "Check the spelling.", "training.trainable.parts")

    def drop(self, training: bool | None) -> list[Dropout]:
        """The further argument of a forward pass that drops. Spec: models.dropout.training"""
        return [Dropout(self._holder.dropout, draw_seed())] if training else []

    def summary(self, line_length: int | None = None, positions: Any = None, print_fn: Any = None, **_: Any) -> None:
        """Print the layers and the numbers of their parameters. Spec: task.summary"""
        width = (line_length or 64) - 16
        rows: list[tuple[str, Any]] = [(layer.name, layer.count_params()) for layer in layers_of(self._holder)]
        total, free = sum(count for _, count in rows), sum(weight.size for weight in self.trainable_weights)
        rows += [("Total params:", total), ("Trainable params:", free), ("Non-trainable params:", total - free)]
        lines = [
            f"{self!r}\n{'Layer':{width}}{'Parameters':>16}",
            *(f"{name:{width}}{count:16,}" for name, count in rows),
        ]
        (print_fn or print)("\n".join(lines))

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write a `.weights.h5` that KerasHub's `load_weights` reads.

        Raises: InputError for another name, or a file that is there and must not be overwritten.
        Spec: presets.weights-file.written
        """
        path, model = _weights_file(filepath, overwrite), self._holder
        content = {w.name: (self._root + w.dataset, model.params[w.name]) for w in model.layout(model.config)}
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            write_hdf5(fresh, content, snake_case(self.name))
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Read a `.weights.h5` that `save_weights` wrote, here or in KerasHub.

        Raises: InputError, WeightsError and their kin; then nothing was changed.
        Spec: presets.weights-file.read
        """
        path, model = _weights_file(filepath), self._holder
        wanted = (w._replace(dataset=self._root + w.dataset) for w in model.layout(model.config))
        with Hdf5Weights({path.name: path}) as file:
            # Copies, as whoever writes the file next may do so in place.
            model.params = {name: array.copy("K") for name, array in file.read(wanted, model.dtype).items()}

    def __getattr__(self, name: str) -> Any:
        """What Keras has and NumPy has no use for. Spec: task.unsupported"""
        what, must = f"{type(self).__name__} has no {name!r}.", "It is Keras's, and works on its graphs."
        if name in _INSTEAD:
            raise UnsupportedError(what, must, _INSTEAD[name], "task.unsupported")
        raise AttributeError(what)

    def __repr__(self) -> str:
        count, dtype = self._holder.count_params(), self._holder.dtype
        return f"<{type(self).__name__} name={self.name}, {count:,} parameters, {dtype}, built=True>"


class KerasBackbone(Freezing, KerasModel):
    """A backbone in Keras's words: its layers are attributes too."""

    _holder = property(lambda self: self)
    layers = property(layers_of, doc="The layers that have weights, in the order of the weights.")

    def __getattr__(self, name: str) -> Any:
        """A layer by its name, or `encoder_transformer_layers` and `decoder_transformer_layers`."""
        layers = {layer.name: layer for layer in (layers_of(self) if "params" in vars(self) else [])}
        if name in layers:
            return layers[name]
        stack = f"transformer_{name.removesuffix('_transformer_layers')}_layer_"
        return [layers[key] for key in layers if key.startswith(stack)] or super().__getattr__(name)


class KerasTask(KerasModel, Configured):
    """A task in Keras's words: what it holds is its backbone and, as in KerasHub, the table of tokens once more."""

    _holder = property(lambda self: self.backbone)
    _root = property(lambda self: f"layers/{snake_case(type(self.backbone).__name__)}/")
    dtype = property(lambda self: self.backbone.dtype, doc="The type that it computes in.")
    layers = property(lambda self: [self.backbone, *self.backbone.layers[:1]], doc="The backbone, and its head.")


def _weights_file(filepath: str | os.PathLike[str], overwrite: bool = True) -> Path:
    """The path, whose name is one of a file of weights."""
    path = Path(filepath).expanduser()
    if path.name.endswith(".weights.h5") and (overwrite or not path.exists()):
        return path
    must = "The filename must end in `.weights.h5`, and with overwrite=False there must be no such file."
    raise InputError(f"{path} was passed.", must, "Pass another name.", "presets.weights-file.written")
