"""The likeliest token of a row, where its logits leave no doubt.

Spec: kernels.loop, samplers.greedy.argmax, samplers.greedy.ties
"""

import math
from typing import Any

import numpy as np

from refimpl.kernels.legacy_jit import inner, once
from refimpl.kernels.vector import get, higher, load, not_below, peak, splat

UNSURE = -1
_LOWEST = np.float32(-math.inf)


@inner
def highest(x: int, size: int) -> Any:
    """The highest of some numbers that is one."""
    once()
    a, b, c, d = splat(_LOWEST), splat(_LOWEST), splat(_LOWEST), splat(_LOWEST)
    fours = size // 64 * 64
    for i in range(0, fours, 64):
        a, b = higher(load(x, i), a), higher(load(x, i + 16), b)
        c, d = higher(load(x, i + 32), c), higher(load(x, i + 48), d)
    best = peak(higher(higher(a, b), higher(c, d)))
    for i in range(fours, size):
        best = get(x, i) if get(x, i) > best else best
    return best


@inner
def likeliest(logits: int, size: int, temperature: float) -> int:
    """The token with the highest logit, or a negative number if rounding or something that is no number may decide.

    Spec: samplers.greedy.argmax, samplers.greedy.ties
    """
    once()
    best = highest(logits, size)
    least = rival(best, temperature)
    token, near, whole = 0, 0, size // 16 * 16
    for i in range(0, whole, 16):
        if not_below(load(logits, i), splat(least)):
            for n in range(i, i + 16):
                if not get(logits, n) < least:
                    token, near = n, near + 1
    for i in range(whole, size):
        if not get(logits, i) < least:
            token, near = i, near + 1
    return token if near == 1 and certain(best, temperature) else UNSURE


@inner
def rival(best: float, temperature: float) -> Any:
    """The logit from which on rounding may take another token for the best one."""
    return best - np.float32(1e-6) * (abs(best) + np.float32(temperature))


@inner
def certain(best: float, temperature: float) -> bool:
    """Whether the best logit is a number, as the sampler scales it, and stays the best one: none below 0 keeps it."""
    scaled = best / np.float32(temperature) if temperature else best
    return math.isfinite(scaled) and not temperature < 0.0
