"""What a configuration of transformers leaves out has the value that transformers' own class gives it.

Source: transformers 5.23, `MoonshineConfig()` and `T5GemmaConfig()`, printed.
"""

from refimpl.models.moonshine.transformers import FAMILY as MOONSHINE
from refimpl.models.t5gemma.transformers import FAMILY as T5GEMMA

SIDE = {
    "hidden_dim": 2304, "intermediate_dim": 9216, "num_layers": 26, "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 256,
}  # fmt: skip


def test_moonshine():
    assert MOONSHINE.backbone_config({}, "config.json") == {
        "vocabulary_size": 32768, "filter_dim": 288, "hidden_dim": 288, "intermediate_dim": 1152,
        "encoder_num_layers": 6, "decoder_num_layers": 6, "encoder_num_heads": 8, "decoder_num_heads": 8,
        "feedforward_expansion_factor": 4, "max_position_embeddings": 512, "pad_head_dim_to_multiple_of": None,
        "partial_rotary_factor": 0.9, "rope_theta": 10000.0, "initializer_range": 0.02,
        "attention_dropout": 0.0, "dropout": 0.0,
    }  # fmt: skip


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
