"""Which weights `fit` may change."""

from __future__ import annotations


class Freezing:
    """A model whose layers can be frozen, one by one (`get_layer(name).trainable = False`) or all together.

    Spec: training.trainable.parts
    """

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

    def is_trainable(self, name: str) -> bool:
        """Whether `fit` may change the weight of that name."""
        return self._trainable and name.split("/", maxsplit=1)[0] not in self.frozen
