"""What the arguments of `fit` mean where a slip would go unnoticed. Expectations follow from Keras's documentation."""

import numpy as np

from refimpl.training.data import Samples
from refimpl.training.optimizers import Adam
from refimpl.training.tests.small import TEXTS, fitted, task, tokens


def test_a_split_keeps_the_floor_of_its_share():
    kept, split_off = Samples({"a": list(range(7))}).split(0.3)  # 7 * 0.7 = 4.9
    assert (kept.parts[0]["a"], split_off.parts[0]["a"]) == ([0, 1, 2, 3], [4, 5, 6])


def test_validation_comes_after_every_so_many_epochs():
    seen = []

    class Spy:
        def on_epoch_end(self, epoch, logs):
            seen.append("val_loss" in logs)

    fitted(task(), epochs=5, validation_data=TEXTS, validation_freq=2, callbacks=[Spy()])
    assert seen == [False, True, False, True, False]


def test_weights_of_texts_leave_padding_out():
    lm = task()
    batch = lm._batch(TEXTS, None, np.full(8, 0.5))
    _, _, is_token = lm.preprocessor(TEXTS)
    assert np.array_equal(batch.weights, 0.5 * is_token)


def test_unfreezing_the_whole_unfreezes_its_layers():
    model = task().backbone
    model.get_layer("token_embedding").trainable = False
    model.trainable = True
    assert model.get_layer("token_embedding").trainable


def test_a_weight_on_what_the_decoder_mask_hides_counts():
    lm = task(dropout=0.0)
    lm.preprocessor = None
    x, labels, mask = tokens()
    x["decoder_padding_mask"] = np.arange(5) < np.full((4, 1), 3)
    weights = np.ones(mask.shape)
    total = lm.evaluate(x, labels, sample_weight=weights, verbose=0, return_dict=True)["loss"]
    each = lm(x)
    true = np.log(np.exp(each.astype(np.float64)).sum(-1)) - np.take_along_axis(each, labels[..., None], -1)[..., 0]
    assert abs(total - true.mean()) < 1e-4 * abs(true.mean())


def test_an_optimizer_says_what_it_was_made_of():
    made = Adam(0.25, beta_1=0.0, clipnorm=2.0, weight_decay=0.5, name="mine")
    config = made.get_config()
    assert (config["learning_rate"], config["clipnorm"], config["weight_decay"]) == (0.25, 2.0, 0.5)
    assert (config["name"], config["clipvalue"], config["global_clipnorm"], config["beta_1"]) == (
        "mine",
        None,
        None,
        0.0,
    )
