"""A seed that moves on with every draw."""

import random as python_random
from typing import Any

import numpy as np

from refimpl.errors import SeedError


class SeedGenerator:
    """The pair `[seed, counter]`: each draw takes the pair as its key and adds one to the counter.

    Without a seed one is drawn from Python's `random` module, as Keras does.

    Raises: SeedError for a seed that is no 32-bit whole number.
    Spec: samplers.seed.state, samplers.seed.none, samplers.seed.range
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed
        if seed is not None and (not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**32):
            raise SeedError(
                f"Argument `seed` must be an integer. Received: seed={seed!r}.",
                "A seed is a whole number from 0 to 2**32 - 1, or None for a new one each time.",
                "Pass for example seed=42.",
                "samplers.seed.range",
            )
        first = python_random.randint(1, 10**9) if seed is None else int(seed)  # noqa: S311  (no secret)
        self.state = np.array([first, 0], np.uint32)

    def next(self) -> np.ndarray:
        """The key of this draw; the counter goes on. Shapes: -> (2,) uint32."""
        key = self.state.copy()
        self.state[1] = np.uint32((int(self.state[1]) + 1) % 2**32)
        return key

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes; how far the counter got is not part of it."""
        return {"seed": self.seed}
