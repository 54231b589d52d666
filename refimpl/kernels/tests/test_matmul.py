"""Products against NumPy in float64, and the order of their sums."""

import numpy as np
import pytest

from refimpl.kernels.matmul import matmul, unembed
from refimpl.kernels.weights import Dense

SIZES = [(1, 1), (3, 5), (8, 16), (9, 17), (16, 513), (77, 50), (768, 40)]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def product(function, x, weight, out_width, first=0, stop=None):
    out = np.full((len(x), out_width), np.nan, np.float32)
    function(x, weight, out, first, out_width if stop is None else stop)
    return out


def exact(x, weight, bias=0.0):
    """The product in float64, and how far float32 may be from it: some units in the last place of the sum of sizes."""
    truth = x.astype(np.float64) @ weight + bias
    return truth, 2e-7 * (np.abs(x).astype(np.float64) @ np.abs(weight) + np.abs(bias)) * np.sqrt(x.shape[1])


@pytest.mark.parametrize("rows", [1, 2, 3, 8])
@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_products_are_exact_to_float32(inputs, outputs, rows):
    x, weight, bias = numbers(rows, inputs), numbers(inputs, outputs, seed=1), numbers(outputs, seed=2)
    for dense, add in ((Dense(weight, bias), bias), (Dense(weight), 0.0)):
        truth, near = exact(x, weight.astype(np.float64), add)
        assert (np.abs(product(matmul, x, dense, outputs) - truth) <= near + 1e-30).all()
    truth, near = exact(x, weight.astype(np.float64))
    assert (np.abs(product(unembed, x, np.ascontiguousarray(weight.T), outputs) - truth) <= near + 1e-30).all()


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_an_element_has_the_same_bits_beside_others(inputs, outputs):
    """Any row of any number of rows, any part of the columns, and equal columns at every place."""
    x, weight = numbers(7, inputs), numbers(inputs, outputs, seed=1)
    weight[:] = weight[:, :1]
    x[:] = x[:1]
    for function, given in ((matmul, Dense(weight)), (unembed, np.ascontiguousarray(weight.T))):
        whole = product(function, x, given, outputs)
        assert (whole == whole[0, 0]).all()
        for rows in (1, 2, 4):
            assert (product(function, x[:rows], given, outputs) == whole[0, 0]).all()
        for first in range(0, outputs, 16):
            part = product(function, x, given, outputs, first, min(first + 16, outputs))
            assert (part[:, first : first + 16] == whole[0, 0]).all()
            assert np.isnan(part[:, :first]).all()
