"""What Python and the compiled functions say to each other: places in arrays, and how sums are cut into parts.

Nothing here imports Numba, which takes longer to import than a small model to answer.
"""

import numpy as np

# Places in `sizes`.
ROWS, WIDTH, HEADS, DEPTH, INNER, VOCABULARY, LAYERS, POSITIONS, SLOTS, SOURCE, ACTIVATION, SCORES = range(12)
PANELS, FEW = 12, 13  # numbers of a thread's panel; whether rows are so few that threads share parts
GATED, RMS, OWN_HEAD, SPAN, ORIGIN = range(14, 19)  # kinds of parts; a line of biases and where distance 0 is
LISTED, LIST_ROOM, SIZES = range(19, 22)  # address of the code that makes short lists, or 0; a thread's room for it
# Places in `tops` and in the rows of `layers`: addresses of weights.
TOKEN, POSITION, GAMMA, BETA, HEAD = range(5)  # and after the head a bias
QUERY, KEY, VALUE, OUT, NORM = 0, 2, 4, 6, 8  # kernel and bias, or gamma and beta; self-attention
CROSS, FIRST, SECOND, LAST_NORM, WEIGHTS = 10, 20, 24, 26, 28  # a gate lies after the first
# Places in `buffers`: addresses of what the step reads and writes.
# X is what is added to, N what its norm gave (X itself if that goes on), H and G the feed-forward's inside and gate.
X, N, Q, K, V, MIXED, Y, H, G, S, OWN, OTHER, LOGITS, PANEL, BIAS, NUMBERS = range(16)
PARTS, PARTS_OUT, PARTS_SECOND = range(16, 19)  # no two products in turn leave their sums at one place
# The quantized head, with a line's scale and the norms of its error and of itself; rows and candidates of each thread,
# and what was found: see quantize.py and shortlist.py.
LOW_BITS, HIGH_BITS, LINE_SCALES, RESIDUALS, COPY_NORMS, LISTS, FOUND, BUFFERS = range(19, 27)
EPSILON, SCALE, HEAD_SCALE, TEMPERATURE = range(4)  # places in `buffers[NUMBERS]`
# Places in `state`, and what `state[TASK]` says: one step and no choice; go on; go on with the tokens `chosen`; encode;
# and what comes back: a choice that is not sure; done. Also: all logits of the rows.
TASK, COLUMN, END = range(3)
ONE, GO, GIVEN, ENCODE, ASK, DONE, SCORE = range(7)
_NONE = np.zeros(0, np.int64)
# What a task takes that is no loop: ids, forced, live, stops, chosen, temperature.
NOTHING = (np.zeros((0, 0), np.int64), np.zeros((0, 0), np.bool_), _NONE, _NONE, _NONE, 0.0)
ONE_STEP, ENCODING = np.array([ONE, 0, 0]), np.array([ENCODE, 0, 0])
# Places in `sync`, each on a cache line of its own: threads that arrived, round, stop, and how often a thread waited so
# long that the other one cannot have been running.
ARRIVED, ROUND, STOP, LATE, SYNC = 0, 8, 16, 24, 32

GROUP = 128  # codes of a line of the quantized head that lie together: two vectors of 64 bytes
_SHORT = 32  # a list that would be longer than this part of the tokens is none: reading all would be as fast
_LEAST_LIST = 64  # which a list may have of any number of tokens
_PARTS, _PART = 8, 64  # at most so many parts, of at least so many inputs
PANEL_COLUMNS, PANEL_ROWS = 192, 512  # whose sums fit the second cache, with the weights and inputs of a part
TILE = 6144  # sums of few rows that are worked on together: they fit the first cache


def parts_of(inputs: int) -> int:
    """Into how many parts the sums over so many inputs are cut."""
    return max(1, min(_PARTS, inputs // _PART))


def padded(outputs: int) -> int:
    """How far rows of sums lie apart: not a page, for then writing one would hold up reading the next."""
    return (outputs + 15) // 16 * 16 + 16


def panel_of(inputs: int) -> int:
    """Numbers that products of many rows need beside the results: columns of a part's weights, sums of two groups."""
    return (inputs // max(1, min(_PARTS, inputs // _PART)) + 16 + 2 * PANEL_ROWS) * PANEL_COLUMNS


def room_of(rows: int, outputs: int) -> int:
    """Numbers that a thread keeps beside the results of products of so many rows or fewer."""
    return rows * (outputs + 32) + 3 * (TILE + 48 * rows)


def groups_of(inputs: int) -> int:
    """Groups of a line of the quantized head."""
    return (inputs + GROUP - 1) // GROUP


def most_candidates(tokens: int) -> int:
    """How many of so many tokens a short list may have."""
    return _LEAST_LIST + tokens // _SHORT


def list_room(rows: int, inputs: int, tokens: int) -> int:
    """Numbers that a thread needs to choose from a short list: rows of int8 and a line to make them, then the list.

    With the rows go four numbers each: scale, offset and two norms. The list is left after a vector that makes it too
    long, and the tokens that fill no vector come on top: 64 are enough.
    """
    eights = (rows + 7) // 8 * 8
    return groups_of(inputs) * (GROUP // 4) * (eights + 4) + 4 * eights + most_candidates(tokens) + 64
