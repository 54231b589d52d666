"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from refimpl.errors import ConfigError
from refimpl.training.optimizers.optimizer import Arrays, Optimizer


class SGD(Optimizer):
    """`w -= rate g`; with momentum `m = momentum m - rate g`, then `w += m`, or Nesterov's `w += momentum m - rate g`.

    Spec: training.optimizer.sgd
    Source: keras 3.15.1 optimizers/sgd.py; Sutskever et al. 2013, section 2
    """

    def __init__(self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **kwargs: Any) -> None:
        if not isinstance(momentum, float) or not 0.0 <= momentum <= 1.0:
            raise ConfigError(
                f"momentum={momentum!r} was passed.",
                "`momentum` must be a float between [0, 1].",
                "Pass for example momentum=0.9.",
                "training.optimizer.sgd",
            )
        self.momentum, self.nesterov = momentum, nesterov
        super().__init__(learning_rate, **kwargs)
        if momentum:
            self.state = {"momentum": {}}

    def update_step(self, gradient: np.ndarray, weight: np.ndarray, rate: float, slots: Arrays) -> None:
        """Change `weight` in place."""
        step = gradient * weight.dtype.type(rate)
        if not self.momentum:
            weight -= step
            return
        moving, share = slots["momentum"], weight.dtype.type(self.momentum)
        moving *= share
        moving -= step
        weight += moving * share - step if self.nesterov else moving

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes."""
        return super().get_config() | {"momentum": self.momentum, "nesterov": self.nesterov}
