"""Learning rates as functions of the step, counted from 0."""

from __future__ import annotations

import math
from dataclasses import dataclass

from refimpl.errors import ConfigError


class LearningRateSchedule:
    """A function from the step to the learning rate."""

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        raise NotImplementedError


@dataclass
class Constant(LearningRateSchedule):
    """One rate, reached on a straight line from 0 over `warmup_steps`.

    Spec: training.schedule.constant
    """

    learning_rate: float
    warmup_steps: int = 0

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        return self.learning_rate * min(1.0, step / self.warmup_steps if self.warmup_steps else 1.0)


@dataclass
class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate to `alpha` times it; with `warmup_target` first a straight line to that.

    Spec: training.schedule.cosine
    Source: keras 3.15.1 learning_rate_schedule.py CosineDecay; Loshchilov & Hutter 2017, equation 5
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    name: str = "CosineDecay"
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        _need_steps(self.decay_steps, "training.schedule.cosine")

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        start = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return start + (self.warmup_target - start) * step / self.warmup_steps
            start, step = self.warmup_target, step - self.warmup_steps
        share = 0.5 * (1.0 + math.cos(math.pi * min(step / self.decay_steps, 1.0)))
        return start * ((1.0 - self.alpha) * share + self.alpha)


@dataclass
class PolynomialDecay(LearningRateSchedule):
    """`(initial - end) (1 - step / decay_steps)^power + end`; `cycle` starts again, over longer and longer times.

    Spec: training.schedule.polynomial
    Source: keras 3.15.1 learning_rate_schedule.py PolynomialDecay
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str = "PolynomialDecay"

    def __post_init__(self) -> None:
        _need_steps(self.decay_steps, "training.schedule.polynomial")

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        length = self.decay_steps * (max(1, math.ceil(step / self.decay_steps)) if self.cycle else 1)
        left = 1.0 - min(step, length) / length
        return (self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate


@dataclass
class InverseSquareRootDecay(LearningRateSchedule):
    """A straight line from 0 to `peak` over `warmup_steps`, then `peak sqrt(warmup_steps / step)`.

    Spec: training.schedule.inverse-sqrt
    Source: Vaswani et al. 2017, equation 3, with its constant as `peak`
    """

    peak: float
    warmup_steps: int

    def __post_init__(self) -> None:
        _need_steps(self.warmup_steps, "training.schedule.inverse-sqrt")

    def __call__(self, step: int) -> float:
        """The learning rate of a step."""
        if step < self.warmup_steps:
            return self.peak * step / self.warmup_steps
        return self.peak * math.sqrt(self.warmup_steps / step)


def _need_steps(steps: int, clause: str) -> None:
    if steps <= 0:
        raise ConfigError(
            f"A schedule got {steps} steps.",
            "Argument `decay_steps` (or `warmup_steps`) must be > 0.",
            "Pass the number of batches over which the rate changes.",
            clause,
        )
