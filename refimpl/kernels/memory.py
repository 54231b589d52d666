"""NumPy arrays as the compiled functions take them: addresses of weights and scratch, and sizes."""

from collections.abc import Mapping

import numpy as np

from refimpl.kernels import step as places
from refimpl.kernels.architecture import Architecture


class Addresses:
    """Where the weights lie, read as they are now; holding this holds them."""

    def __init__(self, architecture: Architecture, weights: Mapping[str, np.ndarray], layers: int) -> None:
        self._held: list[np.ndarray] = []
        self.encoder = self._all(architecture.encoder, weights)
        self.decoder = self._all(architecture.decoder, weights)
        self.encoder_layers = self._layers(architecture.encoder_layer, weights, layers)
        self.decoder_layers = self._layers(architecture.decoder_layer, weights, layers)

    def _layers(self, names: tuple[str, ...], weights: Mapping[str, np.ndarray], layers: int) -> np.ndarray:
        rows = [self._all(tuple(name.format(n) for name in names), weights) for n in range(layers)]
        return np.array(rows, np.int64).reshape(layers, places.WEIGHTS)

    def _all(self, names: tuple[str, ...], weights: Mapping[str, np.ndarray]) -> np.ndarray:
        found = np.zeros(len(names), np.int64)
        for n, name in enumerate(names):
            if name:
                array = np.ascontiguousarray(weights[name])
                self._held.append(array)
                found[n] = array.ctypes.data
        return found


class Scratch:
    """Sizes and buffers of a compiled function for some rows.

    Spec: kernels.memory
    """

    def __init__(self, architecture: Architecture, rows: int, width: int, inner: int, heads: tuple[int, int]) -> None:
        self.sizes = np.zeros(places.SIZES, np.int64)
        self.sizes[places.ROWS], self.sizes[places.WIDTH], self.sizes[places.INNER] = rows, width, inner
        self.sizes[places.HEADS], self.sizes[places.DEPTH] = heads
        self.sizes[places.ACTIVATION] = architecture.activation
        line = heads[0] * heads[1]
        self._arrays: dict[int, np.ndarray] = {}
        self.buffers = np.zeros(places.BUFFERS, np.int64)
        for place in (places.X, places.Y):
            self.set(place, np.empty((rows, width), np.float32))
        for place in (places.Q, places.K, places.V, places.MIXED):
            self.set(place, np.empty((rows, line), np.float32))
        self.set(places.H, np.empty((rows, inner), np.float32))

    def set(self, place: int, array: np.ndarray) -> None:
        """Use an array, and hold it, in one of the places."""
        self._arrays[place] = array
        self.buffers[place] = array.ctypes.data

    def make_room(self, threads: int, longest: int) -> None:
        """Make room for each thread's attention weights over so many positions, and for its rows of a product."""
        width = -(-max(longest, 1) // 16) * 16
        self.sizes[places.SCORES] = width
        self.set(places.S, np.empty((threads, width), np.float32))
        rows, widest = int(self.sizes[places.ROWS]), max(array.shape[1] for array in self._arrays.values())
        self.set(places.PACKED, np.empty(threads * rows * widest + 16, np.float32))

    @property
    def states(self) -> np.ndarray:
        """The rows themselves. Shapes: (R, E)."""
        return self._arrays[places.X]


def integers(array: np.ndarray) -> np.ndarray:
    """As compiled functions take them."""
    return np.ascontiguousarray(array, np.int64)
