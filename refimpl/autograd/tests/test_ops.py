"""Primitives against formulas that are written another way."""

import math

import numpy as np
import pytest

from refimpl.autograd import ops
from refimpl.autograd.cross_entropy import by_chunks, to_slope
from refimpl.autograd.erf import erf
from refimpl.autograd.masks import keep_mask
from refimpl.autograd.tape import Rows, Tape


def test_erf_is_math_erf():
    x = np.concatenate([np.linspace(-7, 7, 4001), [0.46875, 4.0, 1e-300, np.inf, -np.inf]])
    truth = np.array([math.erf(v) for v in x])
    np.testing.assert_array_max_ulp(erf(x), truth, 4)
    np.testing.assert_array_max_ulp(erf(x[x > 4]), truth[x > 4], 4)
    assert np.isnan(erf(np.array([np.nan])))[0]
    assert erf(np.zeros((2, 0))).shape == (2, 0)


def test_gelu_is_exact_and_not_the_tanh_form():
    x = np.array([-3.0, -0.5, 0.0, 0.7, 2.0])
    truth = [v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x]
    assert ops.gelu(x) == pytest.approx(truth, rel=1e-14)
    assert ops.gelu(x.astype(np.float32)).dtype == np.float32


def test_layer_norm_with_small_variance():
    x = np.array([[1.0, 1.001, 0.999]])
    truth = (x - 1.0) / math.sqrt(((x - 1.0) ** 2).mean() + 1e-5) * 3.0 + 0.25
    assert ops.layer_norm(x, np.full(3, 3.0), np.full(3, 0.25), 1e-5) == pytest.approx(truth, rel=1e-9)


def test_rms_norm_of_half_precision_sums_in_single():
    """The square of 300 is beyond float16."""
    x = np.full((1, 2), 300, np.float16)
    assert ops.rms_norm(x, np.ones(2, np.float16), 1e-6).tolist() == [[1.0, 1.0]]


def test_softmax_with_nothing_to_attend_is_zero():
    scores = np.array([[1e30, -5.0], [0.0, 0.0]], np.float32)
    out = ops.softmax(scores, np.array([[True, True], [False, False]]))
    assert out.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_great_logits_have_finite_slopes():
    """Where `exp` alone is infinite: the slope is `softmax - [label]`."""
    tape = Tape()
    logits = tape.variable(np.float32([[1000.0, 0.0], [-1000.0, 0.0]]))
    tape.backward(ops.cross_entropy(logits, np.array([1, 0])))
    assert logits.gradient.tolist() == [[1.0, -1.0], [-1.0, 1.0]]


def test_the_head_holds_a_chunk_of_logits_at_a_time(monkeypatch):
    """By hand: 12 logits of 6 words are two rows."""
    shapes = []

    def product(a, b):
        shapes.append((len(a), b.shape[1]))
        return a @ b

    monkeypatch.setattr("refimpl.autograd.cross_entropy.CHUNK", 12)
    x, table, labels, weights = np.ones((7, 4)), np.ones((6, 4)), np.zeros(7, int), np.ones(7)
    out = np.empty(7), np.empty(7, int)
    total, *slopes = by_chunks(x, table, labels, weights, *out, [False, False], to_slope, product)
    assert (float(total), slopes) == (pytest.approx(7 * math.log(6)), [None, None])
    assert shapes == [(2, 6), (2, 6), (2, 6), (1, 6)]


def test_linear_contracts_heads():
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.standard_normal((2, 5, 3, 4)), rng.standard_normal((3, 4, 7)), rng.standard_normal(7)
    assert ops.linear(x, kernel, bias) == pytest.approx(np.einsum("bthd,hde->bte", x, kernel) + bias)


def test_dropout_masks_of_all_streams_differ():
    """Also of streams that differ in the upper 32 bits alone."""
    masks = [keep_mask((4, 50), 0.5, stream) for stream in (0, 1, 1 << 32, 1 << 63)]
    assert len({mask.tobytes() for mask in masks}) == 4


def test_rows_of_one_id_are_added_in_their_order():
    """Another order gives other bits. There are many: a sort of few is stable in any case."""
    rng = np.random.default_rng(4)
    ids, values = rng.integers(0, 3, 3000), rng.standard_normal((3000, 2)).astype(np.float32)
    table = np.zeros((4, 2), np.float32)
    Rows(ids, values).add_to(table)
    for id in range(3):
        alone = np.zeros((4, 2), np.float32)
        Rows(ids[ids == id], values[ids == id]).add_to(alone)
        assert np.array_equal(table[id], alone[id])
        assert table[id] == pytest.approx(values[ids == id].sum(axis=0), rel=1e-4)
    assert not table[3].any()


def test_a_view_of_a_gradient_is_not_added_to_in_place():
    """`reshape` hands its own gradient on, which the other argument of the addition has too."""
    tape = Tape()
    a, b = tape.variable(np.zeros(3)), tape.variable(np.zeros((3, 1)))
    first = ops.weighted_sum(a, np.full(3, 5.0))
    tape.backward(ops.add(first, ops.weighted_sum(ops.add(ops.reshape(a, (3, 1)), b), np.ones((3, 1)))))
    assert (a.gradient.tolist(), b.gradient.tolist()) == ([6.0] * 3, [[1.0]] * 3)


