"""A table alone, and tokens chosen from its quantized copy as the compiled loop chooses them."""

import numpy as np
from numba import njit

from refimpl.kernels import places, quantize, shortlist
from refimpl.kernels.likeliest import likeliest
from refimpl.kernels.memory import aligned
from refimpl.kernels.unembed import unembed

UNSURE = -1


@njit(nogil=True, error_model="numpy")
def quantized(sizes, rank, team, tops, buffers):
    quantize.quantize_head(rank, team, 0, sizes, tops, buffers)


@njit(nogil=True, error_model="numpy")
def listed(sizes, rank, team, tops, buffers, states):
    call = sizes.ctypes.data, tops.ctypes.data, buffers.ctypes.data
    shortlist.shortlist(rank, team, call[0], call[1], call[2], states)


@njit(nogil=True, error_model="numpy")
def chosen(sizes, team, buffers, tokens, temperature):
    for r in range(sizes[places.ROWS]):
        tokens[r] = shortlist.chosen_from(buffers[places.FOUND], sizes[places.ROWS], team, r, temperature)


@njit(nogil=True, error_model="numpy")
def expected(x, rows, width, table, size, y, tokens, temperature):
    unembed(x, rows, width, table, size, 0, size, y)
    for r in range(rows):
        tokens[r] = likeliest(y + r * size * 4, size, temperature)


class Head:
    """A table, and what the compiled functions need to choose from its quantized copy."""

    def __init__(self, table, team=2, rows=9):
        self.table, self.team, (size, width) = np.ascontiguousarray(table, np.float32), team, table.shape
        self.sizes, self.buffers, self.tops = (np.zeros(n, np.int64) for n in (places.SIZES, places.BUFFERS, 6))
        self.sizes[places.WIDTH], self.sizes[places.VOCABULARY] = width, size
        self.sizes[places.LIST_ROOM] = places.list_room(rows, width, size)
        self.tops[places.HEAD], self.held = self.table.ctypes.data, {}
        groups = places.groups_of(width)
        self.set(places.LISTS, aligned(team, int(self.sizes[places.LIST_ROOM])))
        self.set(places.LOW_BITS, aligned(size, groups, 16))
        self.set(places.HIGH_BITS, aligned(size, groups, 8))
        for place in (places.LINE_SCALES, places.RESIDUALS, places.COPY_NORMS):
            self.set(place, aligned(size))
        self.set(places.FOUND, aligned(team, rows, 3))
        self.set(places.LOGITS, aligned(rows, size))
        for rank in range(team):
            quantized(self.sizes, rank, team, self.tops, self.buffers)

    def set(self, place, array):
        self.held[place], self.buffers[place] = array, array.ctypes.data

    def choices(self, states, temperature=1.0):
        """Tokens from the short list, those of all scores, and all scores."""
        states = np.ascontiguousarray(states, np.float32)
        rows, size = len(states), len(self.table)
        self.sizes[places.ROWS] = rows
        self.set(places.NUMBERS, np.array([0, 0, 1, temperature], np.float32))
        for rank in range(self.team):
            listed(self.sizes, rank, self.team, self.tops, self.buffers, states.ctypes.data)
        found, right, scores = np.empty(rows, np.int64), np.empty(rows, np.int64), aligned(rows, size)
        chosen(self.sizes, self.team, self.buffers, found, temperature)
        expected(
            states.ctypes.data, rows, states.shape[1], self.table.ctypes.data, size, scores.ctypes.data, right,
            temperature,
        )  # fmt: skip
        return found, right, scores

    def bounds(self, states):
        """Estimates as they were made, and the error that the module allows each. Shapes: (R, V) both."""
        rows, size = len(states), len(self.table)
        scale = np.abs(states).max(axis=1, keepdims=True) / 127
        left = np.linalg.norm(states - scale * np.floor(states / scale + 0.5), axis=1, keepdims=True)
        error = np.linalg.norm(states, axis=1, keepdims=True) * self.held[places.RESIDUALS]
        return self.held[places.LOGITS].reshape(-1)[: rows * size].reshape(rows, size), error + left * self.held[
            places.COPY_NORMS
        ]


def check(found, right):
    """A short list may leave a choice open, never make another one."""
    assert ((found == right) | (found == UNSURE)).all(), (found, right)
