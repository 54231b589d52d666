"""Every primitive against central differences, and a whole BART against PyTorch in float64."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from refimpl.autograd import ops
from refimpl.autograd.dropout import Dropout
from refimpl.autograd.tape import PRIMITIVES, Node, Tape
from refimpl.models import BartBackbone
from refimpl.models.weights import Scope

GOLDEN = Path(__file__).parents[3] / "golden" / "training" / "steps" / "bart_gradients.safetensors"
RNG = np.random.default_rng(7)
MASK = np.array([[True, True, False, True, False], [False] * 5])[:, None, None, :]


def normal(*shape):
    return RNG.standard_normal(shape)


def qkv(heads=2, shared=2):
    return normal(2, 3, heads, 4), normal(2, 5, shared, 4), normal(2, 5, shared, 4)


# For each primitive one or more lists of arguments. Float arrays are varied, everything else is kept.
SAMPLES = {
    "linear": [(normal(2, 3, 4), normal(4, 2, 5), normal(2, 5)), (normal(3, 2, 5), normal(2, 5, 4), normal(4))],
    "embed": [(normal(6, 3), np.array([[1, 4, 1], [0, 1, 5]])), (normal(4, 3), np.arange(2))],
    "unembed": [(normal(2, 3, 4), normal(7, 4))],
    "add": [(normal(2, 3, 4), normal(3, 4)), (normal(2, 3), normal(2, 3)), (normal(2, 1, 3), normal(2, 4, 3))],
    "layer_norm": [(normal(3, 5), 2.0 + normal(5), normal(5), 1e-5), (1e-2 * normal(3, 5), normal(5), normal(5), 1e-5)],
    "gelu": [(4.0 * normal(3, 40),)],
    "dropout": [(normal(30, 4), 0.3, 99)],
    "attention": [
        (*qkv(), MASK, None, 0.5, None, 0.0, 0),
        (*qkv(), MASK, normal(2, 3, 5), 1.0, None, 0.4, 12345),
        (*qkv(), MASK, normal(2, 3, 5), 0.7, 1.5, 0.4, 12345),
        (*qkv(heads=6, shared=2), MASK, normal(6, 3, 5), 0.5, 0.8, 0.4, 12345),
        (*qkv(heads=3, shared=1), MASK, None, 0.5, None, 0.0, 0),
    ],
    "project": [(normal(2, 3, 4), normal(4, 5))],
    "rms_norm": [(normal(3, 5), 2.0 + normal(5), 1e-6), (3.0 + 1e-3 * normal(2, 2, 5), normal(5), 1e-2)],
    "relu": [(normal(3, 7),)],
    "gelu_tanh": [(4.0 * normal(3, 7),)],
    "rotate": [(normal(2, 3, 2, 4), np.cos(normal(3, 2)).astype("f4"), np.sin(normal(3, 2)).astype("f4"))],
    "rotate_pairs": [(normal(2, 3, 2, 5), np.cos(normal(3, 2)).astype("f4"), np.sin(normal(3, 2)).astype("f4"))],
    "windows": [(normal(2, 9, 3), 4, 2), (normal(1, 10, 2), 3, 4), (normal(2, 3, 1), 3, 1)],
    "swiglu": [(3.0 * normal(2, 3, 8),)],
    "silu": [(6.0 * normal(3, 7),)],
    "soft_cap": [(normal(3, 7), 0.8)],
    "multiply": [(normal(2, 3, 4), normal(2, 3, 4)), (normal(2, 3), np.float64(0.3)), (normal(2, 1, 3), normal(4, 3))],
    "reshape": [(normal(2, 6), (2, 3, 2))],
    "transpose": [(normal(2, 3, 4), (2, 0, 1)), (normal(2, 5), (1, 0))],
    "cross_entropy": [(3.0 * normal(2, 3, 6), np.array([[0, 5, 2], [1, 1, 4]]))],
    "weighted_sum": [(normal(2, 3), np.array([[1, 0, 2], [3, 1, 0]]))],
    "head_loss": [
        (normal(2, 3, 4), normal(6, 4), np.array([[5, 0, 2], [2, 2, 1]]), np.array([[1, 2, 0], [0, 3, 1]]), None, None)
    ],
}


def evaluated(name, args):
    if name == "head_loss":  # its last two arguments are filled in
        args = (*args[:4], np.zeros(args[2].shape), np.zeros(args[2].shape, int))
    return PRIMITIVES[name](*args)


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_primitive_agrees_with_central_differences(name):
    for args in SAMPLES[name]:
        varied = [n for n, arg in enumerate(args) if isinstance(arg, np.ndarray) and arg.dtype == np.float64]
        tape = Tape()
        nodes = [tape.variable(arg) if n in varied else arg for n, arg in enumerate(args)]
        result = evaluated(name, nodes)
        np.testing.assert_allclose(result.value, evaluated(name, args), rtol=1e-12, atol=1e-14)
        weights = normal(*result.shape)
        tape.backward(ops.weighted_sum(result, weights))
        for n in varied:
            expected = central_differences(lambda a, w=weights: (evaluated(name, a) * w).sum(), list(args), n)
            np.testing.assert_allclose(nodes[n].gradient, expected, rtol=1e-8, atol=1e-9, err_msg=f"argument {n}")


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_what_else_is_wanted_changes_no_gradient(name):
    """Each argument alone, as where all other weights are frozen."""
    for args in SAMPLES[name]:
        varied = [n for n, arg in enumerate(args) if isinstance(arg, np.ndarray) and arg.dtype == np.float64]

        def gradients_of(wanted, args=args, varied=varied):
            tape = Tape()
            held = [tape.constant(arg) if n in varied else arg for n, arg in enumerate(args)]
            nodes = [tape.variable(arg) if n in wanted else held[n] for n, arg in enumerate(args)]
            result = evaluated(name, nodes)
            tape.backward(ops.weighted_sum(result, np.cos(np.arange(result.value.size)).reshape(result.shape)))
            return [nodes[n].gradient for n in wanted]

        for n, expected in zip(varied, gradients_of(varied), strict=True):
            np.testing.assert_array_equal(gradients_of([n])[0], expected, err_msg=f"argument {n}")


def central_differences(f, args, n, width=1e-4):
    """Of two widths, so that the error falls with the fourth power."""
    out = np.empty_like(args[n])
    for place in np.ndindex(out.shape):
        ends = []
        for steps in (-2, -1, 1, 2):
            moved = args[n].copy()
            moved[place] += steps * width
            ends.append(f([*args[:n], moved, *args[n + 1 :]]))
        out[place] = (8.0 * (ends[2] - ends[1]) - (ends[3] - ends[0])) / (12.0 * width)
    return out


def bart(dropout=0.0):
    """The model, batch and expectations of the golden file."""
    with safe_open(GOLDEN, "numpy") as file:
        config = json.loads(file.metadata()["about"])["config"] | {"dropout": dropout}
        arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    backbone = BartBackbone(**config, dtype="float64")
    backbone.params = {name: arrays[f"weight/{name}"] for name in backbone.params}
    batch = {key.removeprefix("batch/"): value for key, value in arrays.items() if key.startswith("batch/")}
    return backbone, batch, arrays


def loss_of(backbone, weights, batch, drop=None):
    scope = Scope(weights)
    states = backbone.forward(scope, batch, drop or Dropout())["decoder_sequence_output"]
    share = batch["weights"] / batch["weights"].size
    out = np.zeros(share.shape), np.zeros(share.shape, int)
    return ops.head_loss(*backbone.head(scope, states), batch["labels"], share, *out)


def gradients(backbone, batch, drop=None, frozen=()):
    tape = Tape()
    nodes = {k: tape.constant(v) if k in frozen else tape.variable(v) for k, v in backbone.params.items()}
    loss = loss_of(backbone, nodes, batch, drop)
    tape.backward(loss)
    return loss.value, {name: node.gradient for name, node in nodes.items()}


def test_every_gradient_of_bart_is_pytorchs():
    backbone, batch, golden = bart()
    loss, found = gradients(backbone, batch)
    assert loss == pytest.approx(golden["loss"][0], rel=1e-12)
    assert sum(name.startswith("gradient/") for name in golden) == len(found)
    for name, gradient in found.items():
        expected = golden[f"gradient/{name}"]
        # A key's bias moves all scores of a row alike, so its gradient is zero up to rounding.
        scale = np.abs(expected).max() if not name.endswith("/key/bias") else 1.0
        assert np.abs(gradient - expected).max() <= 1e-10 * scale, name


def test_logits_from_the_tape_are_pytorchs():
    backbone, batch, golden = bart()
    tape = Tape()
    scope = Scope({name: tape.constant(array) for name, array in backbone.params.items()})
    logits = backbone.logits(scope, backbone.forward(scope, batch)["decoder_sequence_output"])
    np.testing.assert_allclose(logits.value, golden["logits"], rtol=1e-10, atol=1e-12)


def test_logits_and_loss_as_two_primitives_give_the_fused_gradients():
    backbone, batch, golden = bart()
    tape = Tape()
    nodes = {name: tape.variable(array) for name, array in backbone.params.items()}
    scope = Scope(nodes)
    logits = backbone.logits(scope, backbone.forward(scope, batch)["decoder_sequence_output"])
    each = ops.cross_entropy(logits, batch["labels"])
    tape.backward(ops.weighted_sum(each, batch["weights"] / batch["weights"].size))
    expected = golden["gradient/token_embedding/embeddings"]
    np.testing.assert_allclose(nodes["token_embedding/embeddings"].gradient, expected, rtol=1e-9, atol=1e-13)


def test_chunks_of_the_head_change_nothing_but_rounding(monkeypatch):
    backbone, batch, golden = bart()
    monkeypatch.setattr("refimpl.autograd.cross_entropy.CHUNK", 80)
    loss, found = gradients(backbone, batch)
    assert loss == pytest.approx(golden["loss"][0], rel=1e-12)
    expected = golden["gradient/token_embedding/embeddings"]
    np.testing.assert_allclose(found["token_embedding/embeddings"], expected, rtol=1e-9, atol=1e-13)


def test_gradients_with_dropout_agree_with_central_differences():
    backbone, batch, _ = bart(dropout=0.3)
    _, found = gradients(backbone, batch, Dropout(0.3, seed=5))
    table = found["token_embedding/embeddings"]
    for name, place in [("token_embedding/embeddings", (11, 4)), ("encoder_position_embedding/embeddings", (2, 1))]:
        ends = []
        for step in (1e-5, -1e-5):
            moved = backbone.params[name].copy()
            moved[place] += step
            weights = backbone.params | {name: moved}
            ends.append(loss_of(backbone, weights, batch, Dropout(0.3, seed=5)))
        assert found[name][place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-9)
    assert not np.array_equal(table, gradients(backbone, batch, Dropout(0.3, seed=6))[1]["token_embedding/embeddings"])


def test_rows_of_padding_have_finite_gradients():
    backbone, batch, _ = bart()
    for side in ("encoder", "decoder"):
        batch[f"{side}_padding_mask"][1] = False
    loss, found = gradients(backbone, batch)
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in found.values())


def test_constants_get_no_gradient_and_change_no_other():
    backbone, batch, _ = bart()
    frozen = [name for name in backbone.params if name.startswith(("encoder", "transformer_encoder"))]
    _, all_of_them = gradients(backbone, batch)
    _, found = gradients(backbone, batch, frozen=frozen)
    for name, gradient in found.items():
        if name in frozen:
            assert gradient is None
        else:
            assert np.array_equal(gradient, all_of_them[name]), name


def test_steps_on_constants_alone_are_not_written_down():
    tape = Tape()
    node = ops.gelu(ops.linear(tape.constant(normal(2, 3)), tape.constant(normal(3, 4)), tape.constant(normal(4))))
    assert isinstance(node, Node)
    assert not tape._steps


def test_backward_forgets_what_it_has_used():
    tape = Tape()
    x = tape.variable(normal(2, 3))
    tape.backward(ops.gelu(ops.add(x, x)))
    assert not tape._steps
    assert x.gradient is not None


def test_dropout_keeps_the_share_and_the_mean():
    x = np.ones((400, 500))
    y = ops.dropout(x, 0.1, Dropout(0.1, seed=3).stream())
    assert set(np.unique(y)) == {0.0, 1.0 / 0.9}
    assert (y == 0.0).mean() == pytest.approx(0.1, abs=0.003)
    assert np.abs(np.corrcoef(y[:, :-1].ravel(), y[:, 1:].ravel())[0, 1]) < 0.01


def test_places_and_seeds_draw_different_masks():
    x = np.ones(4000)
    drop = Dropout(0.5, seed=1)
    masks = [drop(x), drop(x), Dropout(0.5, seed=2)(x)]
    for n, mask in enumerate(masks):
        for other in masks[n + 1 :]:
            assert (mask == other).mean() == pytest.approx(0.5, abs=0.05)
    assert np.array_equal(Dropout(0.5, seed=1)(x), masks[0])


def test_two_nodes_never_share_one_gradient():
    """Both arguments of an addition get the same array; what is added to one must not reach the other."""
    tape = Tape()
    a, b = tape.variable(np.zeros(3)), tape.variable(np.zeros(3))
    tape.backward(ops.add(ops.add(a, b), a))
    assert (a.gradient.tolist(), b.gradient.tolist()) == ([2, 2, 2], [1, 1, 1])


def test_rows_of_a_table_are_added_to_a_copy():
    tape = Tape()
    table, other = tape.variable(np.zeros((4, 2))), tape.variable(np.zeros((4, 2)))
    rows = ops.weighted_sum(ops.embed(table, np.array([1, 1])), np.ones((2, 2)))  # comes last on the way back
    whole = ops.weighted_sum(ops.add(table, other), np.ones((4, 2)))
    tape.backward(ops.add(rows, whole))
    assert table.gradient.tolist() == [[1, 1], [3, 3], [1, 1], [1, 1]]
    assert other.gradient.tolist() == [[1, 1]] * 4


def test_a_head_that_no_row_counts_for_gets_zeros():
    tape, labels = Tape(), np.array([[5, 0, 2]])
    table = tape.variable(normal(6, 4))
    out = np.zeros(labels.shape), np.zeros(labels.shape, int)
    tape.backward(ops.head_loss(tape.constant(normal(1, 3, 4)), table, labels, np.zeros(labels.shape), *out))
    assert np.array_equal(table.gradient, np.zeros((6, 4)))


def test_a_row_is_dropped_alike_in_every_shard():
    x = np.ones((6, 5, 4))
    whole = Dropout(0.5, seed=3)(x)
    for first in (0, 2, 5):
        assert np.array_equal(Dropout(0.5, seed=3).of_rows_from(first)(x[first:]), whole[first:])
