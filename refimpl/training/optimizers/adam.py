"""Adam, and Adam with weight decay of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refimpl.errors import ConfigError
from refimpl.models.weights import laid_as
from refimpl.training.optimizers.optimizer import Arrays, Optimizer


class Adam(Optimizer):
    """Steps by the moving mean of the gradient over the root of the moving mean of its square.

    For step s = 1, 2, ...: `m += (1 - b1) (g - m)`, `v += (1 - b2) (g g - v)`,
    `w -= rate sqrt(1 - b2^s) / (1 - b1^s) m / (sqrt(v) + epsilon)`: epsilon is added to the root of the uncorrected v.

    Spec: training.optimizer.adam
    Source: Kingma & Ba 2015, end of section 2 ("epsilon hat"); keras 3.15.1 optimizers/adam.py
    """

    slots = ("momentum", "velocity")
    twin: Callable[..., None] | None = None  # the same in one pass, if training is compiled

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1, self.beta_2, self.epsilon, self.amsgrad = beta_1, beta_2, epsilon, amsgrad
        if not 0.0 <= beta_1 < 1.0 or not 0.0 <= beta_2 < 1.0:
            raise ConfigError(
                f"beta_1={beta_1!r} and beta_2={beta_2!r} were passed.",
                "Both must be at least 0 and below 1.",
                "Leave them out for 0.9 and 0.999.",
                "training.optimizer.adam",
            )
        if amsgrad:
            self.state["velocity_hat"] = {}

    def update_step(self, gradient: np.ndarray, weight: np.ndarray, rate: float, slots: Arrays) -> None:
        """Change `weight` and its moments in place."""
        number, step = weight.dtype.type, self.iterations + 1
        size = number(rate * np.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step))
        momentum, velocity = slots["momentum"], slots["velocity"]
        whole = weight.dtype == np.float32 and np.may_share_memory(weight.ravel("K"), weight)
        if self.twin is not None and not self.amsgrad and whole:
            if gradient.strides != weight.strides:
                gradient = laid_as(weight, gradient)
            self.twin(weight, gradient, momentum, velocity, (size, 1.0 - self.beta_1, 1.0 - self.beta_2, self.epsilon))
            return
        momentum += (gradient - momentum) * number(1.0 - self.beta_1)
        velocity += (np.square(gradient) - velocity) * number(1.0 - self.beta_2)
        if self.amsgrad:
            velocity = np.maximum(slots["velocity_hat"], velocity, out=slots["velocity_hat"])
        weight -= momentum * size / (np.sqrt(velocity) + number(self.epsilon))

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        keys = ("beta_1", "beta_2", "epsilon", "amsgrad")
        return super().get_config() | {key: getattr(self, key) for key in keys}


class AdamW(Adam):
    """Adam with decay of the weights themselves: `w -= rate weight_decay w` before each step, whatever the gradient.

    Spec: training.optimizer.adamw
    Source: Loshchilov & Hutter 2019, algorithm 2; keras 3.15.1 optimizers/adamw.py
    """

    def __init__(self, learning_rate: Any = 0.001, weight_decay: float = 0.004, **kwargs: Any) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
