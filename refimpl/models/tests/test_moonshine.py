"""Moonshine. Expectations were printed by KerasHub 0.32 (on JAX and PyTorch alike) for weights of a formula."""

import numpy as np
import pytest

from refimpl import errors
from refimpl.autograd.dropout import Dropout
from refimpl.decoding.trim import source_of
from refimpl.models import MoonshineAudioToText, MoonshineBackbone
from refimpl.models.moonshine.transformers import FAMILY
from refimpl.random import set_random_seed
from refimpl.tests.tiny import adversarial
from refimpl.training.batch import training_batch

SIZES = {
    "vocabulary_size": 10, "filter_dim": 8, "hidden_dim": 8, "intermediate_dim": 8, "encoder_num_layers": 2,
    "decoder_num_layers": 2, "encoder_num_heads": 2, "decoder_num_heads": 2, "feedforward_expansion_factor": 2,
}  # fmt: skip
# No two sizes alike, unequal sides, pairs that turn beside numbers that stay.
WIDE = SIZES | {
    "vocabulary_size": 41, "filter_dim": 12, "hidden_dim": 12, "encoder_num_heads": 3, "decoder_num_layers": 3,
    "feedforward_expansion_factor": 3, "partial_rotary_factor": 0.7, "dropout": 0.1,
}  # fmt: skip
KINDS = {
    "released": {},
    "biased": {"attention_bias": True, "pad_head_dim_to_multiple_of": 5},
    "other activations": {"encoder_use_swiglu_activation": True, "decoder_use_swiglu_activation": False},
}
TONE = np.sin(0.05 * np.arange(2400) ** 1.1)
TARGET = {
    "decoder_token_ids": np.array([[1, 5, 8, 9], [1, 4, 7, 0]]),
    "decoder_padding_mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]]),
}


def tones():
    mask = np.arange(2400) < np.array([[2400], [1600]])
    sound = np.where(mask, np.stack([TONE, 0.5 * TONE]), 0.0).astype(np.float32)
    return {"encoder_input_values": sound[..., None], "encoder_padding_mask": mask}


def by_formula():
    """Weights from a formula, numbered in the order of the datasets' names; frequencies stay what they are."""
    model = MoonshineBackbone(**SIZES)
    for k, weight in enumerate(sorted(model.layout(model.config), key=lambda weight: weight.dataset)):
        values = 0.6 * np.sin(0.37 * (np.arange(np.prod(weight.shape)) + 1) ** 2 + 1.3 * k + 0.5)
        if not weight.name.endswith("inv_freq"):
            model.params[weight.name] = values.astype(np.float32).reshape(weight.shape)
    return MoonshineAudioToText(model, None)


def wide(dtype="float32", **changes):
    model = MoonshineBackbone(**WIDE | changes, dtype=dtype)
    kept = {name: model.params[name] for name in model.params if name.endswith("inv_freq")}
    adversarial(model).params |= kept
    lm = MoonshineAudioToText(model, None)
    lm.compile(sampler="greedy")
    return lm


def noise(rows=3, samples=3000, target=7, seed=0):
    """Recordings of random numbers, the first of full length and the second of one frame."""
    rng = np.random.default_rng(seed)
    lengths = np.array([[samples], [900], *[[1700]] * (rows - 2)])
    mask = np.arange(samples) < lengths
    return {
        "encoder_input_values": np.where(mask, 0.3 * rng.standard_normal(mask.shape), 0.0)[..., None],
        "encoder_padding_mask": mask,
        "decoder_token_ids": rng.integers(0, 41, (rows, target)),
        "decoder_padding_mask": np.ones((rows, target), bool),
    }


def test_states_and_logits_are_keras_hubs():
    lm, inputs = by_formula(), tones() | TARGET
    assert lm.count_params() == 5458
    found, logits = lm.backbone(inputs), lm(inputs)
    assert found["encoder_attention_mask"].astype(int).tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    states = found["encoder_sequence_output"]
    for found, expected in (
        (states[0, 1], [0.254002, 0.036178, -0.146098, -0.079309, 0.000361, -0.881344, 0.04578, -0.613164]),
        (states[1, 1], [0.320642, -0.062176, -0.085692, -0.038759, 0.000198, -1.003671, 0.045696, -0.750644]),
        (logits[0, 0, :5], [-0.406539, 0.523862, 0.668818, -0.190904, 0.004993]),
        (logits[0, 3, 5:], [0.19001, -0.232119, -0.214642, 0.319265, -0.150834]),
        (logits[1, 2, :5], [-0.360719, 0.334765, 0.520925, -0.605149, -0.390308]),
    ):
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_fresh_frequencies_by_formula():
    """Pair i of n turns by `10000 ** (-i / n)`; a head of 12 with the factor 0.7 has 4 pairs."""
    found = MoonshineBackbone(**WIDE | {"encoder_num_heads": 1}).params["encoder_rotary_embedding/inv_freq"]
    assert found == pytest.approx([1.0, 0.1, 0.01, 0.001], rel=1e-6)


