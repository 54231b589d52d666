"""A step whose rows are shared out among threads."""

import numpy as np
import pytest

from refimpl import optimizers
from refimpl.training import twins
from refimpl.training.tests.small import task, tokens

vjp_numba = pytest.importorskip("refimpl.autograd.vjp_numba")
sharing = pytest.importorskip("refimpl.autograd.sharing")


def stepped(monkeypatch, weights_a_position, jit_compile=True):
    monkeypatch.setattr(twins, "_WORTH_COMPILING", 0)
    monkeypatch.setattr(twins, "_WEIGHTS_A_POSITION", weights_a_position)
    lm = task(optimizer=optimizers.SGD(0.1))
    lm.preprocessor, lm.jit_compile = None, jit_compile
    x, labels, weights = tokens(rows=8)
    scores = lm.train_on_batch(x, labels, weights)
    return lm, scores


def test_shards_give_the_step_of_the_whole(monkeypatch):
    calls = []
    monkeypatch.setattr(sharing, "_pool", sharing.ThreadPool(3))
    in_shards = vjp_numba.in_shards
    monkeypatch.setattr(vjp_numba, "in_shards", lambda f, rows: in_shards(lambda *b: (calls.append(b), f(*b))[1], rows))
    (whole, expected), (shared, found) = stepped(monkeypatch, 0), stepped(monkeypatch, 10**9)
    assert sorted(calls) == [(0, 2), (2, 5), (5, 8)]
    assert found == pytest.approx(expected, rel=1e-6)
    definition, scores = stepped(monkeypatch, 0, jit_compile=False)
    assert found == pytest.approx(scores, rel=1e-5)
    for a, b, c in zip(shared.get_weights(), whole.get_weights(), definition.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(a, c, rtol=1e-4, atol=1e-6)


def test_an_error_in_a_shard_is_raised(monkeypatch):
    monkeypatch.setattr(sharing, "_pool", sharing.ThreadPool(2))

    def fail(first, _end):
        if first:
            raise ValueError("second shard")

    with pytest.raises(ValueError, match="second shard"):
        vjp_numba.in_shards(fail, 4)
