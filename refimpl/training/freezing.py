"""Which weights `fit` may change."""

from __future__ import annotations

import numpy as np

from refimpl.errors import InputError


class Part:
    """A layer by its name; `trainable = False` freezes its weights."""

    def __init__(self, owner: Freezing, name: str) -> None:
        self._owner, self.name = owner, name

    @property
    def trainable(self) -> bool:
        """Whether `fit` may change the layer's weights."""
        return self.name not in self._owner.frozen

    @trainable.setter
    def trainable(self, value: bool) -> None:
        (self._owner.frozen.discard if value else self._owner.frozen.add)(self.name)


class Freezing:
    """A model whose layers can be frozen, one by one or all together.

    Spec: training.trainable.parts, autograd.tape.frozen
    """

    params: dict[str, np.ndarray]
    frozen: set[str]
    _trainable: bool

    @property
    def trainable(self) -> bool:
        """Whether `fit` may change anything. Setting it to True also unfreezes all layers, as in Keras."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        if value or not hasattr(self, "frozen"):
            self.frozen = set()

    @property
    def layers(self) -> list[Part]:
        """The layers that have weights, in the order of the weights."""
        return [Part(self, name) for name in dict.fromkeys(path.split("/")[0] for path in self.params)]

    def get_layer(self, name: str) -> Part:
        """A layer, for example `transformer_encoder_layer_0` or `token_embedding`.

        Raises: InputError if there is none of that name.
        """
        for part in self.layers:
            if part.name == name:
                return part
        raise InputError(
            f"There is no layer {name!r}.",
            f"The layers are {', '.join(part.name for part in self.layers)}.",
            "Check the spelling.",
            "training.trainable.parts",
        )

    def is_trainable(self, name: str) -> bool:
        """Whether `fit` may change the weight of that name."""
        return self._trainable and name.split("/", maxsplit=1)[0] not in self.frozen

    @property
    def trainable_weights(self) -> list[np.ndarray]:
        """The weights that `fit` may change."""
        return [array for name, array in self.params.items() if self.is_trainable(name)]

    @property
    def non_trainable_weights(self) -> list[np.ndarray]:
        """The weights that stay."""
        return [array for name, array in self.params.items() if not self.is_trainable(name)]
