"""Optimizers, schedules, losses and metrics against Keras's values, and whole runs against KerasHub's."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from refimpl import losses, metrics, optimizers
from refimpl.errors import ConfigError, UnsupportedError
from refimpl.models import BartBackbone, BartSeq2SeqLM

FOLDER = Path(__file__).parents[3] / "golden" / "training" / "steps"
PARTS = json.loads((FOLDER / "keras_parts.json").read_text(encoding="utf-8"))


def arrays_of(name):
    with safe_open(FOLDER / name, "numpy") as file:
        return json.loads(file.metadata()["about"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def as_arrays(lists):
    return {key: np.array(value, np.float32) for key, value in lists.items()}


def made(name, options):
    rate = options.get("learning_rate")
    if isinstance(rate, dict):
        options = options | {"learning_rate": optimizers.schedules.CosineDecay(**rate)}
    return getattr(optimizers, name)(**options)


@pytest.mark.parametrize("case", PARTS["optimizers"])
def test_updates_are_keras(case):
    expected = PARTS["optimizers"][case]
    optimizer, weights = made(expected["class"], expected["options"]), as_arrays(PARTS["start"])
    optimizer.exclude_from_weight_decay(var_names=expected["excluded"])
    for slope, after in zip(PARTS["slopes"], expected["after"], strict=True):
        optimizer.apply(as_arrays(slope), weights)
        for name, value in after.items():
            # Keras takes `1 - 0.999 ** step` in float32, which is off by 1e-5: so much of each step, which is 0.1.
            np.testing.assert_allclose(weights[name], value, rtol=3e-6, atol=2e-6)


@pytest.mark.parametrize("case", PARTS["schedules"])
def test_schedules_are_keras(case):
    expected = PARTS["schedules"][case]
    schedule = getattr(optimizers.schedules, expected["class"])(**expected["options"])
    assert [schedule(step) for step in range(21)] == pytest.approx(expected["rates"], rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(
    ("cls", "defaults"),
    [
        (optimizers.SGD, [0.01, 0.0, False]),
        (optimizers.RMSprop, [0.001, 0.9, 0.0, 1e-7, False]),
        (optimizers.Adam, [0.001, 0.9, 0.999, 1e-7, False]),
        (optimizers.AdamW, [0.001, 0.004]),
        (optimizers.schedules.CosineDecay, [0.0, "CosineDecay", None, 0]),
        (optimizers.schedules.PolynomialDecay, [0.0001, 1.0, False, "PolynomialDecay"]),
    ],
)
def test_defaults_are_keras(cls, defaults):
    """Source: the signatures of keras 3.15.1."""
    parameters = inspect.signature(cls).parameters.values()
    assert [one.default for one in parameters if one.default is not one.empty] == defaults
    assert cls(*(1 for one in parameters if one.default is one.empty and one.kind is not one.VAR_KEYWORD))


@pytest.mark.parametrize(
    ("optimizer", "slots"),
    [
        (optimizers.SGD(), set()),
        (optimizers.SGD(momentum=0.5), {"momentum"}),
        (optimizers.RMSprop(), {"velocity"}),
        (optimizers.RMSprop(momentum=0.5), {"velocity", "momentum"}),
        (optimizers.RMSprop(centered=True), {"velocity", "average_gradient"}),
        (optimizers.Adam(), {"momentum", "velocity"}),
        (optimizers.Adam(amsgrad=True), {"momentum", "velocity", "velocity_hat"}),
    ],
)
def test_no_more_is_kept_than_keras_keeps(optimizer, slots):
    """Source: `build` of keras 3.15.1's optimizers."""
    optimizer.apply({"w": np.ones(2, np.float32)}, {"w": np.ones(2, np.float32)})
    assert optimizer.state.keys() == slots
    assert all(held.keys() == {"w"} for held in optimizer.state.values())


def test_a_learning_rate_may_be_a_schedule_a_function_or_assigned():
    assert optimizers.SGD(lambda: 0.25).learning_rate == 0.25
    assert optimizers.SGD(optimizers.schedules.Constant(0.5)).learning_rate == 0.5
    optimizer = optimizers.SGD(0.1)
    optimizer.learning_rate.assign(0.75)
    assert optimizer.learning_rate == 0.75


def test_an_optimizers_configuration_comes_back():
    config = optimizers.SGD(0.1, momentum=0.5, nesterov=True, clipnorm=2.0).get_config()
    assert optimizers.SGD(**config).get_config() == config
    assert (config["momentum"], config["nesterov"], config["clipnorm"]) == (0.5, True, 2.0)


