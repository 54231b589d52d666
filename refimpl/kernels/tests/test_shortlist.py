"""Tokens chosen from a short list are those that all scores give, whatever the head and the states are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from refimpl.decoding.stream import stream_step
from refimpl.kernels import choices, codes, decoder, greedy_loop, places
from refimpl.kernels.legacy_jit import instruction
from refimpl.kernels.tests.head import UNSURE, Head, check
from refimpl.models import BartBackbone, BartSeq2SeqLM, T5Backbone, T5Seq2SeqLM
from refimpl.samplers import GreedySampler
from refimpl.tests.tiny import adversarial, batch


# Sizes with remainders in every direction, and one that fills groups, blocks and vectors.
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (31, 17), (100, 128), (257, 130), (640, 256), (1001, 768)])
@pytest.mark.parametrize("rows", [1, 2, 8, 9])
def test_the_choice_is_that_of_all_scores(shape, rows):
    rng = np.random.default_rng(rows)
    head = Head(rng.normal(size=shape))
    found, right, _ = head.choices(rng.normal(size=(rows, shape[1])))
    check(found, right)
    assert (found == right).all()  # nothing here is so close that all would be looked at


@pytest.mark.parametrize("team", [1, 2, 3])
def test_estimates_are_within_their_bounds(team):
    """Bounds hold, and with room to spare, but not so much that they would choose nothing."""
    rng = np.random.default_rng(0)
    head, states = Head(rng.standard_t(3, size=(960, 200)), team), rng.standard_t(3, size=(8, 200))
    _, _, scores = head.choices(states)
    estimates, bounds = head.bounds(states)
    assert (np.abs(estimates - scores) <= bounds).all()
    assert np.median(bounds) < 0.1 * np.median(np.linalg.norm(head.table, axis=1)) * np.linalg.norm(states[0])
    assert (np.abs(estimates - scores) / bounds).max() > 0.02


ODD = st.sampled_from([0.0, 1.0, -1.0, 1e-42, 1e-30, 1e-12, 1e12, 1e18, 3e38, np.inf, -np.inf, np.nan])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_odd_numbers_change_no_choice(data):
    """Zeros, denormal and huge numbers, infinities, NaN, equal lines: in the head, in the states, or in both."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    size, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 40))
    table, states = rng.normal(size=(size, width)), rng.normal(size=(data.draw(st.integers(1, 9)), width))
    for array in (table, states):
        for _ in range(data.draw(st.integers(0, 4))):
            array[rng.integers(len(array)), rng.integers(width)] = data.draw(ODD)
    table *= np.float32(10.0) ** data.draw(st.integers(-30, 20)) if data.draw(st.booleans()) else 1
    if data.draw(st.booleans()):
        table[rng.integers(size)] = table[rng.integers(size)]
    with np.errstate(all="ignore"):
        found, right, _ = Head(table.astype(np.float32)).choices(states, data.draw(st.sampled_from([0.0, 1.0, 1e4])))
    check(found, right)


def test_denormal_scores_may_be_twice_their_products():
    """Each of two products, half of the least number that there is, is rounded up to it: the two lines are equal."""
    table = np.zeros((16, 2))
    table[3], table[15] = 2.0**-149, 2.0**-148
    found, right, _ = Head(table).choices(np.full((1, 2), 0.51), 0.0)
    assert found == right == UNSURE


def test_equal_scores_are_left_open():
    rng = np.random.default_rng(3)
    table, states = rng.normal(size=(320, 64)), rng.normal(size=(4, 64))
    best = (states @ table.T).argmax(axis=1)
    table[[7, 300]] = table[best[0]]
    found, right, _ = Head(table).choices(states)
    assert found[0] == right[0] == UNSURE
    assert (found == right).all()


def test_a_list_that_would_be_long_is_none():
    """All lines nearly equal: nothing tells them apart but the scores themselves."""
    rng = np.random.default_rng(3)
    table = rng.normal(size=(1, 64)) + 1e-4 * rng.normal(size=(1600, 64))
    found, _, _ = Head(table).choices(rng.normal(size=(2, 64)))
    assert (found == UNSURE).all()


