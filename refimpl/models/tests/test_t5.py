"""Properties of T5 that hold for any weights; its numbers are checked by the conformance cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refimpl import errors
from refimpl.models import T5Backbone, T5Seq2SeqLM
from refimpl.models.positions import relative_buckets
from refimpl.models.t5.backbone import T5Config
from refimpl.random import set_random_seed
from refimpl.tests.tiny import batch, seq2seq, t5, t5_backbone

KINDS = {
    "1.0": {"use_gated_activation": False},
    "1.1": {"activation": "gelu_approximate", "tie_embedding_weights": False},
    "gelu": {"activation": "gelu", "dropout": 0.0},
    "no-key-value-dim": {"activation": "silu", "key_value_dim": None},
}


def tokens(rows, source, target, seed=0):
    return batch(rows, source, target, seed, size=41)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(rows=st.integers(2, 20), source=st.integers(1, 12), target=st.integers(1, 9), pads=st.integers(0, 7))
def test_a_row_gives_the_same_bits_alone_and_beside_padding(kind, rows, source, target, pads):
    lm = t5(**KINDS[kind])
    inputs = tokens(rows, source, target, seed=rows)
    together = lm(inputs)
    wide = {k: np.pad(v, ((0, 0), (0, pads)), constant_values=1 - k.endswith("mask")) for k, v in inputs.items()}
    for row in {0, rows // 2, rows - 1}:
        alone = lm({key: value[row : row + 1] for key, value in inputs.items()})
        assert np.array_equal(alone[0], together[row])
    assert np.array_equal(lm(wide)[:, :target], together)


@pytest.mark.parametrize("kind", KINDS)
def test_cached_steps_equal_the_whole_pass_beyond_the_maximal_distance(kind):
    lm = t5(**KINDS[kind], dtype="float64")
    inputs = tokens(2, 7, 150, seed=5)
    whole = lm(inputs)
    own, other = lm._initialize_cache(inputs["encoder_token_ids"], inputs["decoder_token_ids"])
    assert own.shape[3:] == (150, 3, lm.backbone.head_dim)
    encoded = lm.call_encoder(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])
    for first, width in ((0, 1), (1, 130), (131, 1), (132, 18)):
        ids = inputs["decoder_token_ids"][:, first : first + width]
        fill = 0 if first == 0 else None
        logits, _, own, other = lm.call_decoder_with_cache(
            encoded, inputs["encoder_padding_mask"], ids, own, first, other, fill
        )
        assert logits == pytest.approx(whole[:, first : first + width], rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_model_without_layers_generates(jit_compile):
    lm, inputs = t5(num_layers=0), tokens(3, 4, 8)
    lm.compile(sampler="greedy", jit_compile=jit_compile)
    inputs["decoder_padding_mask"] = np.arange(8) < np.array([[1], [2], [1]])
    ids = lm.generate(inputs, stop_token_ids=None)["decoder_token_ids"]
    full = lm(inputs | {"decoder_token_ids": ids, "decoder_padding_mask": np.ones_like(ids)})
    assert (ids[:, 2:] == full.argmax(axis=-1)[:, 1:-1]).all()


def test_buckets_worked_by_hand():
    """Distance n to bucket: single up to half, then steps of the logarithm, the last from 128 on."""
    near = {7: 7, 8: 8, 11: 8, 12: 9, 16: 10, 23: 11, 32: 12, 46: 13, 64: 14, 91: 15, 127: 15, 128: 15, 5000: 15}
    for n, bucket in near.items():
        assert relative_buckets(np.array([-n, n]), bidirectional=True).tolist() == [bucket, bucket + 16]
    causal = {0: 0, 15: 15, 16: 16, 19: 17, 31: 21, 32: 21, 64: 26, 112: 30, 113: 31, 127: 31, 128: 31, 5000: 31}
    for n, bucket in causal.items():
        assert relative_buckets(np.array([-n, n]), bidirectional=False).tolist() == [bucket, 0]


def test_a_source_without_any_token_gives_finite_logits_and_moves_no_other_row():
    lm, inputs = t5(), tokens(3, 6, 4)
    before = lm(inputs)
    inputs["encoder_padding_mask"][1] = False
    after = lm(inputs)
    assert np.isfinite(after).all()
    assert np.array_equal(after[[0, 2]], before[[0, 2]])


def test_half_precision_is_finite_with_padding_and_near_single():
    """KerasHub on JAX gives NaN here: its mask multiplies 0 by -1e9, which in float16 is infinite."""
    inputs = tokens(3, 9, 5)
    half, single = t5(dtype="float16")(inputs), t5()(inputs)
    assert half.dtype == np.float16
    assert half == pytest.approx(single, abs=0.05)


def test_half_precision_norms_large_states():
    model = t5_backbone(dtype="float16")
    model.params["token_embedding/embeddings"] *= np.float16(400.0)  # squares are beyond float16
    assert np.isfinite(model(tokens(2, 5, 4))["decoder_sequence_output"]).all()


def test_the_tied_head_is_scaled_and_the_other_is_not():
    states = np.ones((1, 1, 12), np.float32)
    tied, untied = t5_backbone(), t5_backbone(tie_embedding_weights=False)
    for model, table, scale in (
        (tied, tied.params["token_embedding/embeddings"], 12**-0.5),
        (untied, untied.params["token_embedding/reverse_embeddings"].T, 1.0),
    ):
        assert model.logits(model.scope, states)[0, 0] == pytest.approx(table.sum(axis=1) * scale, rel=1e-5)


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ((6, 8, 512, 2048, False, True), 60_506_624),  # t5_small_multi
        ((8, 6, 512, 1024, True, False), 76_961_152),  # flan_small_multi
        ((24, 64, 4096, 10240, True, False), 11_135_332_352),  # t5_1.1_xxl
    ],
)
def test_count_params_of_the_published_sizes(sizes, count):
    """What KerasHub lists for its presets."""
    names = ("num_layers", "num_heads", "hidden_dim", "intermediate_dim", "use_gated_activation")
    given = dict(zip((*names, "tie_embedding_weights"), sizes, strict=True))
    config = T5Config(32128, key_value_dim=64, **given)
    assert sum(int(np.prod(weight.shape, dtype=np.int64)) for weight in T5Backbone.layout(config)) == count


def test_fresh_weights():
    set_random_seed(1)
    model = T5Backbone(500, 1, 4, 64, 96, key_value_dim=24)
    expected = {
        "transformer_encoder_layer_0/self_attention/query_projector/kernel": (96 * 24) ** -0.5,
        "transformer_encoder_layer_0/self_attention/value_projector/kernel": 96**-0.5,
        "transformer_decoder_layer_0/cross_attention/output_projector/kernel": 96**-0.5,
        "transformer_decoder_layer_0/gate_projector/kernel": 64**-0.5,
        "transformer_decoder_layer_0/output_projector/kernel": 96**-0.5,
        "token_embedding/embeddings": 0.8796,  # a normal cut at two deviations has this spread
    }
    for name, deviation in expected.items():
        weight = model.params[name]
        assert weight.std() == pytest.approx(deviation, rel=0.05), name
        assert abs(weight.mean()) < deviation * 0.05, name
    assert (model.params["encoder_output_layer_norm/weight"] == 1).all()


@pytest.mark.parametrize(
    "change",
    [
        {"num_heads": 0},
        {"dropout": 1.0},
        {"hidden_dim": 2.5},
        {"key_value_dim": 0},
        {"key_value_dim": None, "num_heads": 13},
        {"activation": "tanh"},
        {"activation": None},
        {"activation": {"config": ["relu"]}},
        {"use_gated_activation": 1},
        {"layer_norm_epsilon": float("nan")},
        {"num_layers": True},
    ],
)
def test_bad_configuration_is_named(change):
    with pytest.raises(errors.ConfigError):
        t5_backbone(**change)


def test_a_configuration_comes_back():
    for kind in KINDS.values():
        model = t5_backbone(**kind)
        assert T5Backbone.from_config(model.get_config()).get_config() == model.get_config()
    assert t5_backbone(activation="swish").get_config()["activation"] == "silu"
    written = t5_backbone(activation="gelu_approximate").get_config()["activation"]
    assert (written["class_name"], written["config"]) == ("function", "keras_hub>gelu_approximate")


def test_task_takes_its_own_backbone_only():
    with pytest.raises(errors.InputTypeError):
        T5Seq2SeqLM(seq2seq().backbone)


@pytest.mark.parametrize("sampler", ["greedy", "beam", "contrastive", "top_k", "top_p", "random"])
def test_every_sampler_generates(sampler):
    lm = t5()
    lm.compile(sampler=sampler, jit_compile=False)
    inputs = tokens(2, 5, 8)
    inputs["decoder_padding_mask"][:, 2:] = False
    output = lm.generate(inputs, stop_token_ids=None)
    assert np.array_equal(output["decoder_token_ids"][:, :2], inputs["decoder_token_ids"][:, :2])
    if sampler == "greedy":
        ids = output["decoder_token_ids"]
        logits = lm(inputs | {"decoder_token_ids": ids, "decoder_padding_mask": np.ones_like(ids)})
        assert np.array_equal(logits[:, 1:-1].argmax(-1), ids[:, 2:])


def test_no_length_is_too_long():
    assert t5()(tokens(1, 200, 3)).shape == (1, 3, 41)
