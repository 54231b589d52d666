"""The compiled greedy loop: what it may not decide it asks for, and it goes on from there."""

import numpy as np
import pytest
from numba import njit

from refimpl.decoding.compiled import compiled_steps
from refimpl.kernels import choices, greedy_loop, loop, places, samplers
from refimpl.models import BartBackbone, BartSeq2SeqLM
from refimpl.samplers import GreedySampler
from refimpl.tests.tiny import adversarial, batch

SIZES = {"vocabulary_size": 101, "num_layers": 1, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 48}


@njit(nogil=True)
def chosen(logits, size, temperature):
    return loop.likeliest(logits, size, temperature)


def choice(values, temperature=1.0):
    array = np.array(values, np.float32)
    return chosen(array.ctypes.data, array.size, temperature)


@pytest.mark.parametrize("size", [1, 5, 8, 9, 31])
def test_the_highest_is_found_in_every_place(size):
    for place in range(size):
        values = -np.arange(size) - 5.0
        values[place] = 3.0
        assert choice(values) == place


def test_what_rounding_decides_is_left_to_the_definition():
    assert choice([1.0, 7.0, 7.0]) < 0
    assert choice([1.0, 7.0, np.nextafter(np.float32(7.0), np.float32(0))]) < 0
    assert choice([1.0, 7.0, 6.99]) == 1
    assert choice([1.0, 1.0001, 0.0], temperature=500.0) < 0
    assert choice([1.0, np.nan, 0.0]) < 0
    assert choice([1.0, np.inf, 0.0]) < 0
    assert choice([-np.inf, -np.inf]) < 0
    assert choice([1.0, 3e38, 0.0], temperature=1e-3) < 0
    assert choice([-np.inf, -2.0]) == 1


def test_a_temperature_below_zero_is_left_to_the_definition():
    """No sampler takes one, but it may be set afterwards: then the least likely token is the likeliest."""
    assert choice([5.0, 0.0, 1.0], temperature=-1.0) < 0
    sampler = GreedySampler()
    sampler.temperature = -1.0
    assert choices.greedy(sampler, np.array([[5.0, 0.0, 1.0]], np.float32), np.arange(1)) == [1]


def test_more_tokens_than_a_float_counts_have_no_short_list():
    sizes, quantized = np.zeros(places.SIZES, np.int64), []
    sizes[[places.ROWS, places.WIDTH]] = 1
    for tokens in (1 << 24, 1 + (1 << 24)):
        sizes[places.VOCABULARY], state = tokens, np.array([places.GO, 1, 0])

        def run(_, state=state):
            state[[places.TASK, places.COLUMN]] = places.DONE, state[places.END]

        loop = greedy_loop.GreedyLoop(run, lambda: quantized.append(1), sizes, state, np.zeros(1), np.zeros((1, 1)))
        list(loop.fill(30, 16, None, True))
    assert quantized == [1]


@pytest.mark.parametrize("temperature", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("columns", [1, 3, 16])
@pytest.mark.parametrize("stops", [None, (3, 5, 11, 17)])
def test_asking_changes_no_token(columns, stops, temperature, monkeypatch):
    """Also where two tokens always tie: all their weights are equal."""
    task = BartSeq2SeqLM(adversarial(BartBackbone(**SIZES, max_sequence_length=30)), None)
    table = task.backbone.params["token_embedding/embeddings"]
    table[50:] = table[:51]
    inputs = batch(7, 9, 17, size=101)
    inputs["decoder_padding_mask"] = np.arange(17) < np.random.default_rng(0).integers(1, 6, (7, 1))
    task.compile(sampler=GreedySampler(temperature=temperature), jit_compile=False)
    expected = task.generate(inputs, stop_token_ids=stops)
    asked, ask = [], choices.defined
    monkeypatch.setattr(samplers, "COLUMNS", columns)
    monkeypatch.setattr("refimpl.kernels.decoder_steps.defined", lambda *given: asked.append(1) or ask(*given))
    task.compile(sampler=GreedySampler(temperature=temperature))
    found = task.generate(inputs, stop_token_ids=stops)
    assert asked
    for key, value in expected.items():
        assert (found[key] == value).all()


def test_the_columns_that_were_filled_are_known():
    task = BartSeq2SeqLM(adversarial(BartBackbone(**SIZES, max_sequence_length=30)), None)
    inputs = task.backbone.checked(batch(3, 9, 17, size=101))
    forced = np.arange(17)[None] < np.array([[2], [2], [4]])
    task.compile(sampler="greedy")
    steps = compiled_steps(task, inputs, 2)
    free = np.array(inputs["decoder_token_ids"])
    assert list(steps.greedy(free, 2, forced, None, task.sampler)) == [17]
    assert steps.reached == 17
    said = {int(token) for token in free[:, 6]}
    steps = compiled_steps(task, inputs, 2)
    list(steps.greedy(np.array(inputs["decoder_token_ids"]), 2, forced, tuple(said), task.sampler))
    assert steps.reached <= 7