def test_inverse_square_root_schedule():
    schedule = optimizers.schedules.InverseSquareRootDecay(peak=0.4, warmup_steps=4)
    assert [schedule(step) for step in (0, 2, 4, 16)] == pytest.approx([0.0, 0.2, 0.4, 0.2])
    warm = optimizers.schedules.Constant(0.3, warmup_steps=3)
    assert [warm(step) for step in (0, 1, 3, 9)] == pytest.approx([0.0, 0.1, 0.3, 0.3])


def test_a_warm_up_begins_where_the_schedule_does():
    """By hand: from 0.2 to 1 in four steps, then half a cosine of ten."""
    schedule = optimizers.schedules.CosineDecay(0.2, 10, warmup_target=1.0, warmup_steps=4)
    assert [schedule(step) for step in (0, 1, 2, 4, 9, 14)] == pytest.approx([0.2, 0.4, 0.6, 1.0, 0.5, 0.0])


@pytest.mark.parametrize("case", PARTS["losses"])
def test_losses_are_keras(case):
    expected = PARTS["losses"][case]
    options = {key: expected[key] for key in ("reduction", "ignore_class")}
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, **options)
    labels, logits = np.array(PARTS["labels"]), np.array(PARTS["logits"], np.float32)
    assert loss(labels, logits) == pytest.approx(expected["unweighted"], rel=1e-6)
    assert loss(labels, logits, sample_weight=PARTS["weights"]) == pytest.approx(expected["weighted"], rel=1e-6)


def test_a_function_is_a_loss_of_its_name():
    def misses(labels, logits):
        return (labels != logits.argmax(axis=-1)) * 1.0

    loss = losses.get(misses)
    assert (loss.name, loss(np.array([[0, 1, 1, 1]]), np.eye(2)[[[0, 0, 1, 1]]])) == ("misses", 0.25)
    assert losses.SparseCategoricalCrossentropy(from_logits=True).name == "sparse_categorical_crossentropy"
    assert losses.Loss().name == "Loss"


def test_logits_keep_their_precision():
    """By hand: of two logits with the difference x, `log(1 + exp(-x))`."""
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    assert loss(np.array([1]), np.array([[0.1, 0.2]])) == pytest.approx(np.log1p(np.exp(-0.1)), rel=1e-14)


def test_a_class_that_is_no_loss_is_refused():
    with pytest.raises(ConfigError, match="loss identifier"):
        losses.get(int)


@pytest.mark.parametrize("name", ["beta_1", "beta_2"])
@pytest.mark.parametrize("value", [-0.1, 1.0])
def test_a_share_that_adam_can_not_keep_is_refused(name, value):
    with pytest.raises(ConfigError, match=f"{name}={value}"):
        optimizers.Adam(**{name: value})
    assert getattr(optimizers.Adam(**{name: 0.0}), name) == 0.0


def test_weights_may_be_excluded_by_what_they_are_or_are_called():
    """By hand: without a slope only decay changes a weight, by the rate times itself."""
    for given in ({"var_list": ["x/a"]}, {"var_names": ["a"]}, {"var_list": ["x/a"], "var_names": ["b"]}):
        optimizer = optimizers.SGD(0.1, weight_decay=0.5)
        optimizer.exclude_from_weight_decay(**given)
        weights = {name: np.ones(1) for name in ("x/a", "x/b")}
        optimizer.apply({name: np.zeros(1) for name in weights}, weights)
        assert (weights["x/a"][0], weights["x/b"][0]) == pytest.approx((1.0, 0.95 if len(given) == 1 else 1.0))


def test_adams_twin_gets_whole_arrays_of_float32():
    seen = []

    class Spied(optimizers.Adam):
        twin = staticmethod(lambda weight, _g, _m, _v, _numbers: seen.append(weight))

    parts = np.ones((4, 4), np.float32)[::2, ::2]
    for weight in (np.ones(2), parts, np.ones((2, 3), np.float32), np.ones((2, 3), np.float32).T):
        Spied().apply({"w": np.ones_like(weight)}, {"w": weight})
    Spied(amsgrad=True).apply({"w": np.ones_like(weight)}, {"w": weight})
    assert [weight.shape for weight in seen] == [(2, 3), (3, 2)]


@pytest.mark.parametrize("kind", [bool, int, float])
def test_weights_of_a_loss_may_be_of_any_type(kind):
    """By hand: three positions of two equally likely tokens, of which two count."""
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    weights = np.array([[1, 0, 1]], kind)
    assert loss(np.array([[0, 1, 1]]), np.zeros((1, 3, 2)), weights) == pytest.approx(2 * np.log(2) / 3)