def test_a_checkpoints_table_has_transformers_names():
    weights = {weight.name: weight for weight in MoonshineBackbone.layout(MoonshineBackbone(**SIZES).config)}
    names = weights["token_embedding/embeddings"].tensor.names
    assert names == ("model.decoder.embed_tokens.weight", "proj_out.weight")


@pytest.mark.parametrize(
    ("heads", "factor", "turning"), [(4, 1.0, 2), (4, 0.7, 2), (2, 0.5, 2), (2, 0.9, 4), (1, 0.62, 6)]
)
def test_a_checkpoints_heads_turn_as_many_numbers(heads, factor, turning):
    """transformers 5.23 turns the first `int(head_dim * partial_rotary_factor)`; KerasHub an even number of them."""
    changes = {"hidden_dim": 12, "filter_dim": 12, "encoder_num_heads": heads, "decoder_num_heads": heads}
    model = MoonshineBackbone(**SIZES | changes | {"partial_rotary_factor": factor})
    found = FAMILY.transformers_config(model.config.written(), None, "float32")
    assert int(12 // heads * found["rope_parameters"]["partial_rotary_factor"]) == turning
    assert 2 * len(model.params["decoder_rotary_embedding/inv_freq"]) == turning
    assert "head_dim" not in found


def test_what_keras_hub_generates():
    lm = by_formula()
    lm.compile(sampler="greedy")
    prompt = {"decoder_token_ids": np.array([[1, 0, 0, 0, 0, 0]] * 2), "decoder_padding_mask": np.eye(6)[[0, 0]]}
    found = lm.generate(tones() | prompt, stop_token_ids=None)["decoder_token_ids"]
    assert found.tolist() == [[1, 7, 2, 9, 2, 9], [1, 9, 2, 9, 2, 9]]


def test_one_row_of_samples_gives_one_row():
    lm, rows = (
        by_formula(),
        tones() | {"decoder_token_ids": np.ones((2, 6), int), "decoder_padding_mask": np.eye(6)[[0, 0]]},
    )
    lm.compile(sampler="greedy")
    both = lm.generate(rows, stop_token_ids=None)["decoder_token_ids"]
    alone = lm.generate({key: value[0] for key, value in rows.items()}, stop_token_ids=None)["decoder_token_ids"]
    assert alone.tolist() == both[0].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_cached_steps_equal_the_whole_pass(kind):
    lm, inputs = wide("float64", **KINDS[kind]), noise()
    whole = lm(inputs)
    own, other = lm._initialize_cache(inputs["encoder_input_values"], inputs["decoder_token_ids"])
    encoded, mask = lm.call_encoder(inputs["encoder_input_values"], inputs["encoder_padding_mask"])
    assert mask.sum(axis=1).tolist() == [6, 1, 3]
    for first, width in ((0, 1), (1, 3), (4, 1), (5, 2)):
        ids = inputs["decoder_token_ids"][:, first : first + width]
        fill = 0 if first == 0 else None
        logits, _, own, other = lm.call_decoder_with_cache(encoded, mask, ids, own, first, other, fill)
        assert logits == pytest.approx(whole[:, first : first + width], rel=1e-11, abs=1e-11)


def test_what_stands_in_padding_is_not_attended_to_but_normed():
    """A recording's numbers depend on how far it is padded, as KerasHub's do; not on what its last frames are."""
    lm, inputs = wide("float64"), noise()
    padded = {key: value[2:] for key, value in inputs.items()}
    alone = {key: value[:, :1700] if key.startswith("encoder") else value for key, value in padded.items()}
    assert np.abs(lm(padded) - lm(alone)).max() > 1e-6
    assert lm.backbone.whole_frames(padded["encoder_padding_mask"]).sum() == 3


def test_padding_that_is_normed_with_the_rest_is_not_cut():
    inputs = noise()
    inputs["encoder_padding_mask"][:, 2000:] = False
    source, mask = source_of(wide().backbone, inputs)
    assert (source.shape[1], mask.shape[1]) == (3000, 3000)


def test_lengths_by_hand():
    model = MoonshineBackbone(**SIZES)
    samples = [0, 894, 895, 1278, 1279, 1662, 1663, 2400, 16000]
    assert [int(model.source_length(n)) for n in samples] == [0, 0, 1, 1, 2, 2, 3, 4, 40]


@pytest.mark.parametrize("sampler", ["greedy", "beam", "contrastive", "top_k", "top_p", "random"])
def test_every_sampler_generates(sampler):
    lm, inputs = wide(), noise(target=9)
    inputs["decoder_padding_mask"] = np.arange(9) < np.array([[2], [4], [3]])
    lm.compile(sampler=sampler)
    found = lm.generate(inputs, stop_token_ids=None)["decoder_token_ids"]
    kept = inputs["decoder_padding_mask"]
    assert (found[kept] == inputs["decoder_token_ids"][kept]).all()


def test_fit_lowers_the_loss_and_leaves_frequencies_alone():
    set_random_seed(3)
    lm, inputs = wide(), noise()
    before = lm.backbone.params["encoder_rotary_embedding/inv_freq"].copy()
    fixed = [f"{side}_rotary_embedding/inv_freq" for side in ("encoder", "decoder")]
    assert [weight.path for weight in lm.non_trainable_weights] == fixed
    lm.compile(optimizer="adam")
    labels = np.roll(inputs["decoder_token_ids"], -1, axis=1)
    history = lm.fit(x=inputs, y=labels, epochs=8, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert (lm.backbone.params["encoder_rotary_embedding/inv_freq"] == before).all()


def test_the_stem_learns():
    lm, inputs = wide("float64", dropout=0.0), noise(rows=2)
    labels, name = np.roll(inputs["decoder_token_ids"], -1, axis=1), "conv2/kernel"
    batch = training_batch(lm.backbone, inputs, labels, None)
    slope = lm._run(batch, Dropout(), train=True).gradients[name][3, 2, 5]
    at, losses = lm.backbone.params[name], []
    for step in (1e-5, -1e-5):
        lm.backbone.params[name] = at.copy()
        lm.backbone.params[name][3, 2, 5] += step
        losses.append(lm._run(batch, Dropout(), train=False).loss)
    assert slope == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"filter_dim": 6},
        {"encoder_num_heads": 12},
        {"partial_rotary_factor": 0.1},
        {"partial_rotary_factor": 1.6},
        {"attention_dropout": 0.5},
        {"feedforward_expansion_factor": 1.5},
        {"pad_head_dim_to_multiple_of": 0},
    ],
)
def test_bad_configuration_is_named(change):
    name = "partial_rotary_factor" if "encoder_num_heads" in change else next(iter(change))
    with pytest.raises(errors.ConfigError, match=name):
        MoonshineBackbone(**WIDE | change)


