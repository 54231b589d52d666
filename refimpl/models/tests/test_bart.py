"""Properties of BART that hold for any weights; its numbers are checked by the conformance cases."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from refimpl import errors
from refimpl.models import BartBackbone, BartSeq2SeqLM
from refimpl.models.bart.backbone import BartConfig
from refimpl.models.weights import fresh_weights
from refimpl.random import set_random_seed
from refimpl.tests.tiny import backbone, batch, seq2seq

LM = seq2seq(preprocessor=False)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(2, 20), source=st.integers(1, 12), target=st.integers(1, 9), pads=st.integers(0, 7))
def test_a_row_gives_the_same_bits_alone_and_beside_padding(rows, source, target, pads):
    inputs = batch(rows, source, target, seed=rows)
    together = LM(inputs)
    wide = {k: np.pad(v, ((0, 0), (0, pads)), constant_values=1 - k.endswith("mask")) for k, v in inputs.items()}
    for row in {0, rows // 2, rows - 1}:
        alone = LM({key: value[row : row + 1] for key, value in inputs.items()})
        assert np.array_equal(alone[0], together[row])
    assert np.array_equal(LM(wide)[:, :target], together)


def test_what_the_mask_hides_does_not_matter():
    inputs = batch(4, 8, 5, seed=1)
    poisoned = {key: value.copy() for key, value in inputs.items()}
    poisoned["encoder_token_ids"][~inputs["encoder_padding_mask"]] = 77
    assert np.array_equal(LM(inputs), LM(poisoned))


def test_a_source_without_any_token_gives_finite_logits():
    inputs = batch(3, 6, 4)
    before = LM(inputs)
    inputs["encoder_padding_mask"][1] = False
    after = LM(inputs)
    assert np.isfinite(after).all()
    assert np.array_equal(after[[0, 2]], before[[0, 2]])


def test_cached_steps_equal_the_whole_pass():
    inputs = batch(3, 7, 6, seed=5)
    whole = LM(inputs)
    own, other = LM._initialize_cache(inputs["encoder_token_ids"], inputs["decoder_token_ids"])
    encoded = LM.call_encoder(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])
    for first, width in ((0, 1), (1, 3), (4, 1), (5, 1)):
        ids = inputs["decoder_token_ids"][:, first : first + width]
        fill = 0 if first == 0 else None
        logits, _, own, other = LM.call_decoder_with_cache(
            encoded, inputs["encoder_padding_mask"], ids, own, first, other, fill
        )
        assert logits == pytest.approx(whole[:, first : first + width], rel=1e-4, abs=1e-4)


def test_float64_is_computed_in_float64():
    model = backbone(dtype="float64")
    states = model(batch(1, 3, 2))["decoder_sequence_output"]
    assert states.dtype == np.float64
    assert (states != states.astype(np.float32)).any()


def test_count_params_of_the_published_sizes():
    """139,417,344 is what KerasHub lists for bart_base_en; here by the formula of the layers."""
    base = BartConfig(50265, num_layers=6, num_heads=12, hidden_dim=768, intermediate_dim=3072)
    assert sum(int(np.prod(weight.shape)) for weight in BartBackbone.layout(base)) == 139_417_344


def test_a_checkpoint_of_the_model_without_its_head_is_read(tmp_path):
    """transformers' `BartModel` has the names of `BartForConditionalGeneration` without `model.`."""
    LM.backbone.export_to_transformers(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    bare = {name.removeprefix("model."): array for name, array in tensors.items() if name.startswith("model.")}
    save_file(bare, tmp_path / "model.safetensors")
    assert len(bare) > 30
    for name, array in BartBackbone.from_preset(tmp_path).params.items():
        assert np.array_equal(array, LM.backbone.params[name]), name


def test_a_checkpoint_names_its_special_tokens(tmp_path):
    seq2seq().export_to_transformers(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    ids = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2}
    assert {key: config.get(key) for key in ids} == ids


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float64", 8)])
def test_weights_beyond_the_memory_are_refused(dtype, size, monkeypatch):
    numbers = backbone().count_params()
    sizes = backbone().get_config() | {"dtype": dtype}
    monkeypatch.setattr("refimpl.models.weights._memory", lambda: numbers * size)
    assert BartBackbone.from_config(sizes).count_params() == numbers
    monkeypatch.setattr("refimpl.models.weights._memory", lambda: numbers * size - 1)
    with pytest.raises(errors.ConfigError, match="memory"):
        BartBackbone.from_config(sizes)


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_ids_outside_the_vocabulary_are_refused(side):
    for wrong in (-1, LM.backbone.vocabulary_size):
        inputs = batch(2, 4, 3)
        inputs[f"{side}_token_ids"][1, 2] = wrong
        with pytest.raises(errors.TokenIdError, match=f"{side}_token_ids"):
            LM.backbone(inputs)


def test_a_head_may_have_one_dimension():
    assert backbone(hidden_dim=3).head_dim == 1
    with pytest.raises(errors.ConfigError, match="at least one dimension"):
        backbone(hidden_dim=2)


def test_twenty_thousand_weights_are_the_most(monkeypatch):
    monkeypatch.setattr("refimpl.models.weights._memory", lambda: 2**40)
    layout = [SimpleNamespace(name=n, shape=(), fresh=lambda dtype: dtype) for n in range(20_001)]
    assert len(fresh_weights(layout[:-1], "float32")) == 20_000
    with pytest.raises(errors.ConfigError, match="20001 weights"):
        fresh_weights(layout, "float32")


def test_fresh_weights_are_keras_hubs_initializers():
    set_random_seed(1)
    model = BartBackbone(500, 1, 2, 64, 96)
    table = model.params["token_embedding/embeddings"]
    assert abs(table).max() <= 0.04  # two standard deviations of 0.02
    assert table.std() == pytest.approx(0.02 * 0.8796, rel=0.02)  # a normal cut at two has this spread
    assert not model.params["transformer_encoder_layer_0/self_attention/query/bias"].any()
    assert (model.params["encoder_embeddings_layer_norm/gamma"] == 1).all()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"encoder_token_ids": [[0, 5000]]}, errors.TokenIdError),
        ({"encoder_token_ids": [[0, -1]]}, errors.TokenIdError),
        ({"encoder_token_ids": [[0.5, 1]]}, errors.TokenIdError),
        ({"encoder_token_ids": [[0], [1, 2]]}, errors.InputError),
        ({"encoder_token_ids": "ab"}, errors.InputError),
        ({"encoder_token_ids": np.zeros((0, 2), int), "encoder_padding_mask": np.zeros((0, 2))}, errors.InputError),
        ({"encoder_padding_mask": [[1]]}, errors.InputError),
        ({"decoder_padding_mask": [[1, 1]]}, errors.InputError),
        ({"decoder_token_ids": [[1], [1]], "decoder_padding_mask": [[1], [1]]}, errors.InputError),
        (
            {"decoder_token_ids": np.ones((1, 20), int), "decoder_padding_mask": np.ones((1, 20))},
            errors.SequenceLengthError,
        ),
    ],
)
def test_bad_inputs_are_named(change, error):
    good = {"encoder_token_ids": [[0, 1]], "encoder_padding_mask": [[1, 1]]}
    good |= {"decoder_token_ids": [[2]], "decoder_padding_mask": [[1]]}
    assert LM(good).shape == (1, 1, LM.backbone.vocabulary_size)
    with pytest.raises(error):
        LM(good | change)


