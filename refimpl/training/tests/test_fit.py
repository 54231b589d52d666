"""`fit`, `evaluate` and `predict`: data, seeds, dropout, freezing."""

import sys

import numpy as np
import pytest

from refimpl import losses, optimizers
from refimpl.autograd import ops
from refimpl.training import twins
from refimpl.training.tests.small import TEXTS, fitted, same, task, tokens


def test_fit_learns_and_keeps_history():
    lm = task(optimizer=optimizers.Adam(3e-2), dropout=0.0)
    history = fitted(lm, epochs=40)
    assert history.epoch == list(range(40))
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]
    assert set(history.history) == {"loss", "sparse_categorical_accuracy"}
    assert lm.history is history


def test_a_seed_repeats_a_run_and_another_does_not():
    runs = [task(seed) for seed in (3, 3, 4)]
    start = runs[0].get_weights()
    for lm in runs:
        lm.set_weights(start)
        fitted(lm, epochs=2)
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_shuffle_changes_the_order_in_each_epoch():
    lm = task()
    orders = []

    class Spy:
        def on_epoch_end(self, epoch, logs):
            orders.append([])

    batch_of = lm._batch
    lm._batch = lambda x, y, w: (orders[-1].extend(x["encoder_text"]), batch_of(x, y, w))[1]
    orders.append([])
    fitted(lm, epochs=2, callbacks=[Spy()])
    fitted(lm, shuffle=False)
    given = TEXTS["encoder_text"]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(given)
    assert given not in orders[:2]
    assert orders[0] != orders[1]
    assert orders[2] == given


def test_dropout_is_on_in_training_only():
    lm, x = task(), tokens()
    lm.preprocessor = None
    evaluated = [lm.test_on_batch(*x)[0] for _ in range(2)]
    assert evaluated[0] == evaluated[1]
    without = task(dropout=0.0)
    without.preprocessor = None
    without.set_weights(lm.get_weights())
    assert without.train_on_batch(*x)[0] == pytest.approx(evaluated[0], rel=1e-6)
    assert lm.train_on_batch(*x)[0] != pytest.approx(evaluated[0], rel=1e-4)


def test_predict_gives_the_logits_of_a_call():
    lm = task()
    logits = lm.predict(TEXTS, batch_size=3)
    assert np.array_equal(logits, lm(lm.preprocessor(TEXTS)[0]))


def test_padding_and_batches_do_not_change_the_scores():
    lm = task()
    x, labels, weights = tokens(rows=5)
    lm.preprocessor = None
    wide = {key: np.pad(value, ((0, 0), (0, 4))) for key, value in x.items()}
    padded = lm.test_on_batch(wide, np.pad(labels, ((0, 0), (0, 4))), np.pad(weights, ((0, 0), (0, 4))))
    narrow = lm.test_on_batch(x, labels, weights)
    assert padded[0] == pytest.approx(narrow[0] * 5 / 9, rel=1e-5)  # the divisor counts padding
    assert padded[1] == pytest.approx(narrow[1])
    split = lm.evaluate(x, labels, sample_weight=weights, batch_size=2, verbose=0)
    assert split == pytest.approx(narrow, rel=1e-5)


def test_frozen_parts_stay_and_the_others_learn():
    lm = task()
    lm.backbone.get_layer("token_embedding").trainable = False
    lm.backbone.get_layer("transformer_encoder_layer_1").trainable = False
    before = {name: array.copy() for name, array in lm.backbone.params.items()}
    fitted(lm)
    for name, array in lm.backbone.params.items():
        frozen = name.startswith(("token_embedding", "transformer_encoder_layer_1"))
        assert np.array_equal(array, before[name]) == frozen, name
    assert not [name for name in lm.optimizer.state["velocity"] if name.startswith("token_embedding")]


@pytest.mark.parametrize("whole", ["task", "backbone"])
def test_nothing_learns_where_everything_is_frozen(whole):
    lm = task()
    (lm if whole == "task" else lm.backbone).trainable = False
    before = lm.get_weights()
    fitted(lm)
    assert all(np.array_equal(a, b) for a, b in zip(before, lm.get_weights(), strict=True))


