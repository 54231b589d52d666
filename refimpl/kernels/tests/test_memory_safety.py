"""What a user puts in place of weights, before or between calls, gets the definition's answer or a named error."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refimpl.decoding.stream import stream_step
from refimpl.errors import RefimplError
from refimpl.kernels.tests.test_twins import tasks
from refimpl.tests.tiny import adversarial, batch, t5

TASKS = [param.values[0] for param in tasks()]


def changed(array, kind):
    """The same numbers laid otherwise, in another type, or an array that does not belong there."""
    return {
        "C": lambda: np.array(array, order="C"),
        "F": lambda: np.array(array, order="F"),
        "strided": lambda: np.repeat(array, 2, axis=-1)[..., ::2],
        "backwards": lambda: array[::-1].copy()[::-1],
        "read-only": lambda: np.frombuffer(np.ascontiguousarray(array).tobytes(), array.dtype).reshape(array.shape),
        "unaligned": lambda: (
            np.frombuffer(b"x" + np.ascontiguousarray(array).tobytes(), np.uint8)[1:]
            .view(array.dtype)
            .reshape(array.shape)
        ),
        "float64": lambda: array.astype(np.float64),
        "float16": lambda: array.astype(np.float16),
        "integers": lambda: array.astype(np.int64),
        "nan": lambda: np.full_like(array, np.nan),
        "shorter": lambda: array[:-1],
        "longer": lambda: np.concatenate([array, array]),
        "flat": lambda: array.reshape(-1),
        "scalar": lambda: np.float32(1.0),
        "list": array.tolist,
        "none": lambda: None,
    }[kind]()


KINDS = [
    "C", "F", "strided", "backwards", "read-only", "unaligned", "float64", "float16", "integers", "nan",
    "shorter", "longer", "flat", "scalar", "list", "none",
]  # fmt: skip


@pytest.mark.parametrize("examples", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_any_weights(examples):
    settings(max_examples=examples, deadline=None)(given(st.data())(any_weights))()


def any_weights(data):
    task = data.draw(st.sampled_from(TASKS))
    backbone, kept = task.backbone, dict(task.backbone.params)
    rows, source, target = (data.draw(st.integers(1, most)) for most in (5, 9, 12))
    inputs = batch(rows, source, target, data.draw(st.integers(0, 99)), size=backbone.vocabulary_size)
    inputs["decoder_padding_mask"] = np.arange(target) < data.draw(st.integers(0, target))
    inputs["decoder_padding_mask"] = np.broadcast_to(inputs["decoder_padding_mask"], (rows, target))
    try:
        for name in data.draw(st.lists(st.sampled_from(sorted(kept)), max_size=3)):
            backbone.params[name] = changed(kept[name], data.draw(st.sampled_from(KINDS)))
        answers = [outcome(task, inputs, compiled) for compiled in (True, False)]
        assert answers[0] == answers[1]
        backbone.params = dict(kept)
        adversarial(backbone, data.draw(st.integers(0, 9)))
        assert outcome(task, inputs, True) == outcome(task, inputs, False)
    finally:
        backbone.params = kept


@pytest.mark.parametrize("change", [lambda table: -table, lambda table: table[:, :1], lambda table: table[:2]])
def test_what_is_swapped_during_a_call_is_for_the_next_one(change):
    task, inputs = t5(), batch(1, 5, 14, size=41) | {"decoder_padding_mask": np.arange(14)[None] < 3}
    task.compile(sampler="greedy", jit_compile=True)
    *_, right = stream_step(task, inputs, None)
    stream = stream_step(task, inputs, None)
    next(stream)
    name = "transformer_decoder_layer_0/self_attention/relative_attention_bias"
    task.backbone.params[name] = change(task.backbone.params[name])
    *_, found = stream
    assert (found["decoder_token_ids"] == right["decoder_token_ids"]).all()


def outcome(task, inputs, compiled):
    """The tokens, or the name of the error and its clause."""
    task.compile(sampler="greedy", jit_compile=compiled)
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
            return task.generate(dict(inputs), stop_token_ids=None)["decoder_token_ids"].tolist()
    except RefimplError as error:
        return type(error).__name__