SOUND = noise(rows=2)["encoder_input_values"]


@pytest.mark.parametrize(
    ("sound", "error", "match"),
    [
        (np.zeros((2, 0, 1)), errors.InputError, "shapes"),
        (SOUND[:, :894], errors.SequenceLengthError, "895 samples"),
        (np.where(SOUND > 0.5, np.nan, SOUND), errors.InputError, "not finite"),
        (SOUND.astype(float) * 1e300, errors.InputError, "not finite"),
        (np.repeat(SOUND, 2, axis=2), errors.InputError, "Mix channels"),
        (SOUND[..., None], errors.InputError, "Mix channels"),
        (SOUND[0, :, 0], errors.InputError, "Mix channels"),
        ((SOUND * 32767).astype(np.int16), errors.InputError, "divide 16-bit integers"),
        ([[0.5, 0.5], [0.5]], errors.InputError, "pad recordings"),
        ("speech.wav", errors.InputError, "finite floats"),
    ],
)
def test_bad_sound_is_named(sound, error, match):
    columns = np.shape(sound)[1] if isinstance(sound, np.ndarray) and sound.ndim > 1 else 5
    given = noise(rows=2) | {"encoder_input_values": sound, "encoder_padding_mask": np.ones((2, columns), bool)}
    with pytest.raises(error, match=match):
        wide()(given)


def test_a_frame_is_enough():
    inputs = noise(samples=895, rows=2)
    assert wide()(inputs).shape == (2, 7, 41)


def test_a_row_without_a_whole_frame_attends_to_nothing():
    inputs = noise(rows=2)
    inputs["encoder_padding_mask"][1, 894:] = False
    found = wide()(inputs)
    assert np.isfinite(found).all()
    assert np.array_equal(found, wide()({k: v[..., 0] if v.ndim == 3 else v for k, v in inputs.items()}))
