"""What all optimizers share: learning rate, clipping, weight decay, and state that can be saved."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from refimpl.errors import ConfigError
from refimpl.keras_api.objects import Rate
from refimpl.models.weights import laid_as

Arrays = dict[str, np.ndarray]


class Optimizer:
    """Changes weights in place, given their gradients. A subclass defines `slots` and `update_step`.

    Spec: training.optimizer.learning-rate, training.optimizer.clipping
    """

    slots: ClassVar[tuple[str, ...]] = ()  # arrays that are kept for each weight, zero at first

    def __init__(
        self,
        learning_rate: float | Callable[..., Any],
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        name: str | None = None,
    ) -> None:
        self.name = name or type(self).__name__.lower()
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        if sum(limit is not None for limit in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ConfigError(
                f"clipnorm={clipnorm}, clipvalue={clipvalue} and global_clipnorm={global_clipnorm} were passed.",
                "Only one of the three can be set.",
                "Leave two of them out.",
                "training.optimizer.clipping",
            )
        self.iterations = 0
        self.state: dict[str, Arrays] = {slot: {} for slot in self.slots}
        self._excluded: re.Pattern[str] | None = None

    # -- the learning rate -----------------------------------------------------------------------------------------
    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        rate = self._learning_rate
        return Rate(rate if isinstance(rate, float) else _scheduled(rate, self.iterations), self)

    @learning_rate.setter
    def learning_rate(self, rate: float | Callable[..., Any]) -> None:
        """A float, a schedule (step -> rate), or a function without arguments."""
        if not isinstance(rate, (float, np.floating)) and not callable(rate):
            raise ConfigError(
                f"learning_rate={rate!r} was passed.",
                "It must be a float, a schedule or a callable.",
                "Write 1.0 for 1.",
                "training.optimizer.learning-rate",
            )
        self._learning_rate = rate if callable(rate) else float(rate)

    # -- weight decay ----------------------------------------------------------------------------------------------
    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Iterable[str] | None = None) -> None:
        """Weights whose own name (`kernel`, `bias`, `gamma`, ...) holds one of `var_names` do not decay.

        `var_list` takes variables, or whole names: `encoder_embeddings_layer_norm/gamma`.

        Spec: training.optimizer.weight-decay-exclusion
        """
        parts = [rf"[^/]*(?:{name})[^/]*$" for name in var_names or ()]
        parts += [rf"^{re.escape(getattr(name, 'path', name))}$" for name in var_list or ()]
        self._excluded = re.compile("|".join(parts)) if parts else None

    def decays(self, name: str) -> bool:
        """Whether the weight of that name decays."""
        return bool(self.weight_decay) and not (self._excluded and self._excluded.search(name))

    # -- a step ----------------------------------------------------------------------------------------------------
    def apply(self, gradients: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray]) -> None:
        """One step, in place. Weights without a gradient stay as they are.

        Clipping comes first, then decay by `weight * weight_decay * learning_rate`, then the step.

        Spec: training.optimizer.order
        """
        rate = self.learning_rate
        factors = self._factors(gradients)
        for name, gradient in gradients.items():
            weight = weights[name]
            if self.clipvalue:
                gradient = np.clip(gradient, -self.clipvalue, self.clipvalue)  # noqa: PLW2901
            elif factors[name] != 1.0:
                gradient = gradient * weight.dtype.type(factors[name])  # noqa: PLW2901
            if self.decays(name):
                assert self.weight_decay is not None
                weight -= weight * weight.dtype.type(self.weight_decay * rate)
            self.update_step(gradient, weight, rate, self._slots_of(name, weight))
        self.iterations += 1

    def update_step(self, gradient: np.ndarray, weight: np.ndarray, rate: float, slots: Arrays) -> None:
        """Change `weight` and its `slots` in place."""
        raise NotImplementedError

    def _slots_of(self, name: str, weight: np.ndarray) -> Arrays:
        """The arrays that belong to a weight and lie as it does; new ones are zero."""
        for held in self.state.values():
            if name not in held:
                held[name] = np.zeros_like(weight)
            elif held[name].strides != weight.strides:
                held[name] = laid_as(weight, held[name])
        return {slot: held[name] for slot, held in self.state.items()}

    def _factors(self, gradients: Mapping[str, np.ndarray]) -> dict[str, float]:
        """By what each gradient is multiplied so that no norm is above its limit. Spec: training.optimizer.clipping"""
        if self.clipnorm:
            return {name: self.clipnorm / max(norm(g), self.clipnorm) for name, g in gradients.items()}
        if self.global_clipnorm:
            total = float(np.sqrt(sum(norm(g) ** 2 for g in gradients.values())))
            return dict.fromkeys(gradients, self.global_clipnorm / max(total, self.global_clipnorm))
        return dict.fromkeys(gradients, 1.0)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes; a schedule stands as itself."""
        keys = ("weight_decay", "clipnorm", "clipvalue", "global_clipnorm", "name")
        return {"learning_rate": self._learning_rate} | {key: getattr(self, key) for key in keys}


def norm(array: np.ndarray) -> float:
    """The Euclidean norm over all elements."""
    flat = array.ravel("K")
    return float(np.sqrt(np.dot(flat, flat)))


def _scheduled(rate: Callable[..., Any], step: int) -> Any:
    """The rate of a schedule, or of a function that takes no step."""
    return rate(step) if inspect.signature(rate).parameters else rate()
