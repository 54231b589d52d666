"""Quirks of training."""

from typing import Any

import numpy as np

from conformance.quirks import Quirk
from refimpl.autograd.tape import Rows

TABLE = "transformer_encoder_layer_0/self_attention/relative_attention_bias"


class _Looked(np.ndarray):
    """A table's gradient that came from look-ups alone; `squares` is the sum of each look-up's own square."""

    squares: Any = None


def _never_reset(right: Any) -> Any:
    """The table's gradient has those of all steps before in it."""

    def apply(self: Any, gradients: Any, weights: Any) -> None:
        if TABLE in gradients:
            self.summed = getattr(self, "summed", 0.0) + gradients[TABLE]
            gradients = {**gradients, TABLE: self.summed}
        right(self, gradients, weights)

    return apply


def _look_ups_apart(right: Any) -> Any:
    """Rows of a table are squared before they are added up. Positions are no look-ups there, but a part of a table."""

    def receive(self: Any, gradient: Any, owned: bool) -> None:
        before = 0.0 if self.gradient is None else getattr(self.gradient, "squares", None)
        right(self, gradient, owned)
        if not isinstance(gradient, Rows) or before is None or "position" in self.name:
            self.gradient = self.gradient.view(np.ndarray)
            return
        squares = np.zeros_like(self.value)
        Rows(gradient.ids, np.square(gradient.values)).add_to(squares)
        self.gradient = self.gradient.view(_Looked)
        self.gradient.squares = before + squares

    return receive


def _velocity_of_look_ups(right: Any) -> Any:
    """Adam's mean of squares takes these."""

    def update_step(self: Any, gradient: Any, weight: Any, rate: float, slots: Any) -> None:
        plain = gradient.view(np.ndarray)
        if (squares := getattr(gradient, "squares", None)) is not None:
            slots["velocity"] += (squares - np.square(plain)) * weight.dtype.type((1.0 - self.beta_2) / self.beta_2)
        right(self, plain, weight, rate, slots)

    return update_step


def quirks(_backend: str) -> list[Quirk]:
    """Quirks of steps."""
    place = "refimpl.training.optimizers"
    each = (
        ("refimpl.autograd.tape", "Node.receive", _look_ups_apart),
        (f"{place}.adam", "Adam.update_step", _velocity_of_look_ups),
    )
    return [
        Quirk("t5-table-not-reset", ((f"{place}.optimizer", "Optimizer.apply", _never_reset),), ("torch",)),
        Quirk("adam-squares-look-ups", each, ("tensorflow",)),
    ]