def test_softmax_gives_the_same_bits_beside_padding():
    """Sums by blocks would not: a zero at the end moves the borders of the blocks."""
    scores = np.random.default_rng(1).standard_normal((50, 40)).astype(np.float32)
    alone = ops.softmax(scores[:, :21], np.ones(21, bool))
    assert np.array_equal(ops.softmax(scores, np.arange(40) < 21)[:, :21], alone)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("inputs", "outputs"), [(1, 7), (5, 3), (12, 1), (17, 33), (96, 96), (768, 130), (64, 5000)])
def test_equal_rows_give_equal_bits_wherever_they_stand(dtype, inputs, outputs):
    """What `matmul_rows` rests on: OpenBLAS's kernels for AVX2 sum equal rows of one product in different orders."""
    rng = np.random.default_rng(inputs)
    row = rng.standard_normal(inputs).astype(dtype)
    numbers = rng.standard_normal((inputs, outputs)).astype(dtype)
    for matrix in (numbers, np.asfortranarray(numbers)):
        alone = ops.matmul_rows(row, matrix)
        many = ops.matmul_rows(np.tile(row, (3, 13, 1)), matrix)
        strided = ops.matmul_rows(np.repeat(row, 2)[None, ::2], matrix)
        memory = np.zeros(inputs + 9, dtype)
        for start in range(9):
            memory[start : start + inputs] = row
            assert np.array_equal(ops.matmul_rows(memory[start : start + inputs], matrix), alone)
        assert (many == alone).all()
        assert np.array_equal(strided[0], alone)


@pytest.mark.parametrize("depth", [1, 3, 8, 17, 64])
def test_attention_gives_a_row_the_same_bits_in_any_batch(depth):
    rng = np.random.default_rng(depth)
    q, k, v = (rng.standard_normal((5, n, 3, depth)).astype(np.float32) for n in (7, 70, 70))
    scores, weights = ops.attention_scores(q, k, 0.3), rng.random((5, 3, 7, 70)).astype(np.float32)
    for length in (70, 41):
        weights[..., length:] = 0.0
        mixed = ops.attention_mix(weights, v)
        for row in range(5):
            one = slice(row, row + 1)
            for t in (slice(0, 7), slice(3, 4)):
                own = ops.attention_scores(q[one, t], k[one, :length], 0.3)
                assert np.array_equal(own, scores[one, :, t, :length])
                assert np.array_equal(ops.attention_mix(weights[one, :, t, :length], v[one, :length]), mixed[one, t])


def test_attention_with_soft_cap_and_shared_keys():
    """Each head on its own: head h of the query has key head h // 3."""
    rng = np.random.default_rng(2)
    q, k, v = rng.standard_normal((2, 3, 6, 4)), rng.standard_normal((2, 5, 2, 4)), rng.standard_normal((2, 5, 2, 4))
    may, bias = np.tril(np.ones((3, 5), bool))[None, None], rng.standard_normal((6, 3, 5))
    found = ops.attention(q, k, v, may, bias, 0.3, 0.7, 0.0, 0)
    for b in range(2):
        for h in range(6):
            scores = 0.7 * np.tanh(0.3 * q[b, :, h] @ k[b, :, h // 3].T / 0.7) + bias[h]
            weights = np.exp(scores) * may[0, 0]
            expected = weights / weights.sum(axis=1, keepdims=True) @ v[b, :, h // 3]
            np.testing.assert_allclose(found[b, :, h], expected, rtol=1e-12)


@pytest.mark.parametrize("form", [(2, None), (2, 0.5), (1, 0.5)])
def test_attention_gives_the_same_bits_beside_padding_and_other_rows(form):
    shared, cap = form
    rng = np.random.default_rng(3)
    sizes = (7, 2), (40, shared), (40, shared)
    q, k, v = (rng.standard_normal((5, *size, 8)).astype(np.float32) for size in sizes)
    whole = ops.attention(q, k, v, (np.arange(40) < 21)[None, None, None], None, 0.4, cap, 0.0, 0)
    alone = ops.attention(q[3:4], k[3:4, :21], v[3:4, :21], np.ones((1, 1, 1, 21), bool), None, 0.4, cap, 0.0, 0)
    assert np.array_equal(whole[3:4], alone)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gates_keep_their_digits_far_below_zero(dtype):
    """A norm behind them may make a gate that is nearly closed as large as any other."""
    x = np.linspace(-80.0, 80.0, 4001, dtype=dtype)
    exact = x.astype(np.longdouble)
    np.testing.assert_allclose(ops.silu(x), exact / (1 + np.exp(-exact)), rtol=4 * np.finfo(dtype).eps)
    x = x[np.abs(x) < 5.0]
    exact = x.astype(np.longdouble)
    u = np.sqrt(2 / np.longdouble(np.pi)) * (exact + np.longdouble(0.044715) * exact**3)
    relative = 4 * np.abs(u).max() * np.finfo(dtype).eps  # u is rounded as well
    np.testing.assert_allclose(ops.gelu_tanh(x), exact / (1 + np.exp(-2 * u)), rtol=float(relative))
