"""What scripts for Keras do with a task. That KerasHub passes the same steps is shown by `conformance.examples`."""

import copy
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import refimpl
from refimpl.errors import ConfigError, InputError, UnsupportedError, WeightsError
from refimpl.training.tests.small import TEXTS, fitted, same, task

NAME = "token_embedding/embeddings"


def test_weights_are_variables_and_take_names():
    model = task().backbone
    first = model.weights[0]
    assert (first.path, first.name, first.shape, str(first.dtype)) == (NAME, "embeddings", (269, 12), "float32")
    assert [w.path for w in model.weights] == list(model.params)
    first.assign(np.full(first.shape, 2))
    assert np.all(np.asarray(first) == 2)
    assert np.sum(first + 1) == 3 * first.size
    model.weights[NAME] = np.ones(first.shape, np.float32)
    assert model.params[NAME] is model.weights[NAME]
    first.numpy()[:] = 5
    assert np.all(first.numpy() == 1)
    with pytest.raises(WeightsError, match=r"models\.weights\.variables"):
        first.assign(np.zeros((1, 12)))


def test_a_view_follows_weights_that_are_loaded():
    lm = task()
    weights, first = lm.weights, lm.weights[0]
    lm.set_weights([array + 1 for array in lm.get_weights()])
    assert np.array_equal(first, lm.backbone.params[NAME])
    assert weights[NAME] is lm.backbone.params[NAME]
    weights[NAME] = np.zeros(first.shape, np.float32)
    assert not lm.backbone.params[NAME].any()


def test_layers_freeze_and_list_their_weights():
    lm = task()
    lm.backbone.token_embedding.trainable = False
    lm.backbone.get_layer(index=-1).trainable = False
    assert lm.backbone.get_layer(index=-1).name == "transformer_decoder_layer_1"
    assert {w.path.split("/")[0] for w in lm.backbone.non_trainable_weights} == {
        "token_embedding",
        "transformer_decoder_layer_1",
    }
    assert not lm.backbone.token_embedding.trainable_variables
    lm.trainable = False
    assert (lm.trainable_weights, len(lm.non_trainable_weights)) == ([], len(lm.weights))
    assert lm.get_layer("bart_backbone") is lm.backbone
    assert [layer.name for layer in lm.backbone.encoder_transformer_layers] == [
        "transformer_encoder_layer_0",
        "transformer_encoder_layer_1",
    ]
    for wrong in ({"name": "nothing"}, {"index": 99}):
        with pytest.raises(InputError, match=r"training\.trainable\.parts"):
            lm.backbone.get_layer(**wrong)


def test_weights_of_a_layer_are_set():
    layer = task().backbone.get_layer("transformer_encoder_layer_1")
    layer.set_weights([0 * array for array in layer.get_weights()])
    assert not any(np.any(weight) for weight in layer.weights)
    assert layer.count_params() == sum(weight.size for weight in layer.weights)


def test_a_file_of_weights_goes_there_and_back(tmp_path):
    lm, other = task(3), task(4)
    for part, target in ((lm, other), (lm.backbone, task(5).backbone)):
        part.save_weights(tmp_path / "new" / "a.weights.h5")
        target.load_weights(str(tmp_path / "new" / "a.weights.h5"))
        assert same(part, target)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.weights.h5"]
    with pytest.raises(WeightsError):  # a file of a backbone is none of a task
        lm.load_weights(tmp_path / "new" / "a.weights.h5")
    for wrong in ({"filepath": "model.h5"}, {"filepath": tmp_path / "new" / "a.weights.h5", "overwrite": False}):
        with pytest.raises(InputError, match=r"presets\.weights-file\.written"):
            lm.save_weights(**wrong)


@pytest.mark.parametrize("name", ["save", "export", "quantize", "enable_lora"])
def test_what_graphs_are_for_is_refused_by_name(name):
    for part in (task(), task().backbone):
        with pytest.raises(UnsupportedError, match=r"(Call|Load|Freeze).*task\.unsupported"):
            getattr(part, name)
        assert not hasattr(part, name)