def test_missing_input_and_texts_are_named():
    with pytest.raises(KeyError, match=r"Missing data for input .*models.inputs.keys"):
        LM({"encoder_token_ids": [[0]]})
    with pytest.raises(ValueError, match="generate"):
        LM("a text")


@pytest.mark.parametrize("change", [{"num_heads": 0}, {"dropout": 1.0}, {"hidden_dim": 2.5}, {"num_heads": 13}])
def test_bad_configuration_is_named(change):
    with pytest.raises(errors.ConfigError):
        backbone(**change)


def test_task_takes_its_own_backbone_only():
    with pytest.raises(errors.InputTypeError):
        BartSeq2SeqLM(None)


def test_weights_go_out_and_in():
    other = backbone(seed=9)
    other.set_weights(LM.backbone.get_weights())
    inputs = batch(2, 4, 3)
    assert np.array_equal(other(inputs)["decoder_sequence_output"], LM.backbone(inputs)["decoder_sequence_output"])
    with pytest.raises(errors.WeightsError):
        other.set_weights(LM.backbone.get_weights()[:-1])


def test_the_cache_does_not_run_over_the_position_table():
    inputs = batch(1, 3, 5)
    encoded = LM.call_encoder(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])
    own, cross = LM._initialize_cache(inputs["encoder_token_ids"], np.zeros((1, 30), int))
    arguments = (encoded, inputs["encoder_padding_mask"], inputs["decoder_token_ids"], own, 16, cross, 0)
    with pytest.raises(errors.SequenceLengthError, match="21 positions"):
        LM.call_decoder_with_cache(*arguments)


def test_a_wild_number_of_layers_is_refused_before_it_is_built():
    with pytest.raises(errors.ConfigError, match="weights"):
        BartBackbone(5, 3_000, 1, 1, 1)


def test_weights_stand_in_keras_hubs_order():
    """As `BartBackbone.weights` of keras-hub 0.32.0 on JAX has them; in the encoder the last norm comes before."""
    dense, norm = ("kernel", "bias"), ("gamma", "beta")
    attention = [(f"_attention/{part}", dense) for part in ("query", "key", "value", "attention_output")]
    attention.append(("_attention_layer_norm", norm))
    own, cross = ([(kind + place, names) for place, names in attention] for kind in ("self", "cross"))
    inner = [(f"feedforward_{part}_dense", dense) for part in ("intermediate", "output")]
    last = [("feedforward_layer_norm", norm)]
    for side, places in (("encoder", own + last + inner), ("decoder", own + cross + inner + last)):
        layer = f"transformer_{side}_layer_0/"
        found = [name.removeprefix(layer) for name in LM.backbone.params if name.startswith(layer)]
        assert found == [f"{place}/{name}" for place, names in places for name in names]


def test_weights_that_were_got_are_copies():
    model = backbone()
    for array in model.get_weights():
        array[:] = 0
    assert all(array.any() for array in model.params.values())