def products_of(multiply):
    """A function of sums, codes of six bits and int8 as one of the two ways to multiply."""
    from llvmlite import ir  # noqa: PLC0415
    from numba.core import types  # noqa: PLC0415

    @instruction
    def products(typing, sums, six, numbers):
        def generate(context, b, _, args):
            sums, six, numbers = args
            bytes_, words = ir.VectorType(ir.IntType(8), 64), ir.VectorType(ir.IntType(32), 16)
            values = [b.load(b.inttoptr(a, bytes_.as_pointer()), align=1) for a in (six, numbers)]
            place = b.inttoptr(sums, words.as_pointer())
            b.store(multiply(context, b, b.load(place, align=4), *values), place, align=4)
            return context.get_dummy_value()

        return types.void(types.intp, types.intp, types.intp), generate

    @njit(nogil=True)
    def run(sums, six, numbers):
        products(sums, six, numbers)

    return run


def test_both_ways_to_multiply_bytes_agree():
    """Also with the largest products that there can be."""
    rng = np.random.default_rng(0)
    plain, own = products_of(lambda _, *given: codes.plain_byte_products(*given)), products_of(codes.byte_products)
    cases = [(rng.integers(0, 64, 64), rng.integers(-127, 128, 64)) for _ in range(50)]
    cases += [(np.full(64, 63), np.full(64, sign * 127)) for sign in (1, -1)]
    for six, numbers in cases:
        found = []
        for run in (plain, own):
            sums, f, n = np.full(16, 5, np.int32), six.astype(np.uint8), numbers.astype(np.int8)
            run(sums.ctypes.data, f.ctypes.data, n.ctypes.data)
            found.append(int(sums.sum()))
        assert found == [80 + int((six * numbers).sum())] * 2


DEFINED = "refimpl.kernels.decoder_steps.defined"
SIZES = {"vocabulary_size": 701, "num_layers": 1, "num_heads": 2, "hidden_dim": 32, "intermediate_dim": 48}


def task_of(name):
    if name == "bart":
        return BartSeq2SeqLM(adversarial(BartBackbone(**SIZES, max_sequence_length=40)), None)
    tied = {"key_value_dim": 16, "tie_embedding_weights": name == "t5"}
    return T5Seq2SeqLM(adversarial(T5Backbone(**SIZES, **tied)), None)


def prompts(rows):
    """Prompts of one to five tokens."""
    inputs = batch(rows, 9, 30, size=701)
    return inputs | {"decoder_padding_mask": np.arange(30) < np.random.default_rng(0).integers(1, 6, (rows, 1))}


@pytest.mark.parametrize("name", ["bart", "t5", "t5-own-head"])
@pytest.mark.parametrize("stops", [None, (3, 5, 11, 17)])
def test_generating_takes_short_lists_and_gives_the_same(name, stops, monkeypatch):
    """Rows that stop, prompts of different lengths, equal scores that are asked for: as without the copy."""
    task = task_of(name)
    inputs = prompts(9)
    task.compile(sampler="greedy")
    expected = task.generate(inputs, stop_token_ids=stops)
    copies, copy = [], decoder.Decoder._quantize_head
    monkeypatch.setattr(greedy_loop, "_LARGE", 0)
    monkeypatch.setattr(decoder.Decoder, "_quantize_head", lambda *given: copies.append(1) or copy(*given))
    found = task.generate(inputs, stop_token_ids=stops)
    assert len(copies) == (name != "t5-own-head")
    for key, value in expected.items():
        assert (found[key] == value).all()


def test_lists_know_the_sampler_s_temperature(monkeypatch):
    """It says how near a rival may be; the scores of a tiny model are seldom so near that it would show in a token."""
    task, seen, copy = BartSeq2SeqLM(adversarial(BartBackbone(**SIZES)), None), [], decoder.Decoder._quantize_head

    def noted(self, scratch):
        seen.append(float(scratch._arrays[places.NUMBERS][places.TEMPERATURE]))
        copy(self, scratch)

    monkeypatch.setattr(greedy_loop, "_LARGE", 0)
    monkeypatch.setattr(decoder.Decoder, "_quantize_head", noted)
    for temperature in (1.0, 0.5):
        task.compile(sampler=GreedySampler(temperature=temperature))
        task.generate(prompts(2), stop_token_ids=None)
    assert seen == [1.0, 0.5]


