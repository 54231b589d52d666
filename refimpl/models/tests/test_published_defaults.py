"""What a configuration leaves out has the value that transformers' own class, or KerasHub's constructor, gives it.

Source: transformers 5.23, `BartConfig()`, `T5Config()`, `MoonshineConfig()` and `T5GemmaConfig()`, printed; the
    signatures of keras-hub 0.32.0's backbones.
"""

import dataclasses

import pytest

from refimpl.errors import ConfigError
from refimpl.models.bart.backbone import BartConfig
from refimpl.models.bart.transformers import FAMILY as BART
from refimpl.models.moonshine.backbone import MoonshineConfig
from refimpl.models.moonshine.transformers import FAMILY as MOONSHINE
from refimpl.models.t5.backbone import T5Config
from refimpl.models.t5.transformers import FAMILY as T5
from refimpl.models.t5gemma.backbone import T5GemmaConfig
from refimpl.models.t5gemma.transformers import FAMILY as T5GEMMA
from refimpl.tests import tiny

SIDE = {
    "hidden_dim": 2304, "intermediate_dim": 9216, "num_layers": 26, "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 256,
}  # fmt: skip
SIGNATURES = {
    BartConfig: {"dropout": 0.1, "max_sequence_length": 1024},
    T5Config: {
        "key_value_dim": None, "dropout": 0.1, "activation": "relu", "use_gated_activation": True,
        "layer_norm_epsilon": 1e-6, "tie_embedding_weights": True,
    },
    T5GemmaConfig: {
        "dropout_rate": 0.0, "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 1.0, "attention_bias": False,
        "hidden_activation": "gelu_approximate", "tie_word_embeddings": True, "initializer_range": 0.02,
        "attention_dropout": 0.0, "sliding_window": None, "cross_attention_hidden_size": None,
        "attn_logit_softcapping": None, "final_logit_softcapping": None, "rope_max_wavelength": 10000.0,
    },
    MoonshineConfig: {
        "feedforward_expansion_factor": 4, "encoder_use_swiglu_activation": False,
        "decoder_use_swiglu_activation": True, "max_position_embeddings": 2048, "pad_head_dim_to_multiple_of": None,
        "partial_rotary_factor": 0.62, "dropout": 0.0, "initializer_range": 0.02, "rope_theta": 10000.0,
        "attention_bias": False, "attention_dropout": 0.0,
    },
}  # fmt: skip


@pytest.mark.parametrize("config", SIGNATURES)
def test_keras_hubs_constructors(config):
    optional = [field for field in dataclasses.fields(config) if field.default is not dataclasses.MISSING]
    assert [(field.name, field.default) for field in optional] == list(SIGNATURES[config].items())


def test_bart():
    found = BART.backbone_config({}, "config.json")
    assert found == {
        "vocabulary_size": 50265, "num_layers": 12, "num_heads": 16, "hidden_dim": 1024, "intermediate_dim": 4096,
        "dropout": 0.1, "max_sequence_length": 1024,
    }  # fmt: skip
    said = {"decoder_layers": 12, "decoder_attention_heads": 16, "decoder_ffn_dim": 4096}
    assert BART.backbone_config(said | {"decoder_start_token_id": 2, "eos_token_id": 2}, "config.json") == found
    for key, size in said.items():
        with pytest.raises(ConfigError, match=key):
            BART.backbone_config({key: size + 1}, "config.json")
    years = ("normalize_before", "add_final_layer_norm", "add_bias_logits", "static_position_embeddings")
    large = dict.fromkeys(years, False) | {"normalize_embedding": True, "extra_pos_embeddings": 2}
    assert BART.backbone_config(large, "config.json") == found  # as facebook/bart-large's config.json says


def test_t5():
    said = {"relative_attention_num_buckets": 32, "relative_attention_max_distance": 128, "is_encoder_decoder": True}
    assert T5.backbone_config(said, "config.json") == {
        "vocabulary_size": 32128, "num_layers": 6, "num_heads": 8, "hidden_dim": 512, "intermediate_dim": 2048,
        "key_value_dim": 64, "dropout": 0.1, "layer_norm_epsilon": 1e-6, "activation": "relu",
        "use_gated_activation": False, "tie_embedding_weights": True,
    }  # fmt: skip
    assert T5.backbone_config({"decoder_start_token_id": 0}, "config.json")
    with pytest.raises(ConfigError, match="pad_token_id=0"):
        T5.backbone_config({"decoder_start_token_id": 1}, "config.json")


def test_moonshine():
    assert MOONSHINE.backbone_config({}, "config.json") == {
        "vocabulary_size": 32768, "filter_dim": 288, "hidden_dim": 288, "intermediate_dim": 1152,
        "encoder_num_layers": 6, "decoder_num_layers": 6, "encoder_num_heads": 8, "decoder_num_heads": 8,
        "feedforward_expansion_factor": 4, "max_position_embeddings": 512, "pad_head_dim_to_multiple_of": None,
        "partial_rotary_factor": 0.9, "rope_theta": 10000.0, "initializer_range": 0.02,
        "attention_dropout": 0.0, "dropout": 0.0,
    }  # fmt: skip


def test_names_in_checkpoints():
    """Of facebook/bart-base, google-t5/t5-small, google/t5gemma-2b-2b-ul2 and UsefulSensors/moonshine-tiny."""
    families = (T5, T5GEMMA, MOONSHINE)
    assert [family.sentence_piece for family in families] == ["spiece.model", "tokenizer.model", "tokenizer.model"]
    assert [family.prefix for family in (BART, *families)] == ["model.", "", "model.", "model."]
    assert (T5GEMMA.tokenizer_class, MOONSHINE.tokenizer_class) == ("GemmaTokenizer", "LlamaTokenizer")
    assert BART.zero == ("final_logits_bias",)
    assert T5.unused == ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)


