"""A small task and its data."""

import numpy as np

from refimpl import optimizers
from refimpl.random import set_random_seed
from refimpl.tests import tiny

TEXTS = {
    "encoder_text": ["air plane", "a plan", "hair", "planet at", "plain air", "at", "pan", "rat"],
    "decoder_text": ["plane", "plan", "air", "at", "plain", "a", "an", "air at"],
}


def task(seed=3, optimizer=None, **changes):
    set_random_seed(seed)
    lm = tiny.seq2seq(**({"dropout": 0.2} | changes))
    lm.compile(optimizer or optimizers.Adam(1e-2))
    return lm


def tokens(rows=4, seed=0):
    x = tiny.batch(rows, 6, 5, seed)
    x["decoder_padding_mask"][-1, 3:] = False
    labels = np.roll(x["decoder_token_ids"], -1, axis=1)
    return x, labels, x["decoder_padding_mask"]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def fitted(lm, **kwargs):
    return lm.fit(TEXTS, **({"batch_size": 3, "verbose": 0} | kwargs))
