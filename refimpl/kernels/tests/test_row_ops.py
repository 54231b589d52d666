"""Operations on rows: their values, and the same bits at each place, in each length, on each kind of processor."""

import os
import subprocess
import sys
from math import erfc

import numpy as np
import pytest
from numba import njit

from refimpl.kernels import row_ops

RNG = np.random.default_rng(4)
TINY = np.float32(1e-5)


def called(function):
    """An entry from Python: the operations are compiled with what calls them."""

    @njit
    def call(*args):
        return function(*args)

    return call


activate, softmax, total = map(called, (row_ops.activate, row_ops.softmax, row_ops.total))
rms_norm, layer_norm = map(called, (row_ops.rms_norm, row_ops.layer_norm))


@njit
def exps(row):
    for n in range(row.size):
        row[n] = row_ops.exp(row[n])


def changed(function, row, *args):
    """What a function makes of a row in place."""
    found = np.array(row, np.float32)
    function(*args, found)
    return found


def normed(function, row, *gains):
    out = np.empty_like(row)
    function(row, *gains, TINY, out)
    return out


def activations(row):
    return [changed(activate, row, kind) for kind in range(4)] + [changed(exps, row)]


def test_each_number_has_the_same_bits_at_every_place_of_every_length():
    row = (5.0 * RNG.standard_normal(70)).astype(np.float32)
    alone = [np.concatenate(found) for found in zip(*(activations(row[n : n + 1]) for n in range(70)), strict=True)]
    two = np.where(RNG.random(70) < 0.5, np.float32(0.3), np.float32(-1.7))
    gain, shift = np.full(70, 1.7, np.float32), np.full(70, 0.1, np.float32)
    for size in range(1, 71):
        for found, expected in zip(activations(row[:size]), alone, strict=True):
            assert np.array_equal(found, expected[:size])
        for found in (
            changed(softmax, two[:size]),
            normed(rms_norm, two[:size], gain[:size]),
            normed(layer_norm, two[:size], gain[:size], shift[:size]),
        ):
            assert all(len(set(found[two[:size] == value])) <= 1 for value in set(two))


def test_numbers_that_are_hidden_at_the_end_of_a_row_change_nothing():
    for size in range(1, 40):
        row = (3.0 * RNG.standard_normal(size)).astype(np.float32)
        for more in (1, 7, 8, 19):
            found = changed(softmax, np.pad(row, (0, more), constant_values=-np.inf))
            assert np.array_equal(found[:size], changed(softmax, row))
            assert not found[size:].any()
            assert total(np.pad(row, (0, more))) == total(row)


@pytest.mark.parametrize("cpu", [("haswell", None), ("generic", ""), ("nehalem", None)], ids=lambda cpu: cpu[0])
@pytest.mark.slow
def test_bits_on_other_processors(cpu, tmp_path):
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("needs x86-64")
    settings = {"NUMBA_CPU_NAME": cpu[0], "NUMBA_CACHE_DIR": str(tmp_path)}
    settings |= {} if cpu[1] is None else {"NUMBA_CPU_FEATURES": cpu[1]}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "place or end or values"]
    subprocess.run(command, env=os.environ | settings, check=True, stdout=subprocess.DEVNULL)


def test_values():
    x = np.linspace(-30.0, 30.0, 20_001).astype(np.float32)
    wide = x.astype(np.float64)
    below = np.array([erfc(-v / np.sqrt(2.0)) / 2.0 for v in wide])
    u = np.sqrt(2.0 / np.pi) * (wide + 0.044715 * wide**3)
    expected = [np.maximum(wide, 0.0), wide * below, wide * (1.0 + np.tanh(u)) / 2.0, wide / (1.0 + np.exp(-wide))]
    for found, truth in zip(activations(x), [*expected, np.exp(wide)], strict=True):
        assert (np.abs(found - truth) <= 5e-7 * np.maximum(0.1, np.abs(truth))).all()
    weights = np.exp(wide - wide.max())
    np.testing.assert_allclose(changed(softmax, x), weights / weights.sum(), rtol=3e-6, atol=1e-9)
    gain, shift = RNG.standard_normal((2, x.size)).astype(np.float32)
    truth = (wide - wide.mean()) / np.sqrt(wide.var() + 1e-5) * gain + shift
    np.testing.assert_allclose(normed(layer_norm, x, gain, shift), truth, atol=3e-6)
    np.testing.assert_allclose(
        normed(rms_norm, x, gain), wide / np.sqrt(np.square(wide).mean() + 1e-5) * gain, atol=3e-6
    )


def test_what_is_no_number_stays_no_number_and_nothing_to_attend_gives_zeros():
    row = np.array([1.0, np.nan, 0.5], np.float32)
    assert all(np.isnan(found[1]) for found in activations(row))
    assert np.isnan(changed(softmax, row)).all()
    assert not changed(softmax, np.full(5, -np.inf)).any()
    assert changed(exps, [-100.0, -np.inf, 0.0]).tolist() == [0.0, 0.0, 1.0]
