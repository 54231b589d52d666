"""Beam, contrastive and speculative: samplers that look further than one token."""

import itertools

import numpy as np
import pytest

from refimpl import errors, samplers
from refimpl.samplers.cache_rows import repeated
from refimpl.samplers.contrastive_sampler import similarity
from refimpl.samplers.ranking import top_k
from refimpl.samplers.tests.toy import Toy, table


def all_scores(toy, start, width):
    """Every continuation with its log probability, by brute force."""
    size = toy.logits.shape[-1]
    found = {}
    for tail in itertools.product(range(size), repeat=width - 1):
        row = [start, *tail]
        found[tuple(row)] = sum(np.log(p[token]) for p, token in zip(toy.distributions(row, 1), tail, strict=True))
    return found


def test_enough_beams_find_the_best_of_all():
    for seed in range(5):
        toy = Toy(vocabulary=3, seed=seed)
        scores = all_scores(toy, 1, 5)
        ranked = sorted(scores, key=lambda row: -scores[row])
        sampler = samplers.BeamSampler(num_beams=27, return_all_beams=True)
        ids, found = sampler(toy.next, np.array([[1, 0, 0, 0, 0]] * 2), toy.cache(2), 1)
        assert ids.shape == (2, 27, 5)
        assert [tuple(row) for row in ids[1, :20].tolist()] == ranked[:20]
        assert found[1, :20] == pytest.approx([scores[row] for row in ranked[:20]], rel=1e-5)
        best = samplers.BeamSampler(num_beams=27)(toy.next, np.array([[1, 0, 0, 0, 0]]), toy.cache(1), 1)
        assert (best[0] == ids[0, 0]).all()


def test_scores_are_those_of_their_tokens():
    toy = Toy(seed=8)
    ids, scores = samplers.BeamSampler(3, return_all_beams=True)(toy.next, np.full((2, 9), 4), toy.cache(2), 1)
    for row, score in zip(ids.reshape(-1, 9), scores.reshape(-1), strict=True):
        p = toy.distributions(row, 1)
        assert score == pytest.approx(np.log(p[np.arange(8), row[1:]]).sum(), rel=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert len({tuple(row) for row in ids[0].tolist()}) == 3


def test_more_beams_than_words():
    ids, scores = samplers.BeamSampler(6, return_all_beams=True)(table([0.7, 0.3]), np.zeros((1, 3), int), index=1)
    assert {tuple(row) for row in ids[0, :4].tolist()} == {(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)}
    assert scores[0, 0] == pytest.approx(2 * np.log(0.7), rel=1e-6)
    assert scores[0, 4:] == pytest.approx(-1e9, rel=1e-6)  # as KerasHub begins with


def test_finished_beams_go_on():
    # as keras_hub.samplers.BeamSampler 0.32.0 on JAX: token 1 stops, and [0, 1] alone would have the score log(0.45)
    logits = np.log(np.array([[0.55, 0.45], [0.9, 0.1]], np.float32))
    next = lambda prompt, cache, index: (logits[prompt[:, index - 1]], None, cache)  # noqa: E731
    sampler = samplers.BeamSampler(2, return_all_beams=True)
    ids, scores = sampler(next, np.array([[0, 7, 7, 7]]), index=1, stop_token_ids=(1,))
    assert ids.tolist() == [[[0, 1, 0, 0], [0, 1, 0, 1]]]
    assert scores[0] == pytest.approx(np.log([0.45 * 0.9 * 0.55, 0.45 * 0.9 * 0.45]), rel=1e-6)


def test_forced_columns_make_beams_alike():
    toy = Toy(seed=2)
    prompt = np.array([[1, 0, 0, 0], [1, 2, 3, 0]])
    mask = np.array([[1, 0, 0, 0], [1, 1, 1, 0]], bool)
    ids, scores = samplers.BeamSampler(2, return_all_beams=True)(toy.next, prompt, toy.cache(2), 1, mask)
    assert (ids[1, :, :3] == [1, 2, 3]).all()
    alone, _ = samplers.BeamSampler(2, return_all_beams=True)(toy.next, prompt[:1], toy.cache(1), 1, mask[:1])
    assert (ids[0] == alone[0]).all()
    # the score counts the model's own candidates where the prompt is forced
    p = toy.distributions([1, 2, 3, int(ids[1, 0, 3])], 1)
    assert scores[1, 0] == pytest.approx(np.log(p.max(axis=1)).sum(), rel=1e-5)


def test_ties_between_beams_go_to_the_first_beam_and_the_lowest_id():
    ids, _ = samplers.BeamSampler(3, return_all_beams=True)(table([0.25] * 4), np.zeros((1, 3), int), index=1)
    assert ids[0].tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2]]


# -- contrastive -------------------------------------------------------------------------------------------------------
def contrastive(toy, states, **kwargs):
    prompt = np.full((2, 9), 3)
    return samplers.ContrastiveSampler(**kwargs)(toy.next, prompt, toy.cache(2), 1, hidden_states=states)


