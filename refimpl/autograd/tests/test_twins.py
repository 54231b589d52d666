"""Each twin of a primitive against its definition in float64, on sizes with and without a rest for vectors."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from refimpl.autograd import ops
from refimpl.autograd.blas_threads import one_thread
from refimpl.autograd.masks import Stream
from refimpl.autograd.tape import PRIMITIVES, Tape

vjp_numba = pytest.importorskip("refimpl.autograd.vjp_numba")
RNG = np.random.default_rng(11)


def normal(*shape):
    return RNG.standard_normal(shape)


def attended(rows, times, spots):
    mask = np.arange(spots) < RNG.integers(1, spots + 1, (rows, 1, times, 1))
    mask[0] = False
    return mask


def qkv(rows, times, spots, heads, depth, shared=None):
    spread = (rows, spots, shared or heads, depth)
    return normal(rows, times, heads, depth), normal(*spread), normal(*spread)


SAMPLES = {
    "linear": [
        (normal(7, 9, 20), normal(20, 3, 5), normal(3, 5)),
        (normal(90, 3, 37), normal(3, 37, 300), normal(300)),
        (normal(111, 64), normal(64, 2, 48), normal(2, 48)),
    ],
    "embed": [(normal(9, 20), RNG.integers(0, 7, (4, 6)))],
    "gelu": [(4.0 * normal(37, 11),), (np.linspace(-40.0, 40.0, 60_001),)],
    "gelu_tanh": [(4.0 * normal(37, 11),), (np.linspace(-40.0, 40.0, 60_001),)],
    "silu": [(4.0 * normal(37, 11),), (np.linspace(-40.0, 40.0, 60_001),)],
    "project": [(normal(7, 9, 20), normal(20, 15)), (normal(90, 3, 37), normal(37, 300))],
    "rms_norm": [(normal(9, 5), normal(5), 1e-6), (3.0 + normal(7, 90, 96), normal(96), 1e-6)],
    "dropout": [(normal(13, 7), 0.3, 987654321987654321), (normal(300, 200), 0.1, 5)],
    "layer_norm": [(normal(9, 5), normal(5), normal(5), 1e-5), (3.0 + normal(7, 90, 96), normal(96), normal(96), 1e-5)],
    "attention": [
        (*qkv(3, 5, 7, 2, 6), attended(3, 5, 7), None, 6**-0.5, None, 0.0, 0),
        (*qkv(3, 5, 7, 2, 6), attended(3, 1, 7), None, 6**-0.5, None, 0.3, 123456789123),
        (*qkv(3, 5, 37, 2, 64), attended(3, 5, 37), None, 0.125, None, 0.2, 9),
        (*qkv(3, 13, 17, 2, 32), attended(3, 1, 17), None, 0.2, None, 0.0, 0),
        (*qkv(8, 19, 21, 3, 32), np.tril(np.ones((19, 21), bool))[None, None], None, 0.2, None, 0.2, 77),
        (*qkv(3, 5, 7, 2, 6), attended(3, 5, 7), normal(2, 5, 7), 1.0, None, 0.3, 123456789123),
        (*qkv(3, 5, 7, 2, 6), attended(3, 1, 7), None, 1.0, None, 0.0, 0),
        (*qkv(4, 19, 21, 3, 32), attended(4, 19, 21), normal(3, 19, 21), 1.0, None, 0.1, 8),
        (*qkv(8, 19, 21, 3, 8), np.tril(np.ones((19, 21), bool))[None, None], normal(3, 19, 21), 1.0, None, 0.2, 77),
        (*qkv(3, 19, 21, 4, 32, 2), attended(3, 19, 21), normal(4, 19, 21), 0.2, 1.5, 0.1, 8),
        (*qkv(3, 5, 7, 3, 6, 1), attended(3, 1, 7), None, 0.4, None, 0.0, 0),
    ],
    "head_loss": [(normal(5, 4, 6), normal(23, 6), RNG.integers(0, 23, (5, 4)), RNG.integers(0, 3, (5, 4)) / 7.0)],
}


def run(name, args, twins, dtype):
    tape = Tape(twins)
    cast = [a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    nodes = [tape.variable(a) if isinstance(a, np.ndarray) and a.dtype == dtype else a for a in cast]
    filled = []
    if name == "head_loss":
        nodes[3] = cast[3]
        filled = [np.zeros(args[2].shape, dtype), np.zeros(args[2].shape, np.int64)]
    result = PRIMITIVES[name](*nodes, *filled)
    weights = np.random.default_rng(3).standard_normal(result.shape).astype(dtype)
    tape.backward(ops.weighted_sum(result, weights))
    return [result.value, *filled, *(node.gradient for node in nodes if hasattr(node, "gradient"))]


@pytest.mark.parametrize("name", sorted(vjp_numba.TWINS))
def test_twin_is_its_definition(name):
    for args in SAMPLES[name]:
        truth = run(name, args, None, np.float64)
        found = run(name, args, vjp_numba.TWINS, np.float32)
        for n, (expected, value) in enumerate(zip(truth, found, strict=True)):
            assert value.shape == expected.shape
            assert value.dtype == (np.int64 if expected.dtype == np.int64 else np.float32)
            scale = max(1.0, np.abs(expected).max())
            assert np.abs(value - expected).max() <= 4e-6 * scale, (name, n)


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "silu", "layer_norm", "rms_norm", "attention"])
def test_what_is_no_number_stays_no_number(name):
    args = [a.copy() if isinstance(a, np.ndarray) else a for a in SAMPLES[name][0]]
    args[0][-1] = np.nan
    if name == "attention":
        args[3] = np.ones_like(args[3])
    with np.errstate(all="ignore"):
        assert np.isnan(run(name, args, vjp_numba.TWINS, np.float32)[0][-1]).all()


def test_adam():
    weight, gradient, momentum, velocity = (normal(50, 7).astype(np.float32) for _ in range(4))
    velocity = np.abs(velocity)
    numbers = (0.01, 0.1, 0.001, 1e-7)
    w, g, m, v = (x.astype(np.float64) for x in (weight, gradient, momentum, velocity))
    m = m + (g - m) * numbers[1]
    v = v + (g * g - v) * numbers[2]
    vjp_numba.adam(weight, gradient, momentum, velocity, numbers)
    for found, expected in ((momentum, m), (velocity, v), (weight, w - m * numbers[0] / (np.sqrt(v) + numbers[3]))):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_shard_draws_the_masks_of_its_rows():
    x, rate, stream = np.ones((10, 3, 4), np.float32), 0.4, 2**40 + 9
    q, k, v = (part.astype(np.float32) for part in qkv(10, 3, 5, 2, 4))
    may = np.ones((1, 1, 1, 5), bool)
    for twins in (None, vjp_numba.TWINS):
        tape = Tape(twins)
        whole = ops.dropout(tape.variable(x), rate, Stream(stream)).value
        mixed = ops.attention(tape.variable(q), k, v, may, None, 0.5, None, rate, Stream(stream)).value
        part = Stream.at(stream, 6)
        assert np.array_equal(ops.dropout(tape.variable(x[6:]), rate, part).value, whole[6:])
        found = ops.attention(tape.variable(q[6:]), k[6:], v[6:], may, None, 0.5, None, rate, part).value
        np.testing.assert_allclose(found, mixed[6:], rtol=1e-6)


def test_blas_gets_its_threads_back_when_the_last_step_ends():
    def threads():
        return [found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"]

    before = threads()
    first, second = one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(threads()) <= {1}
    second.__exit__(None, None, None)
    assert threads() == before
