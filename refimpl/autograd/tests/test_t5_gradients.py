"""A whole T5 against PyTorch in float64: 1.0 beyond the maximal distance, and 1.1 with gates and a head of its own."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from refimpl.autograd.dropout import Dropout
from refimpl.autograd.tape import Tape
from refimpl.autograd.tests.test_gradients import gradients, loss_of
from refimpl.models import T5Backbone

GOLDEN = Path(__file__).parents[3] / "golden" / "training" / "steps"
FILES = ("t5_gradients", "t5_gated_gradients")


def t5(file, dtype="float64", **changes):
    """The model, batch and expectations of a golden file."""
    with safe_open(GOLDEN / f"{file}.safetensors", "numpy") as stored:
        config = json.loads(stored.metadata()["about"])["config"] | changes
        arrays = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118
    backbone = T5Backbone(**config, dtype=dtype)
    backbone.params = {name: arrays[f"weight/{name}"].astype(dtype) for name in backbone.params}
    batch = {key.removeprefix("batch/"): value for key, value in arrays.items() if key.startswith("batch/")}
    return backbone, batch, arrays


@pytest.mark.parametrize("file", FILES)
def test_logits_are_pytorchs(file):
    backbone, batch, golden = t5(file)
    logits = backbone.logits(backbone.scope, backbone(batch)["decoder_sequence_output"])
    np.testing.assert_allclose(logits, golden["logits"], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("file", FILES)
def test_every_gradient_is_pytorchs(file):
    backbone, batch, golden = t5(file)
    loss, found = gradients(backbone, batch)
    assert loss == pytest.approx(golden["loss"][0], rel=1e-12)
    assert sum(name.startswith("gradient/") for name in golden) == len(found)
    for name, gradient in found.items():
        expected = golden[f"gradient/{name}"]
        assert np.abs(gradient - expected).max() <= 1e-10 * np.abs(expected).max(), name


@pytest.mark.parametrize("file", FILES)
def test_every_gradient_of_the_twins_is_pytorchs(file):
    vjp_numba = pytest.importorskip("refimpl.autograd.vjp_numba")
    backbone, batch, golden = t5(file, "float32")
    batch["weights"] = batch["weights"].astype(np.float32)
    tape = Tape(vjp_numba.TWINS)
    nodes = {name: tape.variable(array) for name, array in backbone.params.items()}
    loss = loss_of(backbone, nodes, batch)
    tape.backward(loss)
    assert loss.value == pytest.approx(golden["loss"][0], rel=1e-5)
    for name, node in nodes.items():
        expected = golden[f"gradient/{name}"]
        assert np.abs(node.gradient - expected).max() <= 1e-3 * np.abs(expected).max(), name


@pytest.mark.parametrize("file", FILES)
def test_gradients_with_dropout_agree_with_central_differences(file):
    """Dropout stands after embeddings, on attention weights, after each part, inside the feed-forward layer."""
    backbone, batch, _ = t5(file, dropout=0.3)
    _, found = gradients(backbone, batch, Dropout(0.3, seed=5))
    for name, place in [("token_embedding/embeddings", (11, 4)), *((n, (0, 1)) for n in found if "bias" in n)]:
        ends = []
        for step in (1e-5, -1e-5):
            moved = backbone.params[name].copy()
            moved[place] += step
            ends.append(loss_of(backbone, backbone.params | {name: moved}, batch, Dropout(0.3, seed=5)))
        assert found[name][place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-5, abs=1e-9)
