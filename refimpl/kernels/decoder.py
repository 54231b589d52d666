"""The cache and the step of one batch, between NumPy and the compiled step.

The cache that samplers see is a table of slots, `table[row, position]`: where that row's keys and values of that
position lie. A sampler may repeat, gather and reorder its rows as it would those of any cache; keys and values stay
where they are.

Spec: kernels.step, decoding.cache.equals-uncached
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.kernels import step as places
from refimpl.kernels.architecture import Architecture
from refimpl.kernels.step import step
from refimpl.kernels.team import Team

_WORTH_A_THREAD = 400_000  # products; fewer take less time than it takes to wake a thread


class Decoder:
    """One batch: the source's keys and values, the cache of what was said, and the weights where they lie.

    Shapes: source (B, L, 2, S, H, D) keys and values of the source, source_mask (B, S).
    """

    def __init__(
        self, architecture: Architecture, backbone: Any, team: Team, source: np.ndarray, source_mask: np.ndarray,
        positions: int,
    ) -> None:  # fmt: skip
        self._team = team
        self._width, self._vocabulary = backbone.hidden_dim, backbone.vocabulary_size
        heads, depth = source.shape[-2:]
        self._line = heads * depth
        self._inner = backbone.intermediate_dim
        self._layers = backbone.num_layers
        self._positions = positions
        self._other, self._lengths = without_gaps(source, source_mask)
        self._own = np.empty((self._layers, 2, positions, 0, self._line), np.float32)
        self._zeros = np.zeros((1, max(1, self._other.shape[3])), np.int64)
        self._arrays, self._tops, self._table = addresses(architecture, backbone.weights, self._layers)
        self._sizes = np.zeros(12, np.int64)
        self._sizes[places.WIDTH], self._sizes[places.HEADS] = self._width, heads
        self._sizes[places.DEPTH], self._sizes[places.INNER] = depth, self._inner
        self._sizes[places.VOCABULARY], self._sizes[places.LAYERS] = self._vocabulary, self._layers
        self._sizes[places.POSITIONS], self._sizes[places.SOURCE] = positions, self._other.shape[3]
        self._sizes[places.ACTIVATION] = architecture.activation
        self._sizes[places.SCORES] = -(-max(positions, self._other.shape[3]) // 16) * 16
        self._scratch: dict[int, np.ndarray] = {}

    def run(
        self, tokens: np.ndarray, positions: np.ndarray, table: np.ndarray, sources: np.ndarray, head: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Logits (R, V), or none, and states (R, E) of R rows: a token at a position of a sequence each.

        Shapes: tokens, positions, sources (R), table (R, T).
        """
        rows = len(tokens)
        self._make_room(int(table.max()) + 1)
        sizes, buffers = self._sizes.copy(), np.zeros(places.BUFFERS, np.int64)
        sizes[places.ROWS], sizes[places.SLOTS] = rows, self._own.shape[3]
        scratch = self._parts(rows)
        for place, array in scratch.items():
            buffers[place] = array.ctypes.data
        buffers[places.OWN], buffers[places.OTHER] = self._own.ctypes.data, self._other.ctypes.data
        logits = np.empty((rows, self._vocabulary if head else 0), np.float32)
        buffers[places.LOGITS] = logits.ctypes.data if head else 0
        self._team.run(
            step, self._threads(rows, head), sizes, self._tops, self._table, buffers,
            _integers(tokens), _integers(positions), _integers(table), _integers(sources), self._lengths, self._zeros,
        )  # fmt: skip
        return logits, scratch[places.X].copy()

    def _threads(self, rows: int, head: bool) -> int:
        """As many threads as the work keeps busy."""
        layer = self._width * (6 * self._line + 2 * self._inner)
        work = rows * (self._layers * layer + (self._vocabulary * self._width if head else 0))
        return max(1, work // _WORTH_A_THREAD)

    def _make_room(self, slots: int) -> None:
        """Widen the cache to a number of slots a position."""
        have = self._own.shape[3]
        if slots > have:
            own = np.zeros((self._layers, 2, self._positions, slots, self._line), np.float32)
            own[:, :, :, :have] = self._own
            self._own = own

    def _parts(self, rows: int) -> dict[int, np.ndarray]:
        """Scratch of a step of so many rows."""
        if not self._scratch or len(self._scratch[places.X]) != rows:
            widths = {
                places.X: self._width, places.Y: self._width, places.H: self._inner,
                places.Q: self._line, places.K: self._line, places.V: self._line, places.MIXED: self._line,
            }  # fmt: skip
            self._scratch = {place: np.empty((rows, width), np.float32) for place, width in widths.items()}
            self._scratch[places.S] = np.empty((self._team.most, int(self._sizes[places.SCORES])), np.float32)
        return self._scratch


def without_gaps(source: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keys and values of the positions that may be attended to, moved together, and how many there are.

    Shapes: (B, L, 2, S, H, D), (B, S) -> (L, 2, B, S, H D), (B).
    """
    lengths = mask.sum(axis=1)
    rows, layers, _, _, heads, depth = source.shape
    out = np.zeros((layers, 2, rows, int(lengths.max()), heads * depth), np.float32)
    for row in range(rows):
        kept = source[row][:, :, mask[row]].reshape(layers, 2, int(lengths[row]), heads * depth)
        out[:, :, row, : lengths[row]] = kept
    return out, _integers(lengths)


def addresses(
    architecture: Architecture, weights: Mapping[str, np.ndarray], layers: int
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """The weights themselves, to hold them, and where they lie: those around the layers, and each layer's."""
    tops = [architecture.word, architecture.position, *architecture.norm, architecture.head]
    held = [np.ascontiguousarray(weights[name]) for name in tops]
    table = np.zeros((layers, places.WEIGHTS), np.int64)
    for n in range(layers):
        arrays = [np.ascontiguousarray(weights[name.format(n)]) for name in architecture.layer]
        table[n] = [array.ctypes.data for array in arrays]
        held += arrays
    return held, np.array([array.ctypes.data for array in held[: len(tops)]], np.int64), table


def _integers(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.int64)
