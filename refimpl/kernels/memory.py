"""NumPy arrays as the compiled functions take them: addresses of weights and scratch, and sizes."""

import math
from collections.abc import Mapping

import numpy as np

from refimpl.kernels import step as places
from refimpl.kernels.architecture import Architecture
from refimpl.kernels.jit import plain
from refimpl.kernels.linear import PANEL, padded, parts_of


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
            self.set(place, aligned(rows, width))
        for place in (places.Q, places.K, places.V, places.MIXED):
            self.set(place, aligned(rows, line))
        self.set(places.H, aligned(rows, inner))

    def set(self, place: int, array: np.ndarray) -> None:
        """Use an array, and hold it, in one of the places."""
        self._arrays[place] = array
        self.buffers[place] = array.ctypes.data

    def make_room(self, threads: int, longest: int, few: int = 0) -> None:
        """Make room for each thread's attention weights over so many positions, and for products.

        Up to `few` rows, threads share the inputs of a product rather than its columns.
        """
        width = -(-max(longest, 1) // 16) * 16
        self.sizes[places.SCORES] = width
        self.set(places.S, aligned(threads, width))
        rows, line = int(self.sizes[places.ROWS]), self._arrays[places.Q].shape[1]
        wide, inner = (int(self.sizes[place]) for place in (places.WIDTH, places.INNER))
        self.sizes[places.FEW] = rows <= few
        if rows <= few:
            products = ((wide, line, 3), (line, wide, 1), (wide, inner, 1), (inner, wide, 1))
            room = max(count * plain(parts_of)(k) * rows * plain(padded)(n) for k, n, count in products)
            self.set(places.PARTS, aligned(room))
        else:
            panel = max(-(-k // 8 // plain(parts_of)(k)) * 8 + 8 for k in (wide, line, inner)) * PANEL
            self.sizes[places.PANELS] = panel
            self.set(places.PANEL, aligned(threads, panel))

    @property
    def states(self) -> np.ndarray:
        """The rows themselves. Shapes: (R, E)."""
        return self._arrays[places.X]


def aligned(*shape: int) -> np.ndarray:
    """Room for numbers that starts with a cache line: a vector that lies across two takes twice as long."""
    room = np.empty(math.prod(shape) + 15, np.float32)
    first = -room.ctypes.data % 64 // 4
    return room[first : first + math.prod(shape)].reshape(shape)


def integers(array: np.ndarray) -> np.ndarray:
    """As compiled functions take them."""
    return np.ascontiguousarray(array, np.int64)