def test_split_and_validation_data_give_the_same_scores():
    scores = []
    for arguments in (
        {"validation_split": 0.25},
        {"validation_data": {key: value[6:] for key, value in TEXTS.items()}},
        {"validation_data": ({key: value[6:] for key, value in TEXTS.items()},)},
    ):
        lm = task()
        data = TEXTS if "validation_split" in arguments else {key: value[:6] for key, value in TEXTS.items()}
        scores.append(lm.fit(data, batch_size=3, epochs=2, verbose=0, **arguments).history)
    assert scores[0] == scores[1] == scores[2]
    assert len(scores[0]["val_loss"]) == 2


def test_iterables_of_batches():
    lm, again = task(dropout=0.0), task(dropout=0.0)
    again.set_weights(lm.get_weights())
    parts = [{key: value[n : n + 3] for key, value in TEXTS.items()} for n in (0, 3, 6)]
    fitted(lm, epochs=2, shuffle=False)
    again.fit([(part,) for part in parts], epochs=2, verbose=0)
    assert same(lm, again)
    endless = iter(parts * 10)
    history = lm.fit(endless, epochs=2, steps_per_epoch=2, verbose=0)
    assert len(history.epoch) == 2
    assert next(endless) is parts[1]


def test_a_loss_and_a_metric_of_the_users_own():
    def squared(y_true, y_pred):
        each = ops.cross_entropy(y_pred, y_true)
        return ops.add(each, each)

    class Mean:
        name = "mean_logit"

        def reset_state(self):
            self.value = 0.0

        def update_state(self, y_true, y_pred, sample_weight):
            self.value = float((y_pred.mean(-1) * sample_weight).sum())

        def result(self):
            return self.value

    lm, plain = task(dropout=0.0), task(dropout=0.0)
    plain.set_weights(lm.get_weights())
    lm.compile(optimizers.SGD(0.05), loss=squared, weighted_metrics=[Mean(), "accuracy"])
    plain.compile(optimizers.SGD(0.1))
    a, b = fitted(lm, shuffle=False), fitted(plain, shuffle=False)
    assert a.history["loss"][0] == pytest.approx(2 * b.history["loss"][0], rel=1e-5)
    assert set(a.history) == {"loss", "mean_logit", "accuracy"}
    for x, y in zip(lm.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(x, y, atol=2e-6)


def test_labels_that_are_left_out():
    lm = task(dropout=0.0)
    lm.preprocessor = None
    x, labels, weights = tokens()
    marked = np.where(weights, labels, -100)
    masked = lm.test_on_batch(x, labels, weights)[0]
    assert lm.test_on_batch(x, marked, weights)[0] == masked
    lm.compile(loss=losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-100))
    assert lm.test_on_batch(x, marked)[0] == pytest.approx(masked * weights.size / weights.sum(), rel=1e-6)


def test_row_weights_are_weights_of_all_positions():
    lm = task(dropout=0.0)
    lm.preprocessor = None
    x, labels, _ = tokens()
    rows = np.array([1.0, 0.0, 2.0, 0.5])
    assert lm.test_on_batch(x, labels, rows) == lm.test_on_batch(x, labels, np.repeat(rows[:, None], 5, axis=1))


def test_compiled_training_is_the_definition_up_to_rounding(monkeypatch):
    monkeypatch.setattr(twins, "_WORTH_COMPILING", 0)
    runs = []
    for jit_compile in (False, True):
        lm = task(seed=3)
        lm.compile(optimizers.AdamW(1e-2), jit_compile=jit_compile)
        runs.append((fitted(lm, epochs=3).history["loss"], lm.get_weights()))
    np.testing.assert_allclose(*(loss for loss, _ in runs), rtol=1e-5)
    for a, b in zip(*(weights for _, weights in runs), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-3)  # Adam takes rounding noise around 0 for a gradient


def test_without_the_twins_training_is_slower_and_nothing_else(monkeypatch):
    monkeypatch.setattr(twins, "_WORTH_COMPILING", 0)
    monkeypatch.setitem(sys.modules, "refimpl.autograd.vjp_numba", None)
    monkeypatch.delattr("refimpl.autograd.vjp_numba", raising=False)
    lm = task()
    lm.compile(jit_compile=True)
    assert np.isfinite(fitted(lm).history["loss"]).all()


def test_weights_that_nothing_may_be_written_to_are_copied():
    """Arrays of JAX and of `np.frombuffer` come so."""
    lm, other = task(), task()
    for name, array in lm.backbone.params.items():
        lm.backbone.params[name] = np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)
        other.backbone.params[name] = array.copy()
    assert fitted(lm).history == fitted(other).history
    assert same(lm, other)