def test_what_is_no_attribute_stays_none():
    with pytest.raises(AttributeError, match="nonsense"):
        task().backbone.nonsense  # noqa: B018
    assert same(copy.deepcopy(task()), pickle.loads(pickle.dumps(task())))


def test_summary_repr_call_and_config(capsys):
    lm = task(dropout=0.0)
    lm.summary()
    printed = capsys.readouterr().out
    assert f"{lm.count_params():,}" in printed
    assert max(map(len, printed.splitlines()[1:])) <= 64
    assert "BartSeq2SeqLM" in repr(lm)
    x = lm.preprocessor(TEXTS)[0]
    assert np.array_equal(lm.call(x, training=True), lm(x, training=False))
    other = type(lm).from_config(lm.get_config())
    other.set_weights(lm.get_weights())
    assert same(lm, other)
    assert other.preprocessor.encoder_sequence_length == 9
    assert (lm.built, lm.dtype, refimpl.version()) == (True, "float32", refimpl.__version__)


def test_training_drops():
    lm = task(dropout=0.5)
    x = lm.preprocessor(TEXTS)[0]
    assert not np.allclose(lm(x, training=True), lm(x))


class Series:
    """A column as pandas gives it."""

    iloc = None

    def __init__(self, values):
        self.values = values

    def tolist(self):
        return self.values


class Frame(dict):
    """A table as pandas gives it."""

    iloc = columns = None


def test_tables_and_columns():
    lm = task()
    lm.sampler = "greedy"
    frame = Frame({key: Series(value) for key, value in TEXTS.items()})
    assert lm.generate(frame["encoder_text"]) == lm.generate(TEXTS["encoder_text"])
    assert lm.generate(frame) == lm.generate(TEXTS)
    assert task().fit(frame, verbose=0).history == task().fit(TEXTS, verbose=0).history


def test_one_row_of_ids_gives_one_row():
    lm = task()
    lm.sampler = "greedy"
    x = lm.preprocessor.generate_preprocess(TEXTS["encoder_text"])
    lm.preprocessor = None
    one = lm.generate({key: array[1].tolist() for key, array in x.items()}, stop_token_ids=None)
    many = lm.generate(x, stop_token_ids=None)
    assert np.array_equal(one["decoder_token_ids"], many["decoder_token_ids"][1])


def like(name, config, **more):
    """An object of one of Keras's classes, as far as it is looked at."""
    return type(name, (), {"get_config": lambda _: config, **more})()


def test_objects_of_keras_are_taken_by_their_configuration():
    lm = task()
    idle = {"use_ema": False, "ema_momentum": 0.99, "loss_scale_factor": None}
    lm.compile(
        like("AdamW", {"learning_rate": 0.5, "weight_decay": 0.1, "epsilon": 1e-6, **idle}),
        like("SparseCategoricalCrossentropy", {"from_logits": True, "reduction": "sum", "axis": -1}),
        weighted_metrics=[like("Perplexity", {"from_logits": True, "dtype": "float32"})],
    )
    assert isinstance(lm.optimizer, refimpl.optimizers.AdamW)
    assert (lm.optimizer.weight_decay, lm.optimizer.epsilon, lm.loss.reduction) == (0.1, 1e-6, "sum")
    halved = SimpleNamespace(pattern="bias")
    foreign = like(
        "SGD",
        {"learning_rate": {}},
        _learning_rate=staticmethod(lambda step: 0.5**step),
        _exclude_from_weight_decay_pattern=halved,
    )
    lm.compile(foreign)
    lm.optimizer.iterations, lm.optimizer.weight_decay = 2, 1.0
    assert (lm.optimizer.learning_rate, lm.optimizer.decays("a/bias"), lm.optimizer.decays("a/kernel")) == (
        0.25,
        False,
        True,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": like("Adam", {"use_ema": True})},
        {"optimizer": like("Lion", {})},
        {"optimizer": "lion"},
        {"loss": like("SparseCategoricalCrossentropy", {"from_logits": False})},
        {"loss": like("KLDivergence", {}, __call__=lambda *_: 0.0)},
        {"weighted_metrics": [refimpl.metrics.Perplexity()]},
    ],
)
def test_what_has_no_counterpart_is_refused_in_compile(wrong):
    with pytest.raises(ConfigError, match=r"\[training\."):
        task().compile(**wrong)