def test_contrastive_without_penalty_is_greedy():
    toy, states = Toy(seed=4), np.random.default_rng(0).normal(size=(2, 9, 4))
    greedy = samplers.GreedySampler()(toy.next, np.full((2, 9), 3), toy.cache(2), 1)
    assert (contrastive(toy, states, k=4, alpha=0.0) == greedy).all()
    assert (contrastive(toy, states, k=1, alpha=0.6) == greedy).all()


def test_contrastive_by_hand():
    """Two equal candidates: the one whose state is orthogonal to what was said wins."""
    toy = Toy(vocabulary=3, states=1)
    toy.logits[:] = np.log(np.array([0.45, 0.4, 0.15], np.float32))
    toy.states[0] = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
    states = np.zeros((1, 3, 4), np.float32)
    states[0, 0] = [2, 0, 0, 0]  # like token 0
    run = lambda alpha: samplers.ContrastiveSampler(k=2, alpha=alpha)(  # noqa: E731
        toy.next, np.zeros((1, 3), int), toy.cache(1), 1, hidden_states=states
    )
    assert run(0.6).tolist() == [[0, 1, 0]]  # 1 as it is new; then both are old, and 0 is more probable
    assert run(0.04).tolist() == [[0, 0, 0]]  # 0.45 - 0.04 * (0.45 + 1) > 0.4 - 0.04 * 0.4


def test_similarity():
    history = np.array([[[3.0, 4.0], [0.0, 0.0]]])
    assert similarity(history, np.array([[[6.0, 8.0], [-3.0, -4.0], [0.0, 0.0]]]))[0] == pytest.approx([1, 0, 0])
    assert similarity(history[:, :0], np.ones((1, 2, 2))).tolist() == [[-1, -1]]


def test_contrastive_needs_hidden_states():
    with pytest.raises(errors.InputError, match="hidden_states"):
        contrastive(Toy(), None)
    with pytest.raises(ValueError, match="hidden_states"):
        samplers.ContrastiveSampler(k=2)(
            table([0.5, 0.5]), np.zeros((1, 3), int), index=1, hidden_states=np.ones((1, 3, 2))
        )


# -- speculative -------------------------------------------------------------------------------------------------------
def speculate(target, draft, prompt, mask=None, stop=None, sampler=None, index=1):
    rows = len(prompt)
    return (sampler or samplers.SpeculativeSampler(3))(
        target.next,
        prompt,
        target.cache(rows),
        index,
        mask,
        stop,
        draft_next=draft.next,
        draft_cache=draft.cache(rows),
    )


class Replayed(Toy):
    """A toy whose state comes from the prompt alone, as a position cache would: old columns may be written anew."""

    def cache(self, rows):
        return np.full((rows, 30), -1)

    def next(self, prompt, cache, index):
        self.calls += 1
        cache = cache.copy()
        cache[:, index - 1] = prompt[:, index - 1]
        assert (cache[:, :index] == prompt[:, :index]).all() or index == 1, "a column was never read, or is old"
        state = np.zeros(len(prompt), int)
        for column in range(1, index):
            state = (3 * state + cache[:, column - 1] + 1) % len(self.logits)
        return self.logits[state, cache[:, index - 1]], self.states[state, cache[:, index - 1]], cache


@pytest.mark.parametrize("seed", range(8))
def test_speculative_is_the_targets_greedy_output(seed):
    rng = np.random.default_rng(seed)
    target, draft = Replayed(seed=seed), Replayed(seed=seed + (seed % 3))  # every third draft is perfect
    lengths = rng.integers(1, 6, 3)
    mask, prompt = np.arange(14) < lengths[:, None], rng.integers(0, 7, (3, 14))
    index, stop = int(lengths.min()), (None, (2,), (3, 5))[seed % 3]
    filled = np.full((3, 30), -1)
    filled[:, :index] = prompt[:, :index]
    target.cache = draft.cache = lambda rows: filled  # noqa: ARG005
    greedy = samplers.GreedySampler()(target.next, prompt, filled, index, mask, stop)
    for count in (1, 2, 5, 20):
        out = speculate(target, draft, prompt, mask, stop, samplers.SpeculativeSampler(count), index)
        assert (out == greedy).all()
        of_floats = speculate(
            target, draft, prompt.astype(float), mask, stop, samplers.SpeculativeSampler(count), index
        )
        assert (of_floats == greedy).all()


def test_a_perfect_draft_saves_calls():
    target, draft = Replayed(seed=1), Replayed(seed=1)
    passes = []

    def verify(prompt, cache, index, k):
        passes.append(index)
        return np.stack([target.next(prompt, c, n)[0] for n, c in _columns(prompt, index, k)], axis=1), cache

    sampler = samplers.SpeculativeSampler(3)
    out = sampler(
        target.next,
        np.full((1, 13), 2),
        target.cache(1),
        1,
        draft_next=draft.next,
        draft_cache=draft.cache(1),
        verify_next=verify,
    )
    assert passes == [1, 5, 9]  # three proposals and one token of its own in each
    assert (out == samplers.GreedySampler()(target.next, np.full((1, 13), 2), target.cache(1), 1)).all()


def _columns(prompt, index, k):
    for n in range(index, index + k + 1):
        cache = np.full((len(prompt), 30), -1)
        cache[:, :n] = prompt[:, :n]
        yield n, cache


