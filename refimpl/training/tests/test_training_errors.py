"""What goes wrong in training stops with a named error."""

import numpy as np
import pytest

import refimpl
from refimpl.errors import ConfigError, LabelError, NonFiniteError, TrainingDataError
from refimpl.models import Seq2SeqLM
from refimpl.presets.shipped import shipped_preset
from refimpl.training.tests.small import TEXTS, fitted, task, tokens


def test_not_a_number_stops_with_its_place():
    lm = task(dropout=0.0)
    lm.backbone.params["transformer_decoder_layer_0/feedforward_output_dense/kernel"][1, 2] = np.nan
    before = lm.get_weights()
    with pytest.raises(NonFiniteError, match="step 1 .*transformer_decoder_layer_0/feedforward_output_dense/kernel"):
        fitted(lm)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(before, lm.get_weights(), strict=True))


def test_an_overflow_is_named_by_the_first_result():
    lm = task(dropout=0.0)
    lm.backbone.params["transformer_encoder_layer_1/feedforward_output_dense/kernel"][:] = 3e38
    with (
        pytest.raises(NonFiniteError, match="linear with transformer_encoder_layer_1/feedforward_output_dense"),
        np.errstate(all="ignore"),
    ):  # noqa: E501, PT012
        fitted(lm)


@pytest.mark.parametrize(
    ("error", "x", "arguments"),
    [
        (TrainingDataError, {"encoder_text": [], "decoder_text": []}, {}),
        (TrainingDataError, {"encoder_text": ["a"], "decoder_text": ["a", "b"]}, {}),
        (TrainingDataError, {"encoder_text": "a", "decoder_text": "b"}, {}),
        (TrainingDataError, ["a", "b"], {}),
        (TrainingDataError, TEXTS, {"validation_split": 1.0}),
        (TrainingDataError, TEXTS, {"y": np.zeros((8, 3), int)}),
        (TrainingDataError, iter([]), {}),
        (ConfigError, TEXTS, {"batch_size": 0}),
        (ConfigError, TEXTS, {"class_weight": {0: 1.0}}),
        (ConfigError, TEXTS, {"callbacks": [3]}),
        (KeyError, {"encoder_text": ["a"]}, {}),
    ],
)
def test_data_that_can_not_be_used(error, x, arguments):
    with pytest.raises(error):
        task().fit(x, verbose=0, **arguments)


@pytest.mark.parametrize("name", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_a_task_that_was_not_compiled_is_refused(name):
    compiled = task()
    lm = type(compiled)(compiled.backbone, compiled.preprocessor, compile=False)
    with pytest.raises(ConfigError, match=r"You must call `compile\(\)`"):
        getattr(lm, name)(TEXTS)


@pytest.mark.parametrize(
    ("error", "labels", "weights"),
    [
        (LabelError, np.full((4, 5), 10**6), None),
        (LabelError, np.full((4, 5), -1), None),
        (TrainingDataError, np.zeros((4, 4), int), None),
        (TrainingDataError, None, None),
        (TrainingDataError, np.zeros((4, 5), int), np.ones((4, 4))),
        (TrainingDataError, np.zeros((4, 5), int), np.full((4, 5), np.nan)),
    ],
)
def test_labels_and_weights_that_can_not_be_used(error, labels, weights):
    lm = task()
    lm.preprocessor = None
    with pytest.raises(error):
        lm.train_on_batch(tokens()[0], labels, weights)


def test_fit_needs_a_loss():
    lm = task()
    lm.compile(loss=None)
    with pytest.raises(ConfigError, match="loss"):
        fitted(lm)
    assert refimpl.losses.get("auto").name == "sparse_categorical_crossentropy"


def test_float16_is_not_trained():
    lm = Seq2SeqLM.from_preset(shipped_preset(), dtype="float16", load_weights=False)
    before = lm.get_weights()
    with pytest.raises(ConfigError, match=r'dtype="float32".*training\.fit\.half-precision'):
        lm.fit({"encoder_text": ["a"], "decoder_text": ["B"]}, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, lm.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("arguments", "mend"),
    [
        ({"steps_per_execution": 8}, "each step is on its own"),
        ({"loss_weights": [0.5]}, "sample_weight"),
        ({"optimiser": "adam"}, "spelling"),
    ],
)
def test_arguments_of_keras_that_mean_nothing_here(arguments, mend):
    lm = task()
    with pytest.raises(TypeError, match=f"unexpected keyword argument.*{mend}"):
        lm.compile(**arguments)
    lm.compile(run_eagerly=True, steps_per_execution=1, loss_weights=None, auto_scale_loss=True)