def test_a_loss_of_another_library_is_named():
    lm = task()
    lm.compile(loss=lambda _, logits: np.float64(logits))
    with pytest.raises(ConfigError, match=r"training\.loss\.custom"):
        fitted(lm)


def test_the_rate_can_be_assigned():
    optimizer = refimpl.optimizers.Adam(0.5)
    optimizer.learning_rate.assign(0.25)
    assert optimizer.learning_rate.numpy() == copy.deepcopy(optimizer).learning_rate == 0.25


def test_an_interrupted_fit_goes_on_as_if_it_had_not_stopped(tmp_path):
    class Stop(refimpl.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    whole, halted, resumed = task(), task(), task()
    expected = fitted(whole, epochs=4).history["loss"]
    with pytest.raises(KeyboardInterrupt):
        fitted(halted, epochs=4, callbacks=[refimpl.callbacks.BackupAndRestore(tmp_path), Stop()])
    history = fitted(resumed, epochs=4, callbacks=[refimpl.callbacks.BackupAndRestore(tmp_path)])
    assert history.history["loss"] == expected[2:]
    assert same(whole, resumed)
    assert not list(tmp_path.iterdir())


def test_callbacks(tmp_path, capsys):
    lm = task()
    rates = refimpl.callbacks.LearningRateScheduler(lambda _, rate: rate / 2, verbose=1)
    best = refimpl.callbacks.ModelCheckpoint(tmp_path / "{epoch}.weights.h5", save_weights_only=True)
    fitted(lm, epochs=2, callbacks=[rates, best])
    assert lm.optimizer.learning_rate == 0.0025
    assert "0.0025" in capsys.readouterr().out
    other = task(9)
    other.load_weights(tmp_path / "2.weights.h5")
    assert same(lm, other)
    with pytest.raises(ConfigError, match="name of a folder"):
        refimpl.callbacks.ModelCheckpoint("model.keras")
    with pytest.raises(UnsupportedError, match="CSVLogger"):
        refimpl.callbacks.TensorBoard  # noqa: B018
    foreign = type("BackupAndRestore", (), {"__module__": "keras.src", "on_epoch_end": None})()
    with pytest.raises(ConfigError, match=r"refimpl\.callbacks\.BackupAndRestore.*training\.callbacks\.keras"):
        fitted(lm, callbacks=[foreign])


def test_names_are_imported_as_from_keras():
    for name in ("optimizers", "optimizers.schedules", "losses", "metrics", "callbacks", "layers"):
        assert f"refimpl.{name}" in sys.modules
    assert refimpl.models.Preprocessor in type(task().preprocessor).__mro__
    assert callable(refimpl.utils.set_random_seed)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ([7, 8], [2, 0, 7, 8, 3, 1]),
        ([[7], [8, 9, 10, 11, 12]], [[2, 0, 7, 3, 1, 1], [2, 0, 8, 9, 10, 3]]),
        ([], [2, 0, 3, 1, 1, 1]),
    ],
)
def test_packing(inputs, expected):
    packer = refimpl.layers.StartEndPacker(6, [2, 0], 3, 1, return_padding_mask=True)
    ids, mask = packer(inputs)
    assert ids.tolist() == expected
    assert np.array_equal(mask, ids != 1)
    assert packer(inputs, add_start_value=False, add_end_value=False)[0].tolist() != expected


def test_packing_tokens():
    packer = refimpl.layers.StartEndPacker(4, "<s>", "</s>", "<pad>")
    assert packer([["a"], ["b", "c", "d"]]) == [["<s>", "a", "</s>", "<pad>"], ["<s>", "b", "c", "</s>"]]
    for wrong in (lambda: packer(7), lambda: refimpl.layers.StartEndPacker(4, padding_side="left")):
        with pytest.raises(ValueError, match=r"preprocessing\.packer\.layer"):
            wrong()
