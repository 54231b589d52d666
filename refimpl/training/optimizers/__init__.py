"""Optimizers: gradients -> new weights, by Keras 3's formulas."""

from typing import Any

from refimpl.errors import ConfigError, not_here
from refimpl.keras_api.objects import taken
from refimpl.training.optimizers import schedules
from refimpl.training.optimizers.adam import Adam, AdamW
from refimpl.training.optimizers.optimizer import Optimizer
from refimpl.training.optimizers.rmsprop import RMSprop
from refimpl.training.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules"]

NAMES: dict[str, Any] = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "rmsprop": RMSprop}
__getattr__ = not_here("optimizer", [cls.__name__ for cls in NAMES.values()], "training.compile.optimizer")


def get(identifier: Any) -> Optimizer:
    """An optimizer from its name, its class or itself; `"auto"` is `Adam(2e-5)`.

    Raises: ConfigError for anything else.
    Spec: training.compile.auto, training.compile.optimizer
    """
    identifier = taken(identifier, {cls.__name__: cls for cls in NAMES.values()}, "training.compile.optimizer")
    if isinstance(identifier, str) and identifier == "auto":
        return Adam(learning_rate=2e-5)
    if isinstance(identifier, str) and identifier.lower() in NAMES:
        return NAMES[identifier.lower()]()
    if identifier in NAMES.values():
        return identifier()
    if isinstance(identifier, Optimizer):
        return identifier
    raise ConfigError(
        f"Could not interpret optimizer identifier: {identifier!r}.",
        f"An optimizer is 'auto', one of the names {', '.join(NAMES)}, or an object of refimpl.optimizers.",
        "Check the spelling, or pass for example refimpl.optimizers.Adam(1e-4).",
        "training.compile.optimizer",
    )
