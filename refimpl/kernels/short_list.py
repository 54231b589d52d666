"""The head's most probable token without reading the whole head: an exact search by estimates with bounds.

Each line w of the head is also kept in eight bits a number: w = scale q + rest. For states x, kept in twelve bits as
x = step p + error, the score w.x lies near scale step (q.p), a sum of whole numbers. By Cauchy and Schwarz it is not
farther than |rest| |x| + |w| |error| from it. The tokens that may be the best by that get their scores from the head
itself, by the product that computes all scores; the others can't win. It reads a quarter of the head's bytes.
A head that is changed in place while a text is generated may be missed by the rest of it.

Source: Weber, Schek & Blott 1998, "A Quantitative Analysis and Performance Study for Similarity-Search Methods"
"""

import numpy as np

from refimpl.kernels.jit import jit, jit_in_any_order
from refimpl.kernels.layers import UNIT
from refimpl.kernels.matmul import matmul
from refimpl.kernels.thread_pool import Crew, ThreadPool, share
from refimpl.kernels.weights import Array, Dense

WORTH_A_LIST = 4_000_000  # numbers of a head; a smaller one is read as fast as a list is made
_MOST = 1024  # candidates; with more the whole head is read
_RIVAL = 1e-5  # scores as near as this are told apart by the definition, which needs all of them


@jit_in_any_order
def quantize(table: Array, codes: Array, about: Array, first: int, stop: int) -> None:
    """Codes of the lines from `first` to `stop`, and `about` each: scale, norm of the rest, norm of the line.

    What is so small that its square is 0 is in the last term. Shapes: table, codes (V, E) int8, about (3, V).
    """
    for v in range(first, stop):
        peak = rest = norm = np.float32(0.0)
        for e in range(table.shape[1]):
            peak = max(peak, abs(table[v, e]))
        scale = peak / np.float32(127.0) if peak > np.float32(0.0) else np.float32(1.0)
        for e in range(table.shape[1]):
            code = np.floor(table[v, e] / scale + np.float32(0.5))
            codes[v, e] = np.int8(code)
            gone = table[v, e] - scale * code
            rest, norm = rest + gone * gone, norm + table[v, e] * table[v, e]
        more = np.float32(1.001)  # than the rounding of these sums
        about[0, v], about[1, v], about[2, v] = scale, more * np.sqrt(rest) + np.float32(1e-18), more * np.sqrt(norm)


@jit
def estimate(p: Array, codes: Array, sums: Array, first: int, stop: int) -> None:
    """`sums = codes p` in whole numbers. Shapes: p (E) int16, codes (V, E) int8, sums (V) int32."""
    for v in range(first, stop):
        s = np.int32(0)
        for e in range(len(p)):
            s = np.int32(s + np.int32(p[e]) * np.int32(codes[v, e]))
        sums[v] = s


class ShortList:
    """A copy of a head in codes, made once a call of `generate`."""

    def __init__(self, table: Array, pool: ThreadPool) -> None:
        self._pool, self._table = pool, table
        self._codes, self._about = np.empty(table.shape, np.int8), np.empty((3, len(table)), np.float32)

        def run(crew: Crew) -> None:
            quantize(table, self._codes, self._about, *share(len(table), UNIT, crew))

        pool.run(run, table.size, (quantize,))

    @np.errstate(over="ignore", invalid="ignore")
    def scores(self, x: Array) -> Array | None:
        """Scores of all tokens, those that may be the best exact, all others too high and yet below; None if rounding
        must decide, or too many tokens are near. Shapes: x (1, E) -> (1, V).
        """
        size, peak = x.shape[1], float(np.abs(x).max())
        if not 0.0 < peak < np.inf:
            return None
        step = peak / min(2047, (2**31 - 1) // (127 * size))
        p, sums = np.rint(x[0] / step).astype(np.int16), np.empty(len(self._codes), np.int32)

        def run(crew: Crew) -> None:
            estimate(p, self._codes, sums, *share(len(sums), UNIT, crew))

        self._pool.run(run, sums.size * size, (estimate,))
        norm, error = float(np.linalg.norm(x.astype(np.float64))), float(np.linalg.norm(x[0] - step * p))
        rounding = (size + 16) * 2.0**-22 * norm  # of this estimate and of the score
        scale, rest, line = self._about
        room = rest * np.float32(norm * 1.001) + line * np.float32(error * 1.001 + rounding)
        upper = scale * np.float32(step) * sums + room
        least = float((upper - 2 * room).max())
        candidates = np.flatnonzero(upper >= least - _RIVAL * (1.0 + abs(least)))
        if not np.isfinite(least) or len(candidates) > _MOST:
            return None
        exact, lines = np.empty((1, len(candidates)), np.float32), Dense(self._table[candidates])
        self._pool.run(lambda _: matmul(x, lines, exact, 0, len(candidates)), 0, (matmul,))
        highest = float(exact.max())
        if np.count_nonzero(exact >= highest - _RIVAL * (1.0 + abs(highest))) > 1:
            return None
        upper[candidates] = exact[0]
        return upper[None]