@pytest.mark.parametrize("case", PARTS["metrics"])
def test_metrics_are_keras(case):
    kinds = {
        "accuracy": metrics.SparseCategoricalAccuracy(),
        "perplexity": metrics.Perplexity(from_logits=True),
        "perplexity masked": metrics.Perplexity(from_logits=True, mask_token_id=3),
    }
    labels, logits, weights = np.array(PARTS["labels"]), np.array(PARTS["logits"]), np.array(PARTS["weights"])
    for weight, expected in zip((None, weights), PARTS["metrics"][case], strict=True):
        metric = kinds[case]
        metric.reset_state()
        metric.update_state(labels, logits, sample_weight=weight)
        metric.update_state(labels[:1], logits[:1], sample_weight=None if weight is None else weight[:1])
        assert metric.result() == pytest.approx(expected, rel=1e-6)


def bart(dtype="float32"):
    about, arrays = arrays_of("bart_gradients.safetensors")
    backbone = BartBackbone(**about["config"], dtype=dtype)
    backbone.params = {name: arrays[f"weight/{name}"].astype(np.float32).astype(dtype) for name in backbone.params}
    return BartSeq2SeqLM(backbone, None)


def batches(arrays):
    for n in range(3):
        x = {key.split("/")[1]: value for key, value in arrays.items() if key.startswith(f"batch{n}/")}
        yield x, x.pop("labels"), x.pop("weights")


@pytest.mark.parametrize("run", ["sgd", "adam", "adamw", "cosine"])
def test_whole_runs_follow_keras_hub(run):
    about, arrays = arrays_of("bart_steps.safetensors")
    name, options = about["runs"][run]
    lm = bart()
    lm.compile(made(name, options))
    data, expected = list(batches(arrays)), arrays[f"{run}/scores"]
    scores = [lm.train_on_batch(*data[step % 3]) for step in range(len(expected))]
    assert len(scores) >= 20
    np.testing.assert_allclose(scores, expected, rtol=5e-6, atol=1e-6)
    for key, weight in lm.backbone.params.items():
        # The gradient of a key's bias is rounding noise around 0, which Adam divides by its own size.
        noise = 5e-4 if key.endswith("/key/bias") and run != "sgd" else 5e-6
        assert np.abs(weight - arrays[f"{run}/weight/{key}"]).max() < noise, key


def test_evaluate_and_unweighted_metrics_are_keras_hubs():
    _, arrays = arrays_of("bart_steps.safetensors")
    lm = bart()
    lm.backbone.params = {key: arrays[f"cosine/weight/{key}"] for key in lm.backbone.params}
    lm.compile(metrics=["accuracy"], weighted_metrics=None)
    for batch, expected in zip(batches(arrays), arrays["evaluate/cosine"], strict=True):
        assert lm.test_on_batch(*batch) == pytest.approx(list(expected[:2]), rel=5e-6)


def test_loss_divides_by_all_positions():
    """Worked by hand: the sum of weight times cross-entropy, over rows times columns, padding included."""
    _, arrays = arrays_of("bart_steps.safetensors")
    lm = bart("float64")
    x, labels, weights = next(batches(arrays))
    logits = lm.predict_on_batch(x)
    total = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, labels[..., None], -1)[..., 0]
    assert lm.test_on_batch(x, labels, weights)[0] == pytest.approx((total * weights).sum() / labels.size, rel=1e-12)


def test_what_was_left_out_is_named():
    for build in (
        lambda: optimizers.get("adagrad"),
        lambda: optimizers.Adam(1),
        lambda: optimizers.SGD(0.1, momentum=2.0),
        lambda: optimizers.Adam(0.1, clipnorm=1.0, clipvalue=1.0),
        lambda: losses.get("mse"),
        losses.SparseCategoricalCrossentropy,
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none"),
        lambda: metrics.get_all(["f1"]),
        lambda: optimizers.schedules.CosineDecay(0.1, 0),
        lambda: optimizers.schedules.PolynomialDecay(0.1, 0),
        lambda: optimizers.schedules.InverseSquareRootDecay(0.1, 0),
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True, reduction="batch"),
    ):
        with pytest.raises(ConfigError):
            build()


@pytest.mark.parametrize(("room", "name"), [(optimizers, "Lion"), (losses, "KLDivergence")])
def test_classes_of_keras_that_are_not_here_are_named(room, name):
    with pytest.raises(UnsupportedError, match=f"{name}.*(Adam|SparseCategoricalCrossentropy).*training.compile"):
        getattr(room, name)
    assert not hasattr(room, "no_such_thing")
