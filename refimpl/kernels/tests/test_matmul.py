"""Products against NumPy in float64, and the order of their sums."""

import numpy as np
import pytest

from refimpl.kernels.matmul import matmul
from refimpl.kernels.weights import Dense

SIZES = [(1, 1), (3, 5), (8, 16), (9, 17), (16, 513), (77, 50), (768, 40)]
ROWS = [1, 2, 3, 8, 33, 70]


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def product(x, dense, first=0, stop=None):
    out = np.full((len(x), len(dense.kernel)), np.nan, np.float32)
    matmul(x, dense, out, first, len(dense.kernel) if stop is None else stop)
    return out


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_products_are_exact_to_float32(inputs, outputs, rows):
    """Near is some units in the last place of the sum of sizes."""
    x, weight, bias = numbers(rows, inputs), numbers(outputs, inputs, seed=1), numbers(outputs, seed=2)
    for dense, add in ((Dense(weight, bias), bias), (Dense(weight), 0.0)):
        truth = x.astype(np.float64) @ weight.T + add
        near = 2e-7 * (np.abs(x).astype(np.float64) @ np.abs(weight.T) + np.abs(add)) * np.sqrt(inputs)
        assert (np.abs(product(x, dense) - truth) <= near + 1e-30).all()


@pytest.mark.parametrize(("inputs", "outputs"), SIZES)
def test_an_element_has_the_same_bits_beside_others(inputs, outputs):
    """Any row of any number of rows, any part of the columns, and equal columns at every place."""
    x, weight = numbers(70, inputs), numbers(outputs, inputs, seed=1)
    weight[:] = weight[:1]
    x[:] = x[:1]
    whole = product(x, Dense(weight))
    assert (whole == whole[0, 0]).all()
    for rows in ROWS:
        assert (product(x[:rows], Dense(weight)) == whole[0, 0]).all()
    for first in range(0, outputs, 16):
        part = product(x, Dense(weight), first, min(first + 16, outputs))
        assert (part[:, first : first + 16] == whole[0, 0]).all()
        assert np.isnan(part[:, :first]).all()
