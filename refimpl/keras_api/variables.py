"""Weights and layers in Keras's words: views of a backbone's `params`, which they read each time anew."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from refimpl.errors import WeightsError
from refimpl.models.weights import laid_as, weight_arrays


class Variable(np.lib.mixins.NDArrayOperatorsMixin):
    """A weight with Keras's `path`, `name`, `numpy` and `assign`; for the rest it is its array.

    Spec: models.weights.variables
    """

    def __init__(self, model: Any, path: str) -> None:
        self._model, self.path, self.name = model, path, path.rpartition("/")[2]

    trainable = property(lambda self: self._model.is_trainable(self.path), doc="Whether `fit` may change it.")

    def numpy(self) -> np.ndarray:
        """A copy of the array."""
        return self._model.params[self.path].copy()

    def assign(self, value: Any) -> Variable:
        """Set the weight. Raises: WeightsError for another shape; then nothing was changed."""
        array = weight_arrays([value], self.dtype)[0]
        if array.shape != self.shape:
            what, must = f"{self.path} was assigned the shape {array.shape}.", f"It has the shape {self.shape}."
            raise WeightsError(what, must, "Reshape the array.", "models.weights.variables")
        self._model.params[self.path] = laid_as(self._model.params[self.path], array)
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._model.params[self.path], name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._model.params[self.path], dtype, order="C")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        arrays = [np.asarray(each) if isinstance(each, Variable) else each for each in inputs]
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}>"


class Variables(list[Variable]):
    """Weights in their order. By name one is read, and set, as the entry of `params` that it is.

    Spec: models.weights.variables
    """

    def __init__(self, model: Any, paths: Iterable[str]) -> None:
        super().__init__(Variable(model, path) for path in paths)
        self._model = model

    def __getitem__(self, key: Any) -> Any:
        return self._model.params[key] if isinstance(key, str) else super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._model.params[key if isinstance(key, str) else self[key].path] = value


class Weighted:
    """Keras's lists of variables, for a model (of which `_holder` has the params) or the layer called `_prefix`."""

    _holder: Any
    _prefix = ""

    def _variables(self, learning: bool | None = None) -> Variables:
        paths = [path for path in self._holder.params if path.startswith(self._prefix)]
        learns = {path: self.trainable and self._holder.is_trainable(path) for path in paths}  # type: ignore[attr-defined]
        return Variables(self._holder, [path for path in paths if learning in (None, learns[path])])

    weights = variables = property(_variables, doc="All of them.")
    trainable_weights = trainable_variables = property(lambda self: self._variables(True), doc="What `fit` changes.")
    non_trainable_weights = non_trainable_variables = property(lambda self: self._variables(False), doc="The others.")


class Layer(Weighted):
    """A layer by its name: its weights, and whether `fit` may change them (`trainable = False` freezes them).

    Spec: training.trainable.parts
    """

    def __init__(self, model: Any, name: str) -> None:
        self._holder, self.name, self._prefix = model, name, f"{name}/"

    trainable = property(
        lambda self: self.name not in self._holder.frozen,
        lambda self, value: (self._holder.frozen.discard if value else self._holder.frozen.add)(self.name),
    )

    def count_params(self) -> int:
        """The number of parameters."""
        return sum(weight.size for weight in self.weights)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of its weights."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Iterable[Any]) -> None:
        """Set its weights from a list in the order of `get_weights`."""
        for weight, value in zip(self.weights, weights, strict=True):
            weight.assign(value)

    def __getattr__(self, name: str) -> Any:
        """A weight of the layer: `token_embedding.embeddings`."""
        if f"{self._prefix}{name}" not in self._holder.params:
            raise AttributeError(f"The layer {self.name} has no {name!r}.")
        return Variable(self._holder, f"{self._prefix}{name}")

    def __repr__(self) -> str:
        return f"<Layer name={self.name}, {self.count_params():,} parameters>"


def layers_of(model: Any) -> list[Layer]:
    """The layers of a backbone that have weights, in the order of the weights."""
    return [Layer(model, name) for name in dict.fromkeys(path.split("/")[0] for path in model.params)]


def snake_case(name: str) -> str:
    """`BartBackbone` as Keras writes it in names and files: `bart_backbone`."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
