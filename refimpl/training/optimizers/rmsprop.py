"""RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from refimpl.training.optimizers.optimizer import Arrays, Optimizer


class RMSprop(Optimizer):
    """Steps by the gradient over the root of the moving mean of its square, less the squared mean if `centered`.

    `v = rho v + (1 - rho) g g`, `u = rate g / sqrt(v + epsilon)`; with momentum `m = momentum m + u`, then `w -= m`.

    Spec: training.optimizer.rmsprop
    Source: Hinton 2012, lecture 6e; keras 3.15.1 optimizers/rmsprop.py
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        self.rho, self.momentum, self.epsilon, self.centered = rho, momentum, epsilon, centered
        super().__init__(learning_rate, **kwargs)
        kept = {"velocity": True, "momentum": momentum > 0, "average_gradient": centered}
        self.state = {slot: {} for slot, wanted in kept.items() if wanted}

    def update_step(self, gradient: np.ndarray, weight: np.ndarray, rate: float, slots: Arrays) -> None:
        """Change `weight` and its moments in place."""
        number, velocity = weight.dtype.type, slots["velocity"]
        velocity += (np.square(gradient) - velocity) * number(1.0 - self.rho)
        spread = velocity + number(self.epsilon)
        if self.centered:
            mean = slots["average_gradient"]
            mean += (gradient - mean) * number(1.0 - self.rho)
            spread -= np.square(mean)
        step = gradient * number(rate) / np.sqrt(spread)
        if self.momentum:
            moving = slots["momentum"]
            moving *= number(self.momentum)
            moving += step
            step = moving
        weight -= step

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        keys = ("rho", "momentum", "epsilon", "centered")
        return super().get_config() | {key: getattr(self, key) for key in keys}
