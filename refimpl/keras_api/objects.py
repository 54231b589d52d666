"""Objects of Keras's own classes: taken by their configuration, or refused with what is there instead."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.errors import ConfigError

_IDLE = {"dtype", "ema_momentum", "axis"}  # settings that mean nothing by themselves


def taken(thing: Any, known: Mapping[str, Any], clause: str) -> Any:
    """The object of refimpl that one of Keras's stands for, by class name and configuration; others as they are.

    Raises: ConfigError for a setting that has no counterpart.
    Spec: training.compile.keras-objects
    """
    own = known.get(type(thing).__name__)
    if own is None or isinstance(thing, own) or not callable(getattr(thing, "get_config", None)):
        return thing
    config = dict(thing.get_config())
    accepted = {name for cls in own.__mro__ for name in inspect.signature(cls.__init__).parameters}
    asked = [key for key, value in config.items() if key not in accepted | _IDLE and value not in (None, False)]
    if asked or getattr(thing, "_exclude_from_weight_decay", None):
        raise ConfigError(
            f"{type(thing).__name__} of Keras was passed with {', '.join(asked) or 'excluded variables'}.",
            f"refimpl's takes {', '.join(key for key in config if key in accepted)}.",
            f"Leave it out, or pass refimpl's {own.__name__}.",
            clause,
        )
    rate = getattr(thing, "_learning_rate", None)
    settings = {key: value for key, value in config.items() if key in accepted}
    made = own(**(settings | ({"learning_rate": rate} if callable(rate) else {})))  # a schedule goes on as it is
    if (pattern := getattr(thing, "_exclude_from_weight_decay_pattern", None)) is not None:
        made.exclude_from_weight_decay(var_names=[pattern.pattern])
    return made


class Rate(float):
    """A learning rate that can be assigned, as Keras's can: `optimizer.learning_rate.assign(1e-5)`."""

    _optimizer: Any

    def __new__(cls, value: float, optimizer: Any = None) -> Rate:
        """A float that knows whose it is."""
        rate = super().__new__(cls, value)
        rate._optimizer = optimizer
        return rate

    def assign(self, value: Any) -> None:
        """Set the optimizer's rate. Spec: training.optimizer.learning-rate"""
        self._optimizer.learning_rate = float(value)

    def numpy(self) -> np.float64:
        """The number."""
        return np.float64(self)

    def __reduce__(self) -> tuple[type, tuple[float]]:
        return float, (float(self),)
