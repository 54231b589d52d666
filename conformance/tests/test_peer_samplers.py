"""Every sampler against KerasHub on JAX, on random tables: all tokens must be equal, over two calls of one sampler."""

import numpy as np
import pytest

from refimpl import samplers

pytestmark = pytest.mark.peers


def settings(rng, name, size):
    """Random settings of a sampler for a vocabulary of this size."""
    seed, k = {"seed": int(rng.integers(0, 2**32))}, int(rng.integers(1, size + 1))
    own = {
        "greedy": {},
        "random": seed,
        "top_k": seed | {"k": k},
        "top_p": seed | {"p": float(rng.random()), "k": None if k % 2 else k},
        "beam": {"num_beams": int(rng.integers(1, 7)), "return_all_beams": bool(k % 2)},
        "contrastive": {"k": min(k, 6), "alpha": float(rng.choice([0.0, 0.3, 0.6, 1.0]))},
    }
    return own[name] | {"temperature": float(rng.choice([1.0, 0.7, 0.3, 2.3]))}


def next_of(table, states, xp):
    """`next` whose state in the cache follows the tokens, so that a cache that is not reordered shows."""

    def next(prompt, cache, index):
        state, last = cache[0][:, 0], xp.take(prompt, index - 1, axis=1)
        return table[state, last], states[state, last], (((3 * state + last + 1) % len(table))[:, None], cache[1])

    return next


@pytest.mark.parametrize("name", ["greedy", "random", "top_k", "top_p", "beam", "contrastive"])
@pytest.mark.parametrize("case", range(8))
def test_tokens_are_those_of_keras_hub(name, case, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    import jax
    import keras
    import keras_hub

    if keras.config.backend() != "jax":
        pytest.skip("the draws of a seed are those of JAX: run with KERAS_BACKEND=jax")
    rng = np.random.default_rng([case, len(name)])
    size, rows, width = int(rng.choice([2, 7, 23, 100])), int(rng.integers(1, 5)), int(rng.integers(4, 20))
    table = rng.normal(0, rng.choice([0.3, 1, 4]), (5, size, size)).astype("float32")
    states = rng.normal(size=(5, size, 4)).astype("float32")
    lengths = rng.integers(1, width, rows)
    mask = np.arange(width) < lengths[:, None]
    prompt = np.where(mask, rng.integers(0, size, (rows, width)), 0).astype("int32")
    arrays = {"cache": (np.zeros((rows, 1), "int32"), rng.normal(size=(rows, 2)).astype("float32")), "mask": mask,
              "hidden_states": rng.normal(size=(rows, width, 4)).astype("float32")}  # fmt: skip
    given = {"index": int(lengths.min()), "stop_token_ids": None if case % 2 else (1, size - 1)}
    chosen = settings(rng, name, size)
    own, peer = (type(room.get(name))(**chosen) for room in (samplers, keras_hub.samplers))
    tensors = jax.tree.map(jax.numpy.asarray, arrays)
    wide = jax.tree.map(jax.numpy.asarray, (table, states))
    for _ in range(2):
        ids = own(next_of(table, states, np), prompt, **arrays, **given)
        wanted = peer(next_of(*wide, jax.numpy), jax.numpy.asarray(prompt), **tensors, **given)
        if isinstance(wanted, tuple):
            assert ids[1] == pytest.approx(np.asarray(wanted[1]), rel=1e-5)
            ids, wanted = ids[0], wanted[0]
        assert (ids == np.asarray(wanted)).all()