@pytest.mark.slow
@pytest.mark.parametrize(
    ("base", "settings", "expected"),
    [
        (samplers.TopKSampler, {"k": 2}, [0, 0, 3 / 7, 4 / 7]),
        pytest.param(samplers.RandomSampler, {}, [0.1, 0.2, 0.3, 0.4], marks=pytest.mark.slow),
        pytest.param(samplers.TopPSampler, {"p": 0.75}, [0, 2 / 9, 3 / 9, 4 / 9], marks=pytest.mark.slow),
        pytest.param(
            samplers.RandomSampler, {"temperature": 0.5}, np.array([1, 4, 9, 16]) / 30, marks=pytest.mark.slow
        ),
    ],
)
def test_speculative_draws_from_the_targets_distribution(base, settings, expected):
    """A draft of quite another opinion; 6 rows, as the shortest accepted run decides for all. Chi-square, 1e-9."""
    target, draft = table([0.1, 0.2, 0.3, 0.4]), table([0.45, 0.05, 0.4, 0.1])
    sampler = samplers.SpeculativeSampler(2, base_sampler=base(**settings), seed=3)
    out = sampler(target, np.zeros((6, 501), int), index=1, draft_next=draft)[:, 1:]
    assert chi_square(np.bincount(out.reshape(-1), minlength=4), expected) < 45.1
    pairs = np.bincount((out[:, :-1] * 4 + out[:, 1:]).reshape(-1), minlength=16)
    assert chi_square(pairs, np.outer(expected, expected).reshape(-1)) < 85  # one token says nothing about the next


def chi_square(counts, expected):
    """How far counts stray from a distribution; what has no probability must not have come at all."""
    wanted = np.array(expected) * counts.sum()
    assert not counts[wanted == 0].any()
    return ((counts - wanted)[wanted > 0] ** 2 / wanted[wanted > 0]).sum()


def test_one_temperature_wherever_it_is_set():
    """Also for the bits of logits that are no float32."""
    logits = np.random.default_rng(2).normal(0, 3, (9, 200))
    for name in ("random", "top_p"):
        of = type(samplers.get(name))
        outer = samplers.SpeculativeSampler(base_sampler=of(seed=1), temperature=0.7)
        inner = samplers.SpeculativeSampler(base_sampler=of(seed=1, temperature=0.7))
        assert np.array_equal(outer._distribution(logits), inner._distribution(logits))


def test_speculative_temperature():
    base = samplers.RandomSampler(temperature=0.5)
    samplers.SpeculativeSampler(base_sampler=base)
    assert base.temperature == 0.5
    logits = np.log(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32))
    half = np.array([1, 4, 9, 16]) / 30
    for sampler in (
        samplers.SpeculativeSampler(base_sampler=base),
        samplers.SpeculativeSampler(base_sampler=samplers.RandomSampler(), temperature=0.5),
        samplers.SpeculativeSampler(base_sampler=base, temperature=0.5),
    ):
        assert sampler._distribution(logits)[0] == pytest.approx(half, rel=1e-6)
    zero = samplers.SpeculativeSampler(base_sampler=samplers.RandomSampler(), temperature=0)
    assert zero._distribution(logits).tolist() == [[0, 0, 0, 1]]


def test_speculative_without_an_index_begins_with_the_first_column():
    columns, next = [], table([0.4, 0.6])
    draft = lambda prompt, cache, index: columns.append(index) or next(prompt, cache, index)  # noqa: E731
    found = samplers.SpeculativeSampler()(draft, np.zeros((1, 3), int), draft_next=next)
    assert (columns[0], found.tolist()) == (0, [[1, 1, 1]])


def test_speculative_needs_a_draft():
    with pytest.raises(ValueError, match="requires a `draft_next` callable"):
        samplers.SpeculativeSampler()(table([0.5, 0.5]), np.zeros((1, 3), int), index=1)


def test_of_many_that_are_equal_the_low_ids_are_taken():
    """A sort of few is stable in any case."""
    values = np.where(np.arange(40) % 2, 0.5, 1.0).astype(np.float32)
    assert top_k(values[None], 23)[1].tolist() == [[*range(0, 40, 2), 1, 3, 5]]


def test_a_cache_may_be_a_dictionary():
    cache = {"none": None, "keys": np.array([[1], [2]]), "parts": (np.array([3, 4]),)}
    found = repeated(cache, 2)
    assert (found["none"], found["keys"].tolist()) == (None, [[1], [1], [2], [2]])
    assert found["parts"][0].tolist() == [3, 3, 4, 4]


def test_what_the_target_never_says_is_never_accepted(monkeypatch):
    """Also where the number that is drawn is 0."""
    monkeypatch.setattr("refimpl.samplers.speculative_sampler.uniform", lambda _, shape: np.zeros(shape, np.float32))
    target, draft = table([0.4, 0.6]), table([0.6, 0.4])
    found = samplers.SpeculativeSampler()(target, np.zeros((1, 4), int), index=1, draft_next=draft)
    assert found.tolist() == [[0, 1, 1, 1]]
