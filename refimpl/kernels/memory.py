"""NumPy arrays as the compiled functions take them: addresses of weights and scratch, and sizes."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.kernels import places
from refimpl.kernels.architecture import Architecture
from refimpl.kernels.places import padded, panel_of, parts_of, room_of


class Addresses:
    """Where the weights lie, read as they are now; holding this holds them."""

    def __init__(self, architecture: Architecture, weights: Mapping[str, np.ndarray], layers: int) -> None:
        self._held: list[np.ndarray] = []
        self._weights, self._number = weights, layers
        first, last = architecture.final
        self.encoder = self._all(architecture.encoder, -1, first)
        self.decoder = self._all(architecture.decoder, -1, last)
        self.encoder_layers = self._layers(architecture.encoder_layer, first)
        self.decoder_layers = self._layers(architecture.decoder_layer, last)

    def _layers(self, names: tuple[str, ...], final: str) -> np.ndarray:
        rows = [self._all(names, n, final) for n in range(self._number)]
        return np.array(rows, np.int64).reshape(self._number, places.WEIGHTS)

    def _all(self, names: tuple[str, ...], layer: int, final: str) -> np.ndarray:
        """The addresses of a layer's weights; of those before all layers if it is -1."""
        found = np.zeros(len(names), np.int64)
        for n, name in enumerate(names):
            if "{next}" in name:
                path = name.format(next=layer + 1) if layer + 1 < self._number else final
            else:
                path = name.format(layer)
            if path:
                array = np.ascontiguousarray(self._weights[path])
                self._held.append(array)
                found[n] = array.ctypes.data
        return found


class Scratch:
    """Sizes and buffers of a compiled function for some rows.

    Spec: kernels.memory
    """

    def __init__(self, architecture: Architecture, backbone: Any, rows: int) -> None:
        width, inner, heads = backbone.hidden_dim, backbone.intermediate_dim, (backbone.num_heads, backbone.head_dim)
        self.sizes = np.zeros(places.SIZES, np.int64)
        self.sizes[places.ROWS], self.sizes[places.WIDTH], self.sizes[places.INNER] = rows, width, inner
        self.sizes[places.HEADS], self.sizes[places.DEPTH] = heads
        self.sizes[places.ACTIVATION] = architecture.activation
        self.sizes[places.GATED], self.sizes[places.RMS] = architecture.gated, architecture.rms
        self.sizes[places.VOCABULARY], self.sizes[places.LAYERS] = backbone.vocabulary_size, backbone.num_layers
        self.sizes[places.OWN_HEAD] = architecture.own_head
        line = heads[0] * heads[1]
        self._arrays: dict[int, np.ndarray] = {}
        self.buffers = np.zeros(places.BUFFERS, np.int64)
        for place in (places.X, places.Y):
            self.set(place, aligned(rows, width))
        self.set(places.N, aligned(rows, width) if architecture.pre_norm else self._arrays[places.X])
        scale = 1.0 / math.sqrt(heads[1]) if architecture.scaled else 1.0
        self.set(places.NUMBERS, np.array([architecture.epsilon, scale, architecture.head_scale, 0.0], np.float32))
        for place in (places.Q, places.K, places.V, places.MIXED):
            self.set(place, aligned(rows, line))
        for place in (places.H, places.G) if architecture.gated else (places.H,):
            self.set(place, aligned(rows, inner))

    def set(self, place: int, array: np.ndarray) -> None:
        """Use an array, and hold it, in one of the places."""
        self._arrays[place] = array
        self.buffers[place] = array.ctypes.data

    def make_room(self, threads: int, longest: int, few: int = 0) -> None:
        """Make room for each thread's attention weights over so many positions, and for products.

        Up to `few` rows, threads share the inputs of most products rather than the columns.
        """
        width = -(-max(longest, 1) // 16) * 16
        self.sizes[places.SCORES] = width
        self.set(places.S, aligned(threads, int(self.sizes[places.HEADS]) + 1, width))
        rows, line = int(self.sizes[places.ROWS]), self._arrays[places.Q].shape[1]
        wide, inner = (int(self.sizes[place]) for place in (places.WIDTH, places.INNER))
        self.sizes[places.FEW] = rows <= few
        if rows <= few:
            products = (
                (places.PARTS, wide, line, 3),
                (places.PARTS_OUT, line, wide, 1),
                (places.PARTS_SECOND, inner, wide, 1),
            )
            for place, k, n, count in products:
                self.set(place, aligned(count * parts_of(k) * rows * padded(n)))
            room = room_of(rows, max(line, wide))
        else:
            room = max(2 * longest * int(self.sizes[places.DEPTH]), *(panel_of(k) for k in (wide, line, inner)))
        self.sizes[places.PANELS] = -(-room // 16) * 16
        self.set(places.PANEL, aligned(threads, int(self.sizes[places.PANELS])))

    def make_list_room(self, threads: int) -> None:
        """Make room for a quantized copy of the head, and for what each thread needs to choose with it."""
        rows, width, tokens = (int(self.sizes[place]) for place in (places.ROWS, places.WIDTH, places.VOCABULARY))
        self.sizes[places.LIST_ROOM] = -(-places.list_room(rows, width, tokens) // 16) * 16
        self.set(places.LISTS, aligned(threads, int(self.sizes[places.LIST_ROOM])))
        self.set(places.LOW_BITS, aligned(tokens, places.groups_of(width), 16))
        self.set(places.HIGH_BITS, aligned(tokens, places.groups_of(width), 8))
        for place in (places.LINE_SCALES, places.RESIDUALS, places.COPY_NORMS):
            self.set(place, aligned(tokens))
        self.set(places.FOUND, aligned(threads, rows, 3))

    def set_temperature(self, temperature: float) -> None:
        """What greedy choice takes for the scale of logits."""
        self._arrays[places.NUMBERS][places.TEMPERATURE] = temperature

    def set_bias(self, bias: np.ndarray | None, origin: int) -> None:
        """What is added to scores: of a key so many positions behind the query, the number at `origin` plus as many.

        Shapes: bias (H, 1, span) or None.
        """
        if bias is not None:
            room = aligned(bias.size + 16)  # whole vectors are read
            room[: bias.size], room[bias.size :] = bias.reshape(-1), 0
            self.set(places.BIAS, room)
            self.sizes[places.SPAN], self.sizes[places.ORIGIN] = bias.shape[2], origin

    @property
    def states(self) -> np.ndarray:
        """The rows as the next part reads them. Shapes: (R, E)."""
        return self._arrays[places.N]


def aligned(*shape: int) -> np.ndarray:
    """Room for numbers that starts with a cache line: a vector that lies across two takes twice as long."""
    room = np.empty(math.prod(shape) + 15, np.float32)
    first = -room.ctypes.data % 64 // 4
    return room[first : first + math.prod(shape)].reshape(shape)


def integers(array: np.ndarray) -> np.ndarray:
    """As compiled functions take them."""
    return np.ascontiguousarray(array, np.int64)
