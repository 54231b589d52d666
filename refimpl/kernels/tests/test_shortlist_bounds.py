"""What keeps a short list exact: tables on which each part of an error's bound, and each margin, is used up."""

import numpy as np
import pytest

from refimpl.kernels.tests.head import UNSURE, Head, check

WIDTH = 128
SIGNS = np.where(np.arange(WIDTH) % 2, 1.0, -1.0)


def head_errs():
    """The first line's error lies along the state, so that its estimate is too low by |x| |w - c|, but for a hundredth.

    The second line, which is copied without an error, has a score below it by a tenth of that.
    """
    state = np.ones(WIDTH)
    line = np.concatenate([[31.5], np.full(WIDTH - 1, 0.99)])  # 0.99 is copied as 0.5
    rival = np.concatenate([[31.5], np.full(56, 1.5), np.full(WIDTH - 57, 0.5)])
    return state, line, rival, 0.49 * (WIDTH - 1)


def state_errs():
    """The state's error lies along the first line, so that its estimate is too low by |x - u g| |c|."""
    state = np.concatenate([[127.0], 1.49 * SIGNS[1:]])  # 1.49 is rounded to 1
    line = 31.5 * SIGNS
    line[0] = 31.5
    error = 0.49 * 31.5 * (WIDTH - 1)
    return state, line, np.eye(WIDTH)[0] * (state @ line - 0.1 * error) / 127, error


# Factors of the table and of the states whose squares are too small for float32, and ones of other sizes.
FACTORS = [(1, 1), (1e-25, 1), (1, 1e-23), (1e12, 1e12), (1e17, 1), (1, 1e17)]


@pytest.mark.parametrize(("table_factor", "state_factor"), FACTORS)
@pytest.mark.parametrize("make", [head_errs, state_errs])
def test_a_token_whose_estimate_errs_most_is_found(make, table_factor, state_factor):
    state, line, rival, error = make()
    assert 0 < state @ line - state @ rival < 0.2 * error
    table = np.random.default_rng(0).uniform(0, 0.01, (64, WIDTH))  # so few that all may be candidates
    table[5], table[50] = rival, line
    for team in (1, 2):
        head = Head(table * table_factor, team)
        found, right, _ = head.choices(state[None] * state_factor, temperature=0.0)
        assert right == 50
        check(found, right)
        assert found == 50 or state_factor != 1  # states beyond the limits have no bounds: the choice is left open
        if table_factor == state_factor == 1:  # or the test would show nothing
            estimates = head.bounds(state[None])[0][0]
            assert state @ line - estimates[50] > 0.95 * error
            assert estimates[5] > estimates[50] + 0.8 * error


def test_rounding_of_the_scores_is_in_the_bound():
    """Sums round up 62 times in each lane, each time by nearly half of the last bit of a large number that goes again.

    So the first line's score is 0.24 too high; the second line's, which has no such number, lies halfway between.
    """
    unit = np.float32(2 * 1229.51 / 2048)  # half of it, and 1229.51 times the last bit of 127 * 31.5 * unit
    state = np.concatenate([np.full(16, 127), np.ones(992), np.full(16, 127)]).astype(np.float32) * unit
    line = np.concatenate([np.full(16, 31.5), np.full(992, 0.5), np.full(16, -31.5)])
    exact = state.astype(float) @ line
    table = np.random.default_rng(0).uniform(0, 0.001, (96, 1024))
    table[70], table[5] = line, (exact + 0.12) / state.astype(float).sum()
    found, right, scores = Head(table).choices(state[None], temperature=0.0)
    assert scores[0, 70] > exact + 0.2
    assert abs(scores[0, 5] - exact - 0.12) < 0.01
    assert found == right == 70


@pytest.mark.parametrize("pair", [(7, 9), (9, 7), (7, 300), (300, 7)])
@pytest.mark.parametrize("nearness", [0.0, 4e-7])
def test_two_scores_that_are_nearly_equal_leave_the_choice_open(pair, nearness):
    """In one thread's tokens, in those of two, and whichever is the higher one."""
    rng = np.random.default_rng(0)
    table, state = rng.normal(size=(320, 64)), rng.normal(size=64)
    table[list(pair)] = 10 * np.outer([1, 1 + nearness], state)
    head = Head(table, team=2)
    found, right, scores = head.choices(state[None])
    assert set(scores[0].argsort()[-2:]) == set(pair)
    assert found == right == UNSURE
    table[pair[1]] *= 0.999
    found, right, _ = Head(table, team=2).choices(state[None])
    assert found == right == pair[0]


@pytest.mark.parametrize(("temperature", "sure"), [(0.0, True), (1.0, True), (1e4, False), (1e-39, False)])
def test_the_temperature_says_how_near_is_near(temperature, sure):
    """A high one makes 1 and 0.995 nearly equal, by a very low one 1 becomes infinite: then the choice is open."""
    table = np.full((96, WIDTH), -1.0)
    table[60], table[70] = 0.995 / WIDTH, 1 / WIDTH  # in one thread, whose own best says what is near
    found, right, _ = Head(table).choices(np.ones((1, WIDTH)), temperature)
    assert found == right == (70 if sure else UNSURE)
