"""Quirks of training."""

from typing import Any

from conformance.quirks import Quirk

TABLE = "transformer_encoder_layer_0/self_attention/relative_attention_bias"


def _never_reset(right: Any) -> Any:
    """The table's gradient has those of all steps before in it."""

    def apply(self: Any, gradients: Any, weights: Any) -> None:
        if TABLE in gradients:
            self.summed = getattr(self, "summed", 0.0) + gradients[TABLE]
            gradients = {**gradients, TABLE: self.summed}
        right(self, gradients, weights)

    return apply


def quirks(_backend: str) -> list[Quirk]:
    """Quirks of steps."""
    place = "refimpl.training.optimizers.optimizer"
    return [Quirk("t5-table-not-reset", ((place, "Optimizer.apply", _never_reset),), ("torch",))]
