"""T5 in every form of folder: KerasHub's, transformers', and back."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from refimpl.errors import ConfigError, PresetJSONError, WeightsError
from refimpl.models import Seq2SeqLM, T5Backbone, T5Seq2SeqLM, T5Tokenizer
from refimpl.presets.sentence_piece_file import CONTROL, NORMAL, UNKNOWN, WORD, model_file, model_type, pieces_of
from refimpl.tests.tiny import batch, t5_backbone

GOLDEN = Path(__file__).parents[3] / "golden" / "presets"
PIECES = [("<pad>", 0.0, CONTROL), ("</s>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN)]
PIECES += [(piece, -1.0 - n, NORMAL) for n, piece in enumerate(("\u2581a", "b", "\u2581", "a", "ab"))]
KINDS = {
    "1.0": {"use_gated_activation": False},
    "1.1": {"activation": "gelu_approximate", "tie_embedding_weights": False},
    "exact": {"activation": "gelu", "key_value_dim": None},
}


def tensors_of(model):
    """The model under transformers' names, written out by hand from its modeling_t5.py."""
    w, gated = model.params, model.use_gated_activation
    tensors = {"shared.weight": w["token_embedding/embeddings"]}
    if not model.tie_embedding_weights:
        tensors["lm_head.weight"] = w["token_embedding/reverse_embeddings"].T
    inner = [("input", "wi_0"), ("gate", "wi_1")] if gated else [("input", "wi")]
    for side in ("encoder", "decoder"):
        tensors[f"{side}.final_layer_norm.weight"] = w[f"{side}_output_layer_norm/weight"]
        bias = w[f"transformer_{side}_layer_0/self_attention/relative_attention_bias"]
        tensors[f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] = bias
        for n in range(2):
            ours, theirs = f"transformer_{side}_layer_{n}", f"{side}.block.{n}.layer"
            kinds = [("self", "SelfAttention"), ("cross", "EncDecAttention")][: 2 if side == "decoder" else 1]
            for place, (kind, name) in enumerate(kinds):
                for part in ("query", "key", "value", "output"):
                    kernel = w[f"{ours}/{kind}_attention/{part}_projector/kernel"]
                    tensors[f"{theirs}.{place}.{name}.{part[0]}.weight"] = kernel.T
                tensors[f"{theirs}.{place}.layer_norm.weight"] = w[f"{ours}/{kind}_attention_layer_norm/weight"]
            for part, name in [*inner, ("output", "wo")]:
                tensors[f"{theirs}.{len(kinds)}.DenseReluDense.{name}.weight"] = w[f"{ours}/{part}_projector/kernel"].T
            tensors[f"{theirs}.{len(kinds)}.layer_norm.weight"] = w[f"{ours}/layer_norm/weight"]
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}


def config_of(model, **changes):
    words = {"gelu_approximate": "gated-gelu", "gelu": "gated-gelu_python", "relu": "relu"}
    return {
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
        "vocab_size": 41,
        "d_model": 12,
        "d_kv": model.head_dim,
        "d_ff": 20,
        "num_layers": 2,
        "num_heads": 3,
        "dropout_rate": 0.1,
        "feed_forward_proj": words[model.activation],
        "tie_word_embeddings": model.tie_embedding_weights,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
    } | changes


def checkpoint(path, model, tensors=None, **changes):
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config_of(model, **changes)))
    (path / "spiece.model").write_bytes(model_file(PIECES, frame={"unk": 2}))
    save_file(tensors_of(model) if tensors is None else tensors, path / "model.safetensors")
    return path


def same(a, b):
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("preset", ["t5_tiny", "t5_gated"])
def test_a_folder_of_keras_hub(preset, tmp_path):
    lm = Seq2SeqLM.from_preset(GOLDEN / preset)
    assert type(lm) is T5Seq2SeqLM
    lm.save_to_preset(tmp_path / "p")
    back = Seq2SeqLM.from_preset(tmp_path / "p")
    assert same(back.backbone.params, lm.backbone.params)
    assert back.backbone.get_config() == lm.backbone.get_config()
    assert isinstance(lm.generate("the cat", max_length=6), str)


def test_the_form_with_tanh_is_saved_as_keras_hub_writes_it(tmp_path):
    t5_backbone(activation="gelu_approximate").save_to_preset(tmp_path / "p")
    written = json.loads((tmp_path / "p" / "config.json").read_text())["config"]["activation"]
    function = {"module": "builtins", "class_name": "function", "registered_name": "function"}
    assert written == function | {"config": "keras_hub>gelu_approximate"}
    assert T5Backbone.from_preset(tmp_path / "p").activation == "gelu_approximate"


