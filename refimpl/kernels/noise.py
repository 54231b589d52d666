"""The noise of a draw over the whole vocabulary: which tokens may win is found without a logarithm.

Spec: kernels.samplers, samplers.random.threefry
"""

from typing import Any

import numpy as np

from refimpl.kernels.legacy_jit import entry, inner
from refimpl.random.draws import TINY
from refimpl.random.threefry import PARITY

_ONE = np.float32(1.0)
_TINY = np.float32(TINY)


@inner
def _mixed(x: Any, y: Any, bits: int) -> Any:
    """The second word after a round whose first word became `x`."""
    return np.uint32(np.uint32(y << np.uint32(bits)) | np.uint32(y >> np.uint32(32 - bits))) ^ x


@inner
def _four(x: Any, y: Any, a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    """Four rounds with these rotations. Source: Salmon et al. 2011, section 3.3"""
    x = np.uint32(x + y)
    y = _mixed(x, y, a)
    x = np.uint32(x + y)
    y = _mixed(x, y, b)
    x = np.uint32(x + y)
    y = _mixed(x, y, c)
    x = np.uint32(x + y)
    return x, _mixed(x, y, d)


@inner
def _word(first: Any, second: Any, third: Any, high: Any, low: Any) -> Any:
    """A random word: what `refimpl.random.threefry.random_bits` has at the counter. All are uint32."""
    x, y = np.uint32(high + first), np.uint32(low + second)
    x, y = _four(x, y, 13, 15, 26, 6)
    x, y = np.uint32(x + second), np.uint32(y + third + np.uint32(1))
    x, y = _four(x, y, 17, 29, 16, 24)
    x, y = np.uint32(x + third), np.uint32(y + first + np.uint32(2))
    x, y = _four(x, y, 13, 15, 26, 6)
    x, y = np.uint32(x + first), np.uint32(y + second + np.uint32(3))
    x, y = _four(x, y, 17, 29, 16, 24)
    x, y = np.uint32(x + second), np.uint32(y + third + np.uint32(4))
    x, y = _four(x, y, 13, 15, 26, 6)
    return np.uint32(x + third) ^ np.uint32(y + first + np.uint32(5))


@entry
def bounds(key: np.ndarray, rows: np.ndarray, probabilities: np.ndarray, words: np.ndarray, found: np.ndarray) -> None:
    """For each token a number that `p / -log(u)` does not exceed: `p / (1 - u)`.

    The token with the highest `log(p) + noise` is the one with the highest `p / -log(u)`, the noise being
    `-log(-log(u))`. Row n has the counters that the row `rows[n]` of a whole batch has.

    Shapes: key (2,) uint32, rows (n,) int64, probabilities (n, V) float32, words (V,) uint32 scratch -> found (n, V).
    """
    first, second = key[0], key[1]
    third = np.uint32(first ^ second ^ PARITY)
    size = probabilities.shape[1]
    for n in range(len(rows)):
        start = rows[n] * size
        for i in range(size):
            counter = start + i
            words[i] = _word(first, second, third, np.uint32(counter >> 32), np.uint32(counter))
        floats = words.view(np.float32)
        for i in range(size):
            words[i] = np.uint32(words[i] >> np.uint32(9)) | np.uint32(0x3F800000)
            u = max(_TINY, floats[i] - _ONE)
            found[n, i] = probabilities[n, i] / (_ONE - u)