def test_a_stream_takes_short_lists_too(monkeypatch):
    """One column at a time, and each as without the copy."""
    task = task_of("bart")
    task.compile(sampler="greedy")
    inputs = prompts(5)
    expected = [{key: value.copy() for key, value in so_far.items()} for so_far in stream_step(task, inputs, (3, 5))]
    copies, copy = [], decoder.Decoder._quantize_head
    monkeypatch.setattr(greedy_loop, "_LARGE", 0)
    monkeypatch.setattr(decoder.Decoder, "_quantize_head", lambda *given: copies.append(1) or copy(*given))
    found = list(stream_step(task, inputs, (3, 5)))
    assert len(found) == len(expected) > 20
    assert copies == [1]
    assert (found[-1]["decoder_token_ids"] == expected[-1]["decoder_token_ids"]).all()
    for now, then in zip(found, expected, strict=True):
        assert (now["decoder_padding_mask"] == then["decoder_padding_mask"]).all()


def test_a_head_that_ties_is_asked_for_and_then_read_as_a_whole(monkeypatch):
    task = task_of("bart")
    table = task.backbone.params["token_embedding/embeddings"]
    table[351:] = table[1:351]
    table[0] = 0.0  # or it may be the best one everywhere
    inputs = prompts(3)
    task.compile(sampler="greedy")
    whole, shown, ask = [], [], choices.defined
    monkeypatch.setattr(DEFINED, lambda *given: whole.append(given[1].copy()) or ask(*given))
    expected = task.generate(inputs, stop_token_ids=None)
    tasks, answer = [], greedy_loop.GreedyLoop._answer
    monkeypatch.setattr(greedy_loop, "_LARGE", 0)
    monkeypatch.setattr(DEFINED, lambda *given: shown.append(given[1].copy()) or ask(*given))

    def seen(self, ask):
        tasks.append(int(self._sizes[places.LISTED] != 0))
        answer(self, ask)

    monkeypatch.setattr(greedy_loop.GreedyLoop, "_answer", seen)
    found = task.generate(inputs, stop_token_ids=None)
    assert (found["decoder_token_ids"] == expected["decoder_token_ids"]).all()
    assert sum(tasks) == greedy_loop._PATIENCE < len(tasks)
    assert np.array_equal(shown, whole)  # the definition is shown all logits, no estimates


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_a_temperature_that_makes_many_scores_equal_is_heeded(name, monkeypatch):
    """Candidates come as near as the sampler says, in logits as T5 scales them."""
    task = task_of(name)
    inputs = prompts(9)
    task.compile(sampler=GreedySampler(temperature=1e7))
    expected = task.generate(inputs, stop_token_ids=None)
    monkeypatch.setattr(greedy_loop, "_LARGE", 0)
    monkeypatch.setattr(greedy_loop, "_PATIENCE", 1000)
    found = task.generate(inputs, stop_token_ids=None)
    assert (found["decoder_token_ids"] == expected["decoder_token_ids"]).all()


def test_few_columns_are_not_worth_a_copy(monkeypatch):
    task = task_of("bart")
    inputs = {key: value[:, :10] for key, value in prompts(3).items()}
    inputs["decoder_padding_mask"][:, :5] = True
    task.compile(sampler="greedy")
    monkeypatch.setattr(greedy_loop, "_LARGE", 0)
    monkeypatch.setattr(decoder.Decoder, "_quantize_head", lambda *_: pytest.fail("copied"))
    task.generate(inputs, stop_token_ids=None)


def test_a_weight_that_changes_between_two_calls_is_used(monkeypatch):
    monkeypatch.setattr(greedy_loop, "_LARGE", 0)
    task = task_of("bart")
    inputs = prompts(3)
    task.compile(sampler="greedy")
    task.generate(inputs, stop_token_ids=None)
    table = task.backbone.params["token_embedding/embeddings"]
    table[:] = table[::-1].copy()
    found = task.generate(inputs, stop_token_ids=None)
    task.compile(sampler="greedy", jit_compile=False)
    assert (found["decoder_token_ids"] == task.generate(inputs, stop_token_ids=None)["decoder_token_ids"]).all()