def test_built_in_names_and_their_sizes():
    """The names and counts that KerasHub lists; it counts two untied presets without their heads."""
    presets = T5Seq2SeqLM.presets
    assert len(presets) == 11
    assert presets["t5_small_multi"]["kaggle_handle"] == "kaggle://keras/t5/keras/t5_small_multi/3"
    assert presets["t5_1.1_xl"]["kaggle_handle"] == "kaggle://keras/t5/keras/t5_1.1_xl/2"
    without_head = {"t5_1.1_small": 60_511_616, "t5_1.1_large": 750_251_008}
    for name, count in without_head.items():
        width = {"t5_1.1_small": 512, "t5_1.1_large": 1024}[name]
        assert presets[name]["metadata"]["params"] - 32128 * width == count


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_of_transformers_and_back(kind, tmp_path):
    model = t5_backbone(**KINDS[kind])
    lm = Seq2SeqLM.from_preset(checkpoint(tmp_path / "t", model))
    assert type(lm) is T5Seq2SeqLM
    assert same(lm.backbone.params, model.params)
    assert lm.backbone.get_config() | {"name": "", "key_value_dim": model.key_value_dim} == model.get_config() | {
        "name": ""
    }
    lm.export_to_transformers(tmp_path / "x")
    written = load_file(tmp_path / "x" / "model.safetensors")
    for name, array in tensors_of(model).items():
        assert np.array_equal(written.pop(name), array), name
    assert not written
    assert json.loads((tmp_path / "x" / "generation_config.json").read_text())["decoder_start_token_id"] == 0
    back = Seq2SeqLM.from_preset(tmp_path / "x")
    assert same(back.backbone.params, model.params)
    assert back.preprocessor.tokenizer("a ab").tolist() == lm.preprocessor.tokenizer("a ab").tolist()


def test_copies_of_the_table_and_what_no_model_reads(tmp_path):
    model = t5_backbone(use_gated_activation=False)
    tensors = tensors_of(model)
    copies = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight")
    tensors |= {name: tensors["shared.weight"].copy() for name in copies}
    unread = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
    tensors[unread] = np.ones((32, 3), np.float32)
    assert same(T5Backbone.from_preset(checkpoint(tmp_path / "a", model, tensors)).params, model.params)
    different = tensors | {"lm_head.weight": tensors["shared.weight"] + 1}
    with pytest.raises(WeightsError, match="differ"):
        T5Backbone.from_preset(checkpoint(tmp_path / "b", model, different))
    with pytest.raises(WeightsError, match="no weight takes"):
        T5Backbone.from_preset(checkpoint(tmp_path / "c", model, tensors | {"extra": np.ones(2, np.float32)}))


def test_a_head_without_scale_may_be_the_table(tmp_path):
    """As transformers 5 does: `tie_word_embeddings=False` and no `lm_head.weight` is the table, not scaled."""
    model = t5_backbone(**KINDS["1.1"])
    tensors = tensors_of(model)
    del tensors["lm_head.weight"]
    found = T5Backbone.from_preset(checkpoint(tmp_path / "a", model, tensors))
    assert np.array_equal(found.params["token_embedding/reverse_embeddings"], tensors["shared.weight"].T)
    own = {"tie_word_embeddings": True, "scale_decoder_outputs": False}  # how transformers 5 saves T5 1.1
    assert not T5Backbone.from_preset(checkpoint(tmp_path / "b", model, **own)).tie_embedding_weights


@pytest.mark.parametrize(
    "change",
    [
        {"num_decoder_layers": 3},
        {"relative_attention_num_buckets": 16},
        {"relative_attention_max_distance": 64},
        {"feed_forward_proj": "tanh"},
        {"feed_forward_proj": "double-gelu"},
        {"feed_forward_proj": 3},
        {"dense_act_fn": "gelu"},
        {"is_gated_act": False},
        {"is_encoder_decoder": False},
        {"decoder_start_token_id": 1},
        {"num_hidden_layers": 3},
        {"head_dim": 4},
        {"d_ff": "20"},
    ],
)
def test_what_keras_hubs_t5_can_not_be_is_refused(change, tmp_path):
    with pytest.raises(ConfigError):
        T5Backbone.from_preset(checkpoint(tmp_path / "t", t5_backbone(**KINDS["1.1"]), **change))


