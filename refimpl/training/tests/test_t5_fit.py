"""T5 learns as BART does: `fit`, dropout, frozen layers, twins."""

import numpy as np
import pytest

from refimpl import optimizers
from refimpl.models import T5Backbone, T5Seq2SeqLM
from refimpl.random import set_random_seed


def task(**changes):
    set_random_seed(5)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 24, "key_value_dim": 6}
    lm = T5Seq2SeqLM(T5Backbone(12, **(sizes | {"dropout": 0.0} | changes)))
    lm.compile(optimizers.Adam(1e-2), sampler="greedy")
    return lm


def copies(rows=60, length=4):
    """Sources to repeat: the decoder starts from 0 and ends with 1."""
    ids = np.random.default_rng(0).integers(2, 12, (rows, length))
    inputs = {"encoder_token_ids": ids, "decoder_token_ids": np.pad(ids, ((0, 0), (1, 0)))}
    masks = {key.replace("token_ids", "padding_mask"): np.ones_like(value) for key, value in inputs.items()}
    return inputs | masks, np.pad(ids, ((0, 0), (0, 1)), constant_values=1)


@pytest.mark.parametrize("kind", [{}, {"activation": "gelu_approximate", "tie_embedding_weights": False}])
def test_fit_learns_to_copy(kind):
    lm = task(**kind)
    x, y = copies()
    lm.fit(x, y, batch_size=20, epochs=40, verbose=0)
    assert lm.history.history["loss"][-1] < 0.2 * lm.history.history["loss"][0]
    prompt = x | {"decoder_padding_mask": np.arange(5) < np.ones((60, 1))}
    found = lm.generate(prompt, stop_token_ids=None)["decoder_token_ids"]
    assert (found[:, 1:] == y[:, :-1]).mean() > 0.8


def test_twins_and_definition_learn_the_same():
    runs = []
    for compiled in (True, False):
        lm = task(dropout=0.2)
        lm.compile(optimizers.Adam(1e-3), jit_compile=compiled)
        lm.seed = 7
        x, y = copies()
        runs.append([lm.train_on_batch(x, y)[0] for _ in range(4)])
    assert runs[0] == pytest.approx(runs[1], rel=1e-4)


def test_a_frozen_layer_stays():
    lm = task()
    lm.backbone.get_layer("transformer_encoder_layer_0").trainable = False
    before = {name: array.copy() for name, array in lm.backbone.params.items()}
    lm.train_on_batch(*copies())
    for name, array in lm.backbone.params.items():
        assert np.array_equal(array, before[name]) == name.startswith("transformer_encoder_layer_0"), name
