"""The list's best token is that of all scores, whatever the head looks like; else it says that it can't tell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refimpl.kernels import decoder_steps, thread_pool
from refimpl.kernels.matmul import matmul
from refimpl.kernels.short_list import ShortList
from refimpl.kernels.thread_pool import ThreadPool
from refimpl.kernels.weights import Dense
from refimpl.samplers import GreedySampler
from refimpl.tests.tiny import batch, seq2seq


def all_scores(table, x):
    out = np.empty((1, len(table)), np.float32)
    matmul(x, Dense(table), out, 0, len(table))
    return out


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 300), st.sampled_from([1e-40, 1e-20, 1e-3, 1.0, 1e18]),
    st.sampled_from(["normal", "heavy", "near", "equal", "zeros", "nan", "infinite"]),
)  # fmt: skip
def test_the_best_is_the_best_of_all(seed, size, lines, scale, kind):
    rng = np.random.default_rng(seed)
    table, x = rng.standard_normal((lines, size)).astype(np.float32), rng.standard_normal((1, size)).astype(np.float32)
    match kind:
        case "heavy":
            table = table**5
        case "near":
            table = table[:1] + np.float32(1e-6) * table
        case "equal":
            table[:] = table[:1]
        case "zeros":
            table[rng.random(lines) < 0.5] = 0.0
        case "nan":
            table[rng.integers(lines), rng.integers(size)] = np.nan
        case "infinite":
            table[rng.integers(lines), rng.integers(size)] = np.inf
    with np.errstate(all="ignore"):
        table, x = table * np.float32(scale), x * np.float32(rng.choice([1e-20, 1.0, 1e15]))
    found, truth = ShortList(table, ThreadPool(1)).scores(x), all_scores(table, x)
    if found is not None:
        best = truth.argmax()
        assert found.argmax() == best
        assert found[0, best] == truth[0, best]
        assert (np.delete(found, best) < found[0, best]).all()
        assert (found >= truth).all()


def test_a_list_answers_for_a_head_as_models_have_it():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((20_000, 256)).astype(np.float32)
    short = ShortList(table, ThreadPool(2))
    answers = [short.scores(rng.standard_normal((1, 256)).astype(np.float32)) for _ in range(50)]
    assert sum(answer is not None for answer in answers) >= 45
    assert (matmul,) in thread_pool._LOADED  # its code, too, was loaded by one thread that no fork interrupts


@pytest.mark.parametrize("x", [0.0, np.nan, np.inf])
def test_no_answer_without_a_direction(x):
    table = np.ones((8, 4), np.float32)
    assert ShortList(table, ThreadPool(1)).scores(np.full((1, 4), x, np.float32)) is None


@pytest.mark.parametrize(
    "temperature", [0.0, 1.0, 1e7, *(pytest.param(t, marks=pytest.mark.slow) for t in (0.5, 1e3, -1.0))]
)
def test_a_single_row_gets_the_definitions_tokens(temperature, monkeypatch):
    """Also at temperatures that the constructor refuses, and at those where far scores are rivals."""
    monkeypatch.setattr(decoder_steps, "WORTH_A_LIST", 1)
    monkeypatch.setattr(decoder_steps, "_BEFORE_A_LIST", 0)
    sampler = GreedySampler()
    sampler.temperature = temperature
    for seed in range(12):
        task, inputs = seq2seq(seed=seed, preprocessor=False), batch(1, 6, 15, seed=seed)
        inputs["decoder_padding_mask"] = np.arange(15)[None] < 2
        found = []
        for compiled in (True, False):
            task.compile(sampler=sampler, jit_compile=compiled)
            found.append(task.generate(inputs, stop_token_ids=None)["decoder_token_ids"].tolist())
        assert found[0] == found[1]