def test_defaults_are_those_of_transformers(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5", "vocab_size": 50}))
    found = T5Backbone.from_preset(tmp_path, load_weights=False)
    assert (found.hidden_dim, found.num_layers, found.key_value_dim, found.activation) == (512, 6, 64, "relu")
    assert not found.use_gated_activation


# -- tokenizers --------------------------------------------------------------------------------------------------------
TOKENIZER = {
    "added_tokens": [
        {"id": 0, "content": "<pad>", "special": True},
        {"id": 1, "content": "</s>", "special": True},
        {"id": 8, "content": "<extra_id_1>", "special": True},
        {"id": 9, "content": "<extra_id_0>", "special": True},
    ],
    "normalizer": None,
    "model": {
        "type": "Unigram",
        "unk_id": 2,
        "vocab": [*([p, s] for p, s, _ in PIECES), ["<extra_id_1>", 0.0], ["<extra_id_0>", 0.0]],
    },
}


def test_a_table_of_pieces_gives_the_ids_of_the_model(tmp_path):
    folder = checkpoint(tmp_path / "t", t5_backbone(use_gated_activation=False))
    from_model = T5Tokenizer.from_preset(folder)
    (folder / "spiece.model").unlink()
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    from_table = T5Tokenizer.from_preset(folder)
    for text in ("a ab  abba", "c a", " b</s>a"):
        assert from_table(text).tolist() == from_model(text).tolist()
    assert from_table.vocabulary_size() == len(PIECES)
    assert from_table("a<extra_id_0>b").tolist() == [3, 9, 5, 4]
    assert from_model("a<extra_id_0>")[-1] == len(PIECES) + 99  # without a list, a hundred in reverse


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"model": {"type": "BPE"}}, ConfigError),
        ({"model": None}, ConfigError),
        ({"model": {"type": "Unigram", "unk_id": 2, "vocab": [["a"]]}}, PresetJSONError),
        ({"model": {"type": "Unigram", "unk_id": 99, "vocab": [["a", 0.0]]}}, PresetJSONError),
        ({"normalizer": {"type": "Lowercase"}}, PresetJSONError),
        ({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "?"}}, PresetJSONError),
        ({"added_tokens": [3]}, PresetJSONError),
    ],
)
def test_other_tokenizers_are_refused(change, error, tmp_path):
    folder = checkpoint(tmp_path / "t", t5_backbone(use_gated_activation=False))
    (folder / "spiece.model").unlink()
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER | change))
    with pytest.raises(error):
        T5Tokenizer.from_preset(folder)


def test_a_model_of_words_is_not_exported(tmp_path):
    proto = model_file(PIECES, WORD, frame={"unk": 2})
    assert (model_type(proto), len(pieces_of(proto)), len(pieces_of(proto[:-60] + b"\xff"))) == (WORD, 8, 8)
    with pytest.raises(ConfigError, match="Unigram"):
        T5Tokenizer(proto).export_to_transformers(tmp_path / "x")


def test_an_empty_folder_of_a_tokenizer_names_the_file_that_is_missing(tmp_path):
    folder = checkpoint(tmp_path / "t", t5_backbone(use_gated_activation=False))
    (folder / "spiece.model").unlink()
    with pytest.raises(FileNotFoundError, match=r"spiece.model"):
        T5Tokenizer.from_preset(folder)


@pytest.mark.parametrize("name", ["RobertaTokenizer", "ByT5Tokenizer"])  # of CodeT5 and ByT5
def test_a_t5_with_another_tokenizer_is_loaded_without(name, tmp_path):
    model = t5_backbone(use_gated_activation=False)
    folder = checkpoint(tmp_path / "t", model)
    (folder / "spiece.model").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    with pytest.raises(FileNotFoundError, match=rf"{name}.*preprocessor=None"):
        Seq2SeqLM.from_preset(folder)
    assert same(Seq2SeqLM.from_preset(folder, preprocessor=None).backbone.params, model.params)


def test_logits_of_the_checkpoint(tmp_path):
    model = t5_backbone(**KINDS["1.1"])
    lm = Seq2SeqLM.from_preset(checkpoint(tmp_path / "t", model), preprocessor=None)
    inputs = batch(2, 5, 4, size=41)
    assert np.array_equal(lm(inputs), T5Seq2SeqLM(model)(inputs))
    shutil.rmtree(tmp_path / "t")
