"""Metrics of texts, and RMSprop. The numbers were computed by KerasHub 0.32.0 and Keras 3.15.1 on JAX."""

import sys

import numpy as np
import pytest

from refimpl import metrics, optimizers
from refimpl.errors import ConfigError, MissingMetricPackageError

TRUE = ["the tiny little cat was found under the big funny bed.", "a b, c 3.5 d-e f g h"]
GUESS = ["the cat was under the bed.", "a b, c 3.5 d-e f g i"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("RougeL", {}, (0.9500000, 0.7227273, 0.8029412)),
        ("RougeN", {}, (0.6444445, 0.5444444, 0.5777778)),
        ("RougeN", {"order": 1, "use_stemmer": True}, (0.9500000, 0.7227273, 0.8029412)),
    ],
)
def test_rouge_is_keras_hub(name, options, expected):
    pytest.importorskip("rouge_score")
    metric = getattr(metrics, name)(**options)
    metric(TRUE[:1], np.array(GUESS[:1]))
    assert tuple(metric([TRUE[1]], [GUESS[1].encode()]).values()) == pytest.approx(expected, rel=1e-6)
    metric.reset_state()
    assert set(metric.result().values()) == {0.0}
    assert metric("a b c", "a b c") == {"precision": 1.0, "recall": 1.0, "f1_score": 1.0}


@pytest.mark.parametrize(("options", "expected"), [({}, 0.4679816), ({"smooth": True, "max_order": 3}, 0.5174167)])
def test_bleu_is_keras_hub(options, expected):
    pytest.importorskip("sacrebleu")
    metric = metrics.Bleu(**options)
    for _ in range(2):
        score = metric([[text] for text in TRUE], GUESS)
    assert score == pytest.approx(expected, rel=1e-6)


def test_bleu_with_several_references_and_a_tokenizer():
    true = [["the cat was under a bed", "the cat sat under the bed now yes"], ["a b c d e", "a b c d e f"]]
    metric = metrics.Bleu(tokenizer=str.split)
    assert metric.result() == 0.0
    assert metric(true, ["the cat was under the bed", "a b c d e f g"]) == pytest.approx(0.7814761, rel=1e-6)
    assert metrics.Bleu(tokenizer=str.split)(["a b c d", "a"], "a b c d") == 1.0


@pytest.mark.parametrize(("normalize", "expected"), [(True, 0.3157895), (False, 3.0)])
def test_edit_distance_is_keras_hub(normalize, expected):
    metric = metrics.EditDistance(normalize)
    assert metric([text.split() for text in TRUE], [text.split() for text in GUESS]) == pytest.approx(
        expected, rel=1e-6
    )
    metric.reset_state()
    assert metric.result() == 0.0
    assert metric(list("kitten"), list("sitting")) == (0.5 if normalize else 3.0)


@pytest.mark.parametrize(("masked", "expected"), [(None, (11.418161, 11.046969)), (0, (11.794364, 11.422886))])
def test_perplexity_of_probabilities_is_keras_hub(masked, expected):
    shares = np.random.default_rng(0).uniform(size=(2, 5, 10)).astype("float32")
    labels, weights = np.random.default_rng(1).integers(0, 10, (2, 5)), np.random.default_rng(2).uniform(size=(2, 5))
    metric = metrics.Perplexity(mask_token_id=masked)
    assert (metric(labels, shares), metric(labels, shares, sample_weight=weights)) == pytest.approx(expected, rel=1e-6)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rouge_score", None)
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(MissingMetricPackageError, match=r"pip install.*training\.metric\.texts"):
        metrics.RougeL()
    with pytest.raises(ConfigError, match=r"training\.metric\.texts"):
        metrics.RougeN(order=10)


@pytest.mark.parametrize(
    ("momentum", "centered", "expected"),
    [
        (0.0, False, (0.9524602, -1.9982349, 2.9864902)),
        (0.9, False, (0.9012450, -1.9621849, 2.9668698)),
        (0.5, True, (0.9192464, -1.9791220, 2.9763231)),
    ],
)
def test_rmsprop_is_keras(momentum, centered, expected):
    optimizer = optimizers.RMSprop(0.01, rho=0.8, momentum=momentum, epsilon=1e-3, centered=centered)
    weights = {"w": np.array([1.0, -2.0, 3.0], np.float32)}
    for gradient in ([0.1, -0.2, 0.3], [1.0, 0.0, -0.5], [0.3, 0.3, 0.3]):
        optimizer.apply({"w": np.array(gradient, np.float32)}, weights)
    assert weights["w"].tolist() == pytest.approx(expected, rel=3e-7)
    assert isinstance(optimizers.get("rmsprop"), optimizers.RMSprop)
