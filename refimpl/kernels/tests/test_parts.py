"""The parts of a step, against float64: functions, products with remainders, and what is not a number."""

import math

import numpy as np
import pytest
from numba import njit

from refimpl.kernels import few, functions, linear, rows
from refimpl.kernels.linear import share
from refimpl.kernels.unembed import unembed
from refimpl.kernels.vector import load, store


@njit(nogil=True)
def exp_and_erf(x, exps, erfs, size):
    for i in range(0, size, 16):
        store(exps, i, functions.exp(load(x, i)))
        store(erfs, i, functions.erf(load(x, i)))


@njit(nogil=True)
def product(x, size, inputs, kernel, bias, outputs, first, end, y, panel):
    linear.product(x, size, inputs, kernel, bias, outputs, first, end, y, panel)


@njit(nogil=True)
def few_columns(x, size, inputs, kernel, bias, outputs, first, end, y, room):
    few.columns_product(x, size, inputs, kernel, bias, outputs, first, end, y, room)


def units_shared_by(team):
    """Whole groups of parts, or single parts, as so many threads share them."""

    @njit(nogil=True)
    def units_added(x, size, inputs, kernel, bias, outputs, first, end, y, room):
        units, parts = few.units_of(inputs, 1, team)
        step = size * few.padded(outputs) * 4
        for n in range(0, units * parts, parts):
            few.unit_product(x, size, inputs, kernel, outputs, n, parts, room + n * step, room + units * parts * step)
        for r in range(size):
            few.add_units(room, size, inputs, outputs, bias, parts, r, first, end, y + r * outputs * 4)

    return units_added


WAYS = (product, few_columns, units_shared_by(1), units_shared_by(3))


@njit(nogil=True)
def scores(x, size, width, table, tokens, first, end, y):
    unembed(x, size, width, table, tokens, first, end, y)


@njit(nogil=True)
def attended(query, slots, count, keys, values, depth, spare, out):
    scale = np.float32(1.0 / math.sqrt(depth))
    rows.attend(query, slots, 0, count, 1, keys, values, depth, 1, depth, spare, 16, 0, 0, out, scale)


def place(array):
    return array.ctypes.data


def test_functions_are_as_exact_as_float32():
    x = np.concatenate([np.linspace(-110, 100, 160_000), np.linspace(-5, 5, 160_000)]).astype(np.float32)
    exps, erfs = np.empty_like(x), np.empty_like(x)
    exp_and_erf(place(x), place(exps), place(erfs), x.size)
    with np.errstate(over="ignore"):
        truth = np.exp(x.astype(np.float64))
    normal = (x > -86.9) & (x < 88.7)
    assert (np.abs(exps - truth)[normal] <= 2 * np.spacing(truth[normal].astype(np.float32))).all()
    assert (exps[x < -86.9] == 0).all()
    assert np.isinf(exps[x > 88.8]).all()
    assert np.abs(erfs - np.array([math.erf(v) for v in x.tolist()])).max() <= 6e-8


def test_functions_keep_what_is_not_a_number():
    x = np.full(16, 0.0, np.float32)
    x[:4] = np.nan, np.inf, -np.inf, -0.0
    exps, erfs = np.empty_like(x), np.empty_like(x)
    exp_and_erf(place(x), place(exps), place(erfs), 16)
    assert np.isnan(exps[0])
    assert exps[1:5].tolist() == [np.inf, 0, 1, 1]
    assert np.isnan(erfs[0])
    assert erfs[1:5].tolist() == [1, -1, 0, 0]


@pytest.mark.parametrize("size", [1, 2, 4, 7, 8, 16, 33])
@pytest.mark.parametrize(
    ("inputs", "outputs"), [(1, 1), (7, 17), (8, 16), (50, 77), (130, 200), (203, 96), (33, 1040), (900, 50)]
)
def test_products(size, inputs, outputs):
    """Against float64; every part of the columns, every way and every row alone gives the same bits."""
    rng = np.random.default_rng(size)
    x, kernel = rng.standard_normal((size, inputs), np.float32), rng.standard_normal((inputs, outputs), np.float32)
    bias, y, room = rng.standard_normal(outputs, np.float32), np.zeros((size, outputs), np.float32), np.zeros(300_000)
    weights = size, inputs, place(kernel), place(bias), outputs
    product(place(x), *weights, 0, outputs, place(y), place(room))
    truth = x.astype(np.float64) @ kernel + bias
    assert np.abs(y - truth).max() <= 1e-6 * (1 + np.sqrt(inputs)) * 4
    for team in (1, 2, 3):
        for way in WAYS:
            found = np.zeros_like(y)
            for rank in range(team):
                way(place(x), *weights, *share.py_func(outputs, 16, rank, team), place(found), place(room))
            assert (found == y).all()
    last, alone = x[-1:].copy(), np.zeros((1, outputs), np.float32)
    for way in WAYS:
        way(place(last), 1, *weights[1:], 0, outputs, place(alone), place(room))
        assert (alone[0] == y[-1]).all()


@pytest.mark.parametrize("size", [1, 2, 4, 5, 9])
@pytest.mark.parametrize(("width", "tokens"), [(1, 1), (7, 17), (16, 8), (50, 77), (130, 203)])
def test_scores(size, width, tokens):
    """Against float64; every row alone gives the same bits."""
    rng = np.random.default_rng(size)
    x, table = rng.standard_normal((size, width), np.float32), rng.standard_normal((tokens, width), np.float32)
    found, alone = np.zeros((size, tokens), np.float32), np.zeros((1, tokens), np.float32)
    scores(place(x), size, width, place(table), tokens, 0, tokens, place(found))
    assert np.abs(found - x.astype(np.float64) @ table.T).max() <= 1e-6 * (1 + np.sqrt(width)) * 4
    last = x[-1:].copy()
    scores(place(last), 1, width, place(table), tokens, 0, tokens, place(alone))
    assert (alone[0] == found[-1]).all()


@pytest.mark.parametrize("depth", [3, 16, 50, 64, 150])
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 100])
def test_attention(depth, count):
    rng = np.random.default_rng(count)
    query, keys = rng.standard_normal(depth, np.float32), rng.standard_normal((count + 1, depth), np.float32)
    values, out = rng.standard_normal((count + 1, depth), np.float32), np.full(depth, 9, np.float32)
    slots, spare = np.zeros((1, count + 1), np.int64), np.full(count + 16, 9, np.float32)
    attended(place(query), slots, count, place(keys), place(values), depth, place(spare), place(out))
    if not count:
        assert (out == 0).all()  # nothing to attend to
        return
    logits = keys[:count].astype(np.float64) @ query / np.sqrt(depth)
    weights = np.exp(logits - logits.max())
    assert np.abs(out - weights / weights.sum() @ values[:count]).max() < 2e-6
    keys[count // 2] = np.nan
    attended(place(query), slots, count, place(keys), place(values), depth, place(spare), place(out))
    assert np.isnan(out).all()  # no fastmath flag that would let a NaN get lost


def test_shares_cover_everything_once():
    for size in (0, 1, 15, 16, 17, 100, 768):
        for team in (1, 2, 3, 7):
            parts = [share.py_func(size, 16, rank, team) for rank in range(team)]
            assert parts[0][0] == 0
            assert parts[-1][1] == size
            assert all(end == first for (_, end), (first, _) in zip(parts, parts[1:], strict=False))