def test_t5gemma():
    found = T5GEMMA.backbone_config({"encoder": {}, "decoder": {}}, "config.json")
    for side in ("encoder", "decoder"):
        assert found.pop(f"{side}_layer_types") == ["sliding_attention", "full_attention"] * 13
        for name, size in SIDE.items():
            assert found.pop(f"{side}_{name}") == size
    assert found == {
        "vocabulary_size": 256000, "dropout_rate": 0.0, "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 256,
        "attention_bias": False, "hidden_activation": "gelu_approximate", "tie_word_embeddings": True,
        "initializer_range": 0.02, "attention_dropout": 0.0, "sliding_window": 4096,
        "cross_attention_hidden_size": 2304, "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0,
        "rope_max_wavelength": 10000.0,
    }  # fmt: skip


def test_layers_of_t5gemma_are_of_the_kinds_that_are_said():
    kinds = ["full_attention"] * 25 + ["sliding_attention"]
    found = T5GEMMA.backbone_config({"encoder": {"layer_types": kinds}, "decoder": {}}, "config.json")
    assert found["encoder_layer_types"] == kinds


@pytest.mark.parametrize("side", ["encoder", "decoder"])
def test_a_number_of_layers_that_is_none_is_named(side):
    config = {"encoder": {}, "decoder": {}} | {side: {"num_hidden_layers": "26"}}
    with pytest.raises(ConfigError, match=f"{side}_num_layers must be a whole number"):
        T5GemmaConfig(**T5GEMMA.backbone_config(config, "config.json"))


def test_what_a_checkpoint_says_of_bart():
    """In the words of facebook/bart-base's config.json; KerasHub's BART drops attention weights too."""
    found = BART.transformers_config(tiny.backbone(dropout=0.3).get_config(), None, "float32")
    assert found == {
        "model_type": "bart", "architectures": ["BartForConditionalGeneration"], "dtype": "float32", "d_model": 12,
        "encoder_layers": 2, "decoder_layers": 2, "num_hidden_layers": 2, "encoder_attention_heads": 3,
        "decoder_attention_heads": 3, "encoder_ffn_dim": 20, "decoder_ffn_dim": 20, "dropout": 0.3,
        "attention_dropout": 0.3, "activation_dropout": 0.0, "activation_function": "gelu", "vocab_size": 269,
        "max_position_embeddings": 19, "scale_embedding": False, "tie_word_embeddings": True,
        "is_encoder_decoder": True, "forced_eos_token_id": None,
    }  # fmt: skip


def test_what_a_checkpoint_says_of_t5():
    """In the words of google-t5/t5-small's and google/flan-t5-small's config.json."""
    found = T5.transformers_config(tiny.t5_backbone(dropout=0.3).get_config(), None, "float32")
    assert found == {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "dtype": "float32", "d_model": 12,
        "d_ff": 20, "d_kv": 5, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 3, "dropout_rate": 0.3,
        "feed_forward_proj": "gated-relu", "layer_norm_epsilon": 1e-6, "vocab_size": 41, "is_decoder": False,
        "is_encoder_decoder": True, "tie_word_embeddings": True, "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    shared = T5.transformers_config(tiny.t5_backbone(key_value_dim=None).get_config(), None, "float32")
    assert shared["d_kv"] == 4


def test_what_a_checkpoint_says_of_t5gemma():
    """In the words of google/t5gemma-2b-2b-ul2's config.json."""
    sizes = {"hidden_dim": 12, "intermediate_dim": 20, "num_layers": 1, "num_attention_heads": 4,
             "num_key_value_heads": 2, "head_dim": 6, "layer_types": ["full_attention"]}  # fmt: skip
    sides = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in sizes.items()}
    config = T5GemmaConfig(41, **sides, hidden_activation="gelu_approximate", rope_max_wavelength=5.0)
    both = {
        "model_type": "t5_gemma_module", "hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "layer_types": ["full_attention"],
        "vocab_size": 41, "dropout_rate": 0.0, "rms_norm_eps": 1e-6, "query_pre_attn_scalar": 1,
        "attention_bias": False, "initializer_range": 0.02, "attention_dropout": 0.0, "sliding_window": None,
        "attn_logit_softcapping": None, "final_logit_softcapping": None, "hidden_activation": "gelu_pytorch_tanh",
        "rope_parameters": {"rope_theta": 5.0, "rope_type": "default"},
    }  # fmt: skip
    assert T5GEMMA.transformers_config(config.written(), None, "float32") == {
        "model_type": "t5gemma", "architectures": ["T5GemmaForConditionalGeneration"], "dtype": "float32",
        "is_encoder_decoder": True, "tie_word_embeddings": True, "vocab_size": 41,
        "encoder": both | {"is_decoder": False},
        "decoder": both | {"is_decoder": True, "cross_attention_hidden_size": 12},
    }  # fmt: skip
    # What is not known stays what it is, so that the error can name it.
    for given, meant in (("relu", "relu"), ("gelu_pytorch_tanh", "gelu_approximate"), ("tanh", "tanh")):
        side = {"hidden_activation": given}
        found = T5GEMMA.backbone_config({"encoder": side, "decoder": side}, "config.json")
        assert found["hidden_activation"] == meant
