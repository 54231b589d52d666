"""The weights of the tiny presets, from whole numbers only, so that any language gives the same bits.

Written out for other languages in golden/README.md; a test compares the two.
"""

import re

import numpy as np

# What a weight is multiplied by and what is added to it: gains far from 1, no bias of zero, kernels that matter.
SCALES = {
    "gamma": (1.25, 1.5),
    "beta": (0.5, 0.125),
    "bias": (0.5, 0.125),
    "kernel": (1.25, 0.0),
    "table": (1.0, 0.0),
    "position": (2.0, 0.0),
    "score": (0.375, 0.0),
    "relative": (2.0, 0.0),
}


def noise(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Weight `number`'s values in [-1, 1): a hash of 32-bit whole numbers, exact in float32.

    Shapes: -> shape, float64, filled in C order.
    """
    i = np.arange(int(np.prod(shape)), dtype=np.uint64)
    low = np.uint64(0xFFFFFFFF)
    u = (i * np.uint64(2654435761) + np.uint64((number * 2246822519 + 374761393) % 2**32)) & low
    u = ((u ^ (u >> np.uint64(15))) * np.uint64(2246822519)) & low
    u = ((u ^ (u >> np.uint64(13))) * np.uint64(3266489917)) & low
    u = (u ^ (u >> np.uint64(16))) >> np.uint64(8)  # 24 bits: what a float32 holds
    return (u.astype(np.float64) / 2**23 - 1.0).reshape(shape)


def kind_of(place: str) -> str:
    """What the dataset at `place` is: gamma or beta of a layer norm, a table, a bias or a kernel.

    T5 does not divide scores by the width of a head, and Moonshine's sound comes in loud: their query and key kernels
    are smaller.
    """
    moonshine = ("query_dense/vars/0", "key_dense/vars/0") if "moonshine" in place else ()
    if place.endswith(("query_projector/vars/0", "key_projector/vars/0", *moonshine)):
        return "score"
    if place.endswith("self_attention/vars/0"):
        return "relative"
    if "embedding" in place:
        return "position" if "position" in place else "table"
    second = place.endswith("/vars/1")
    if "layer_norm" in place or "group_norm" in place or re.search(r"/norm\d/", place):
        return "beta" if second else "gamma"
    return "bias" if second else "kernel"


def weight(place: str, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """The weight at dataset `place`, whose rank among all sorted datasets is `number`."""
    scale, offset = SCALES[kind_of(place)]
    return noise(number, shape) * scale + offset


def flatten_rows(tokens: np.ndarray, positions: list[np.ndarray], token: int, position: int) -> None:
    """Make the sum of one token and one position nearly constant, so that layer norm's epsilon matters there.

    The variance of the sum is near 1e-5, which is the epsilon.
    """
    tokens[token] = 0.5 + tokens[token] * 2.0**-8
    for table in positions:
        table[position] = 0.25 + table[position] * 2.0**-8


def scripted(vocabulary: int, follows: dict[int, list[int]], default: int, width: int, inner: int) -> dict[str, object]:
    """Weights of a one-layer model whose best next tokens are a table; `follows[id]` lists them (equals first).

    All attention outputs are 0, so the next token depends on the last one only. The feed-forward layer of the
    decoder recognizes the last token and replaces the state by the wanted scores.
    """
    states = np.zeros((vocabulary, width))
    states[np.arange(vocabulary), np.arange(vocabulary)] = 4.0
    table = states.copy()
    for _ in range(3):  # embedding, self-attention and cross-attention layer norms
        centred = states - states.mean(-1, keepdims=True)
        states = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5)
    high, low = states[0, 0], states[0, 1]
    first = np.zeros((width, inner))
    first[np.arange(vocabulary), np.arange(vocabulary)] = 40.0 / (high - low)
    second = np.zeros((inner, width))
    for id in range(vocabulary):
        wanted = np.zeros(width)
        best = follows.get(id, [default])
        wanted[best] = 8.0
        wanted[:vocabulary] += np.where(wanted[:vocabulary] > 0, 0.0, (np.arange(vocabulary) * 5 % 7) / 4.0)
        second[id] = (wanted - states[id]) / 20.0
    bias = np.full(inner, -20.0 - 40.0 * low / (high - low))
    return {"table": table, "first": first, "first_bias": bias, "second": second}
