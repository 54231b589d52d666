"""What each sampler may and must choose. Distributions are small enough to be worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refimpl import errors, samplers
from refimpl.samplers.ranking import cumulative, top_k
from refimpl.samplers.tests.toy import Toy, table

BY_HAND = np.array([[0.5, 0.3, 0.15, 0.05]], np.float32)


def support(sampler, probabilities, draws=300):
    """All tokens that come in many draws."""
    rows = np.repeat(np.asarray(probabilities, np.float32), draws, axis=0)
    return set(sampler.get_next_token(rows).tolist())


def distributions():
    """Rows of 2 to 12 probabilities, with ties and zeros."""
    weights = st.lists(st.integers(0, 5), min_size=2, max_size=12).filter(any)
    return weights.map(lambda w: np.array([w], np.float32) / np.float32(sum(w)))


@settings(deadline=None)
@given(distributions())
def test_greedy_takes_the_first_of_the_highest(p):
    assert samplers.GreedySampler().get_next_token(p)[0] == p[0].tolist().index(p.max())


@settings(deadline=None)
@given(distributions(), st.integers(1, 12), st.integers(0, 99))
def test_top_k_keeps_k_tokens_and_ties_go_to_low_ids(p, k, seed):
    k = min(k, p.shape[1])
    expected = sorted(range(p.shape[1]), key=lambda token: (-p[0, token], token))[:k]
    assert top_k(p, k)[1][0].tolist() == expected
    sampler = samplers.TopKSampler(k=k, seed=seed)
    assert support(sampler, p) <= {token for token in expected if p[0, token] > 0}
    assert set(np.flatnonzero(sampler.get_distribution(p)[0])) == {token for token in expected if p[0, token] > 0}


@pytest.mark.parametrize(
    ("p", "k", "expected"),
    [
        (0.0, None, {0}),
        (0.1, None, {0}),
        (0.49, None, {0}),
        (0.5, None, {0, 1}),  # exactly on the border: one more is kept
        (0.6, None, {0, 1}),
        (0.9, None, {0, 1, 2}),
        (0.999999, None, {0, 1, 2, 3}),
        (1.0, None, {0, 1, 2, 3}),
        (0.9, 1, {0}),
        (0.9, 2, {0, 1}),  # not scaled up: 0.8 is all that two tokens have
        (0.6, 3, {0, 1}),
    ],
)
def test_top_p_support(p, k, expected):
    sampler = samplers.TopPSampler(p=p, k=k, seed=1)
    assert support(sampler, BY_HAND) == expected
    assert set(np.flatnonzero(sampler.get_distribution(BY_HAND)[0])) == expected


@pytest.mark.parametrize("name", ["greedy", "random", "top_k", "top_p"])
def test_a_rows_distribution_is_its_own(name):
    sampler = type(samplers.get(name))(**{"top_k": {"k": 2}, "top_p": {"p": 0.6}}.get(name, {}))
    both = np.float32([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]])
    found = sampler.get_distribution(both)
    assert np.array_equal(found, np.concatenate([sampler.get_distribution(row[None]) for row in both]))
    assert found.sum(axis=1) == pytest.approx([1.0, 1.0], rel=1e-6)


@settings(deadline=None)
@given(distributions(), st.floats(0, 1), st.integers(0, 99))
def test_top_p_keeps_the_smallest_set_that_exceeds_p(p, threshold, seed):
    order = sorted(range(p.shape[1]), key=lambda token: (-p[0, token], token))
    mass = np.cumsum(p[0, order], dtype=np.float32)
    wanted = {order[n] for n in range(len(order)) if n == 0 or mass[n - 1] <= np.float32(threshold)}
    assert support(samplers.TopPSampler(p=threshold, seed=seed), p) <= {t for t in wanted if p[0, t] > 0}


def test_ties_on_the_border_of_top_p_go_to_low_ids():
    assert support(samplers.TopPSampler(p=0.3, seed=0), [[0.25, 0.25, 0.25, 0.25]]) == {0, 1}


def test_running_sums_are_those_of_xla():
    # jax.numpy.cumsum (JAX 0.10.2, CPU) of float32 values that no other order of additions gives
    x = (np.float32(0.1) * np.arange(1, 41, dtype=np.float32))[None] ** np.float32(2)
    exact = np.cumsum(x.astype(np.float64))
    assert cumulative(x)[0] == pytest.approx(exact, rel=1e-6)
    assert cumulative(np.ones((1, 3))).dtype == cumulative(np.ones((1, 17))).dtype == np.float32
    blocks = [np.add.accumulate(x[0, n : n + 16]) for n in (0, 16, 32)]
    sums = np.add.accumulate([block[-1] for block in blocks])
    assert (cumulative(x)[0] == np.concatenate([blocks[0], blocks[1] + sums[0], blocks[2] + sums[1]])).all()


def test_temperature_comes_first():
    # at 0.5 the distribution [.4, .3, .2, .1] becomes [16, 9, 4, 1] / 30, so that 0.62 ends at the second token
    logits = np.log(np.array([[0.4, 0.3, 0.2, 0.1]], np.float32))
    sampler = samplers.TopPSampler(p=0.62, seed=0, temperature=0.5)
    p = sampler.compute_probabilities(logits)
    assert p[0] == pytest.approx(np.array([16, 9, 4, 1]) / 30, rel=1e-6)
    assert p.dtype == np.float32
    assert support(sampler, p) == {0, 1}
    warm = samplers.TopPSampler(p=0.62, seed=0, temperature=2.0)
    assert support(warm, warm.compute_probabilities(logits)) == {0, 1, 2}


@pytest.mark.parametrize("name", ["greedy", "random", "top_k", "top_p", "beam", "contrastive"])
def test_without_an_index_the_first_column_comes_first(name):
    columns, toy, sampler = [], Toy(), samplers.get({"class_name": name, "config": _seeded(name)})

    def next(prompt, cache, index):
        columns.append(index)
        return toy.next(prompt, cache, index)

    sampler(next, np.zeros((2, 4), int), toy.cache(2), hidden_states=np.zeros((2, 4, 4)))
    assert columns[:1] == [0]


def test_steps_tell_how_many_columns_are_filled():
    prompt = np.array([[7, 0, 0, 0]])
    steps = samplers.GreedySampler().steps(table([0.1, 0.9]), prompt, None, 1, prompt == 7, None)
    assert [(filled, prompt[0, :filled].tolist()) for filled in steps] == [(n, [7] + [1] * (n - 1)) for n in (2, 3, 4)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("temperature", [0, 0.0, 1e-45, 1e-300])
@pytest.mark.parametrize("name", ["greedy", "random", "top_k", "top_p", "beam"])
def test_temperature_zero_is_the_argmax(name, temperature):
    sampler = type(samplers.get(name))(temperature=temperature)
    for highest in (0.5, 1.0, 2.0):  # the highest logit is below 0, 0 and above it
        next = table(highest * np.array([0.5, 1.0, 0.9 if temperature else 1.0, 0.7, 0.1]))
        assert sampler(next, np.zeros((3, 6), int), index=1)[:, 1:].tolist() == [[1] * 5] * 3


def test_a_row_that_overflows_leaves_the_others_alone():
    sampler = samplers.GreedySampler(temperature=1e-38)
    p = sampler.compute_probabilities(np.array([[1e5, 2e5, 3.0], [0.0, 1e-38, 0.0]]))
    assert p[0].tolist() == [0, 1, 0]
    assert p[1] == pytest.approx(np.array([1, np.e, 1]) / (2 + np.e), rel=1e-6)


@pytest.mark.parametrize("temperature", [-1, -1e-9, float("nan"), "1", None, True])
def test_a_negative_temperature_is_refused(temperature):
    with pytest.raises(errors.ConfigError, match=r"samplers.temperature.range"):
        samplers.GreedySampler(temperature=temperature)


def test_an_infinite_temperature_is_uniform():
    assert samplers.RandomSampler(temperature=float("inf")).compute_probabilities(np.array([[1, 5]]))[0].tolist() == [
        0.5,
        0.5,
    ]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("top_k", {"k": 0}),
        ("top_k", {"k": 1.0}),
        ("top_k", {"k": True}),
        ("top_p", {"p": -0.1}),
        ("top_p", {"p": 1.1}),
        ("top_p", {"p": float("nan")}),
        ("top_p", {"k": 0}),
        ("beam", {"num_beams": 0}),
        ("contrastive", {"k": 0}),
        ("contrastive", {"alpha": 2}),
        ("speculative", {"num_speculative_tokens": 0}),
        ("speculative", {"base_sampler": samplers.BeamSampler()}),
        ("speculative", {"base_sampler": samplers.RandomSampler(temperature=0.5), "temperature": 0.7}),
    ],
)
def test_settings_that_can_not_be(name, wrong):
    with pytest.raises(errors.ConfigError):
        type(samplers.get(name))(**wrong)


@pytest.mark.parametrize("sampler", [samplers.TopKSampler(k=5), samplers.TopPSampler(p=0.5, k=5)])
def test_k_over_the_vocabulary_is_refused(sampler):
    with pytest.raises(errors.ConfigError, match="vocabulary has 4 tokens"):
        sampler.get_next_token(BY_HAND)


def test_one_k_and_one_beam_are_greedy():
    toy, prompt = Toy(seed=3), np.array([[1, 0, 0, 0, 0, 0, 0, 0]])
    greedy = samplers.GreedySampler()(toy.next, prompt, toy.cache(1), 1)
    for same in (samplers.TopKSampler(k=1), samplers.BeamSampler(num_beams=1), samplers.TopPSampler(p=0.0)):
        assert (same(toy.next, prompt, toy.cache(1), 1) == greedy).all()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["random", "top_k", "top_p"]))
def test_a_seed_repeats_and_goes_on(seed, name):
    toy, prompt = Toy(seed=1), np.zeros((2, 12), int)
    make = lambda: type(samplers.get(name))(seed=seed, **({"p": 1.0} if name == "top_p" else {}))  # noqa: E731
    first, second = make(), make()
    one = first(toy.next, prompt, toy.cache(2), 1)
    assert (one == second(toy.next, prompt, toy.cache(2), 1)).all()
    assert first.seed_generator.state.tolist() == [seed, 11]
    assert (first(toy.next, prompt, toy.cache(2), 1) == second(toy.next, prompt, toy.cache(2), 1)).all()
    assert first.seed_generator.state.tolist() == [seed, 22]


def test_draws_differ_from_call_to_call():
    sampler, toy = samplers.RandomSampler(seed=4), Toy(vocabulary=50, scale=0.1)
    prompt = np.zeros((2, 12), int)
    outputs = {sampler(toy.next, prompt, toy.cache(2), 1).tobytes() for _ in range(5)}
    assert len(outputs) == 5


@pytest.mark.slow
# Probability of a false alarm 1e-9 each: chi-square with 3, 2 and 1 degrees of freedom.
@pytest.mark.parametrize(
    ("sampler", "expected", "limit"),
    [
        (samplers.RandomSampler(seed=1), [0.5, 0.3, 0.15, 0.05], 45.1),
        (samplers.TopKSampler(k=3, seed=1), [50 / 95, 30 / 95, 15 / 95, 0], 41.4),
        (samplers.TopPSampler(p=0.6, seed=1), [50 / 80, 30 / 80, 0, 0], 37.3),
    ],
)
def test_frequencies(sampler, expected, limit):
    draws = 40000
    counts = np.bincount(sampler.get_next_token(np.repeat(BY_HAND, draws, axis=0)), minlength=4)
    wanted = np.array(expected) * draws
    live = wanted > 0
    assert not counts[~live].any()
    assert ((counts[live] - wanted[live]) ** 2 / wanted[live]).sum() < limit


def test_custom_samplers():
    class Never(samplers.Sampler):
        def __init__(self, token, **kwargs):
            super().__init__(**kwargs)
            self.token = token

        def get_next_token(self, probabilities):
            allowed = np.array(probabilities)
            allowed[:, self.token] = 0
            return allowed.argmax(axis=-1)

    class Wide(samplers.Sampler):
        def get_next_token(self, probabilities):
            return probabilities

    next = table([0.4, 0.3, 0.3])
    assert Never(0, temperature=0.5)(next, np.zeros((1, 3), int), index=1).tolist() == [[0, 1, 1]]
    with pytest.raises(errors.InputError, match="shape"):
        Wide()(next, np.zeros((2, 3), int), index=1)
    with pytest.raises(NotImplementedError):
        samplers.Sampler()(next, np.zeros((2, 3), int), index=1)
    described = samplers.serialize(Never(0))
    assert described["registered_name"] == "Never"
    with pytest.raises(errors.SamplerNameError):
        samplers.deserialize(described)


@settings(deadline=None)
@given(st.integers(0, 30))
def test_prompt_columns_are_kept_and_integer_masks_are_masks(seed):
    rng, toy = np.random.default_rng(seed), Toy(seed=seed)
    prompt, lengths = rng.integers(0, 7, (3, 9)), rng.integers(1, 10, 3)
    mask = np.arange(9) < lengths[:, None]
    for name in ("greedy", "random", "top_k", "top_p", "beam", "contrastive"):
        sampler, again = (samplers.get({"class_name": name, "config": _seeded(name)}) for _ in range(2))
        states = rng.normal(size=(3, 9, 4))
        arguments = {"cache": toy.cache(3), "index": int(lengths.min()), "hidden_states": states}
        out = sampler(toy.next, prompt, mask=mask, **arguments)
        assert (out[mask] == prompt[mask]).all()
        fresh = samplers.get({"class_name": name, "config": _seeded(name)})
        of_floats = fresh(lambda p, *more: toy.next(p.astype(int), *more), prompt * 1.0, mask=mask, **arguments)
        assert (of_floats == out).all()
        stop = (int(prompt[0, 0]),)  # said in a prompt, which does not count, also if the mask holds 0 and 1
        stopped = again(toy.next, prompt, mask=mask.astype(int), stop_token_ids=stop, **arguments)
        assert (stopped[:, : lengths.min() + 1] == out[:, : lengths.min() + 1]).all()


def _seeded(name):
    return {"seed": 1} if name in ("random", "top_k", "top_p") else {}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("name", ["greedy", "random", "top_k", "top_p", "beam", "contrastive"])
def test_logits_that_are_no_numbers_make_a_warning(name, temperature):
    logits = np.zeros((2, 7), np.float32)
    sampler = samplers.get({"class_name": name, "config": {"temperature": temperature}})
    sampler.compute_probabilities(logits)  # none
    sampler.compute_probabilities(logits - np.inf)
    logits[1, 3] = np.nan
    with pytest.warns(errors.NotANumberWarning, match="refimpl inspect"):
        sampler.compute_probabilities(logits)
