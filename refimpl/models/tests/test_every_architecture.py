"""What holds for a backbone of any architecture."""

import dataclasses
import inspect

import numpy as np
import pytest

from refimpl import models
from refimpl.autograd.dropout import Dropout
from refimpl.errors import ConfigError, PresetError
from refimpl.models.backbone import Backbone
from refimpl.tests import speech, tiny

T5GEMMA = {
    "vocabulary_size": 41, "sliding_window": 3,
    **{f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in {
        "hidden_dim": 12, "intermediate_dim": 20, "num_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 6, "layer_types": ["full_attention"]}.items()},
}  # fmt: skip
MOONSHINE = speech.task().backbone.get_config() | {"name": "m", "encoder_num_layers": 1}
MAKE = {
    "bart": lambda **more: models.BartBackbone.from_config(tiny.backbone().get_config() | more),
    "t5": lambda **more: models.T5Backbone.from_config(tiny.t5_backbone().get_config() | more),
    "t5gemma": lambda **more: models.T5GemmaBackbone(**T5GEMMA | more),
    "moonshine": lambda **more: models.MoonshineBackbone.from_config(MOONSHINE | more),
}
DROPOUT = {"bart": "dropout", "t5": "dropout", "t5gemma": "dropout_rate", "moonshine": "dropout"}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_fresh_norms_change_nothing_and_fresh_shifts_add_nothing(make):
    """Source: the initializers of KerasHub 0.32's layers."""
    x = np.float32([[1.0, 2.0, 4.0] * 4])
    backbone, places = make(), 0
    for name, array in backbone.params.items():
        place, _, last = name.rpartition("/")
        if last in ("beta", "bias"):
            assert not array.any(), name
        elif last in ("gamma", "scale", "weight") and array.shape == (12,):
            normed = np.asarray(backbone.norm(x, backbone.scope[place]))
            np.testing.assert_allclose(np.square(normed).mean(), 1.0, rtol=1e-3, err_msg=name)
            places += 1
    assert places > 4


class Counting(Dropout):
    """Counts the places."""

    count = 0

    def __call__(self, x):
        self.count += 1
        return x

    def stream(self):
        self.count += 1
        return 0


@pytest.mark.parametrize("kind", MAKE)
def test_every_layer_of_both_sides_drops(kind):
    """A model that drops gives other states in each layer than one that does not, so each is told of the dropout."""
    more = {DROPOUT[kind]: 0.3} | ({"attention_dropout": 0.3} if kind in ("t5gemma", "moonshine") else {})
    backbone = MAKE[kind](**more)
    batch = tiny.batch(2, 4, 5, size=16)
    if kind == "moonshine":
        rows = tiny.sounding(batch)
        batch = backbone.checked(rows)
    drop, seen = Counting(0.3), []
    layers = {name: getattr(backbone, name) for name in ("encoder_layer", "decoder_layer")}
    for name, right in layers.items():

        def told(n, *rest, right=right, name=name):
            before = drop.count
            found = right(n, *rest)
            seen.append((name, n, drop.count - before))
            return found

        setattr(backbone, name, told)
    backbone.forward(backbone.scope, batch, drop)
    assert {(name, n) for name, n, _ in seen} == {
        (f"{side}_layer", n) for side in ("encoder", "decoder") for n in range(backbone.depth(side))
    }
    assert all(count > 0 for *_, count in seen), seen


class InAttention(Counting):
    """Counts the places that attention weights are dropped in."""

    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    ("kind", "rates", "places"),
    [
        ("bart", {"dropout": 0.3}, 6),
        ("t5", {"dropout": 0.3}, 6),
        ("t5gemma", {"dropout_rate": 0.3}, 0),
        ("t5gemma", {"dropout_rate": 0.3, "attention_dropout": 0.3}, 3),
        ("moonshine", {"dropout": 0.3}, 0),
        ("moonshine", {"dropout": 0.3, "attention_dropout": 0.3}, 3),
    ],
)
def test_where_attention_weights_are_dropped(kind, rates, places):
    """Source: keras-hub 0.32.0, what each architecture gives its attention layers."""
    backbone, drop, batch = MAKE[kind](**rates), InAttention(0.3), tiny.batch(2, 4, 5, size=16)
    given = backbone.checked(tiny.sounding(batch) if kind == "moonshine" else batch)
    backbone.forward(backbone.scope, given, drop)
    assert drop.count == places


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_a_class_takes_its_own_configuration(make):
    """With the data type as Keras writes it. Source: keras 3.15 `dtype_policies.get`."""
    backbone = make(dtype="float64")
    again = type(backbone)(**backbone.get_config())
    assert (again.dtype, again.get_config()) == ("float64", backbone.get_config())


def test_sizes_that_may_be_none():
    with pytest.raises(ValueError, match="attn_logit_softcapping"):
        MAKE["t5gemma"](attn_logit_softcapping=0.0)
    with pytest.raises(ValueError, match="final_logit_softcapping"):
        MAKE["t5gemma"](final_logit_softcapping=0.0)


@pytest.mark.parametrize("name", ["query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"])
def test_the_smallest_divisor_is_taken(name):
    with pytest.raises(ConfigError, match="from 1e-30"):
        MAKE["t5gemma"](**{name: 9e-31})
    assert getattr(MAKE["t5gemma"](**{name: 1e-30}), name) == 1e-30


def test_a_backbone_is_no_record_as_its_configuration_is():
    with pytest.raises(TypeError):
        dataclasses.fields(MAKE["bart"]())


def test_all_of_a_head_may_turn():
    assert MAKE["moonshine"](partial_rotary_factor=1.0).config.pairs("encoder") == 3  # of the 6 dimensions of a head


@pytest.mark.parametrize("side", ["encoder", "decoder"])
@pytest.mark.parametrize("kind", ["t5gemma", "moonshine"])
def test_a_side_may_have_no_layers(kind, side):
    assert MAKE[kind](**{f"{side}_num_layers": 0}).depth(side) == 0
    with pytest.raises(ConfigError, match="at least 0"):
        MAKE[kind](**{f"{side}_num_layers": -1})


def test_shards_hold_ten_gigabytes_if_nothing_is_said():
    """Source: keras_hub 0.32 `Backbone.save_to_preset(preset_dir, max_shard_size=10)`."""
    for method in (Backbone.save_to_preset, Backbone.write_preset_files):
        assert inspect.signature(method).parameters["max_shard_size"].default == 10


def test_a_task_of_no_kind_can_not_be_loaded(tmp_path):
    """Source: keras_hub 0.32 `Task.from_preset`."""
    tiny.backbone().save_to_preset(tmp_path)
    with pytest.raises(PresetError, match="Do not call"):
        models.Task.from_preset(tmp_path)


def test_what_is_no_array_beside_token_ids_is_refused():
    lm = tiny.seq2seq(preprocessor=False)
    with pytest.raises(ValueError, match="encoder_token_ids|shape|rows"):
        lm.generate(
            {"encoder_token_ids": 3, "encoder_padding_mask": 1, "decoder_token_ids": 2, "decoder_padding_mask": 1},
            stop_token_ids=None,
        )


def test_tensors_of_moonshine_have_transformers_names(tmp_path):
    """Source: transformers 5.23 modeling_moonshine.py, `state_dict()`."""
    speech.task().export_to_transformers(tmp_path)
    from safetensors.numpy import load_file  # noqa: PLC0415

    names = set(load_file(tmp_path / "model.safetensors"))
    for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
        assert f"model.encoder.layers.0.self_attn.{name}.weight" in names
        assert f"model.decoder.layers.0.self_attn.{name}.weight" in names
        assert f"model.decoder.layers.0.encoder_attn.{name}.weight" in names
    assert np.shape(load_file(tmp_path / "model.safetensors")["model.encoder.conv1.weight"])[1:] == (1, 127)


def test_layer_types_may_be_a_tuple():
    """KerasHub takes any sequence; its JSON has lists."""
    for side in ("encoder", "decoder"):
        config = MAKE["t5gemma"](**{f"{side}_layer_types": ("full_attention",)}).get_config()
        assert config[f"{side}_layer_types"] == ["full_attention"]
