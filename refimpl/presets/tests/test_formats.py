"""Every form of preset gives the same weights, bit by bit."""

import json

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from refimpl import errors
from refimpl.models import Backbone, BartBackbone, BartSeq2SeqLM, BartTokenizer, Seq2SeqLM, Seq2SeqLMPreprocessor
from refimpl.models import Tokenizer as AnyTokenizer
from refimpl.presets.tests import folders
from refimpl.presets.tests.folders import edit_json, keras_folder, rewrite_hdf5, same, transformers_folder
from refimpl.tests import tiny

GIB = 1024**3


def bfloat16(array):
    """Cut the lower half of each number off: any bfloat16 will do."""
    return (array.view(np.uint32) >> 16 << 16).view(np.float32)


@pytest.mark.parametrize("cls", [Seq2SeqLM, BartSeq2SeqLM])
@pytest.mark.parametrize("as_path", [False, True])
def test_local_folder(tmp_path, cls, as_path):
    folder = keras_folder(tmp_path / "p")
    lm = cls.from_preset(folder if as_path else str(folder))
    assert type(lm) is BartSeq2SeqLM
    assert same(lm.backbone.params)
    assert lm.preprocessor.decoder_sequence_length == 11


def test_every_class_loads(tmp_path):
    folder = keras_folder(tmp_path / "p")
    assert type(Backbone.from_preset(folder)) is BartBackbone
    assert type(AnyTokenizer.from_preset(folder)) is BartTokenizer
    assert Seq2SeqLMPreprocessor.from_preset(folder).encoder_sequence_length == 9
    for cls in (Backbone, Seq2SeqLM, AnyTokenizer, Seq2SeqLMPreprocessor, BartTokenizer):
        assert [name for name in cls.presets if "bart" in name] == [
            "bart_base_en",
            "bart_large_en",
            "bart_large_en_cnn",
        ]
        assert len(cls.presets) == (3 if cls is BartTokenizer else 48)
        assert cls.presets["bart_base_en"]["kaggle_handle"] == "kaggle://keras/bart/keras/bart_base_en/3"


def test_load_weights_false_is_random(tmp_path):
    lm = Seq2SeqLM.from_preset(keras_folder(tmp_path / "p"), load_weights=False)
    table = lm.backbone.params["token_embedding/embeddings"]
    assert table.std() < 0.03
    assert not lm.backbone.params["transformer_encoder_layer_0/self_attention/query/bias"].any()


def test_names_of_keras_nlp(tmp_path):
    folder = keras_folder(tmp_path / "p")
    for file in folder.glob("*.json"):
        file.write_text(file.read_text().replace("keras_hub", "keras_nlp"))
    assert same(Seq2SeqLM.from_preset(folder).backbone.params)


def test_sharded(tmp_path):
    """Each shard stays within the limit, and the index names the files of every group."""
    folders.LM.save_to_preset(tmp_path / "p", max_shard_size=15_000 / GIB)
    shards = sorted(tmp_path.glob("p/model_*.weights.h5"))
    assert len(shards) == 3
    index = json.loads((tmp_path / "p/model.weights.json").read_text())
    assert index["metadata"]["total_size"] == sum(array.nbytes for array in folders.WEIGHTS.values())
    assert not (tmp_path / "p/model.weights.h5").exists()
    assert same(Seq2SeqLM.from_preset(tmp_path / "p").backbone.params)


def test_group_over_two_shards(tmp_path):
    """Keras splits a layer's kernel and bias where a file is full."""
    folder = keras_folder(tmp_path / "p")
    moved = "layers/transformer_encoder/_feedforward_output_dense/vars"
    groups = {}
    with h5py.File(folder / "model.weights.h5") as old:
        files = [h5py.File(folder / f"model_0000{n}.weights.h5", "w") for n in (0, 1)]

        def copy(name, node):
            if isinstance(node, h5py.Dataset):
                second = name == f"{moved}/1"
                files[second][name] = node[...]
                group = "/" + name.rpartition("/")[0]
                groups.setdefault(group, []).append(f"model_0000{int(second)}.weights.h5")

        old.visititems(copy)
        for file in files:
            file.close()
    (folder / "model.weights.h5").unlink()
    (folder / "model.weights.json").write_text(
        json.dumps({"weight_map": {k: v[0] if len(set(v)) == 1 else v for k, v in groups.items()}})
    )
    assert same(Backbone.from_preset(folder).params)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), "10", True, 1 / GIB])
def test_wrong_shard_size(tmp_path, limit):
    with pytest.raises(errors.InputError, match="max_shard_size"):
        folders.LM.save_to_preset(tmp_path / "p", max_shard_size=limit)
    assert not (tmp_path / "p").exists()


def test_half_precision(tmp_path):
    folder = keras_folder(tmp_path / "p")
    rewrite_hdf5(folder / "model.weights.h5", write=lambda f, n, a: f.create_dataset(n, data=a.astype(np.float16)))
    assert same(Backbone.from_preset(folder).params, rounded=lambda a: a.astype(np.float16))
    assert same(Backbone.from_preset(folder, dtype="float64").params, np.float64, lambda a: a.astype(np.float16))
    assert Backbone.from_preset(folder, dtype="float16").dtype == "float16"


def test_bfloat16(tmp_path):
    """Two opaque bytes with an attribute, as Keras writes it."""

    def write(file, name, array):
        halves = (array.view(np.uint32) >> 16).astype(np.uint16).view("V2")
        file.create_dataset(name, data=halves).attrs["dtype"] = "bfloat16"

    folder = keras_folder(tmp_path / "p")
    rewrite_hdf5(folder / "model.weights.h5", write=write)
    assert same(Backbone.from_preset(folder).params, rounded=bfloat16)


@pytest.mark.parametrize("root", ["layers", "_layer_checkpoint_dependencies"])
def test_paths_of_older_keras(tmp_path, root):
    folder = keras_folder(tmp_path / "p")

    def place(name):
        for part in ("query", "key", "value", "output"):
            name = name.replace(f"attention_layer/{part}_dense", f"attention_layer/_{part}_dense")
        return name.replace("layers/", f"{root}/", 1)

    rewrite_hdf5(folder / "model.weights.h5", place)
    with h5py.File(folder / "model.weights.h5", "a") as file:
        file[f"{root}/dropout/seed_generator/vars/0"] = np.array([0, 7], np.uint32)
    assert same(Backbone.from_preset(folder).params)


# -- transformers ------------------------------------------------------------------------------------------------------
def test_transformers(tmp_path):
    lm = Seq2SeqLM.from_preset(transformers_folder(tmp_path / "t"))
    assert type(lm) is BartSeq2SeqLM
    assert same(lm.backbone.params)
    assert lm.backbone.get_config() | {"name": ""} == folders.LM.backbone.get_config() | {"name": ""}
    assert lm.preprocessor.encoder_sequence_length == 19
    assert lm.preprocessor.tokenizer.vocabulary == tiny.vocabulary()


def test_transformers_sharded_and_headless(tmp_path):
    assert same(Backbone.from_preset(folders.sharded_transformers_folder(tmp_path / "s")).params)
    headless = {n.removeprefix("model."): a for n, a in folders.transformers_tensors().items() if "bias" not in n[:18]}
    assert same(Backbone.from_preset(transformers_folder(tmp_path / "h", headless)).params)


def test_transformers_half_precision(tmp_path):
    halves = {name: array.astype(np.float16) for name, array in folders.transformers_tensors().items()}
    folder = transformers_folder(tmp_path / "t", halves)
    assert same(Backbone.from_preset(folder).params, rounded=lambda a: a.astype(np.float16))
    # The same bytes under another name of the type: two bytes of a bfloat16.
    cut = {n: (a.view(np.uint32) >> 16).astype(np.uint16) for n, a in folders.transformers_tensors().items()}
    save_file(cut, folder / "model.safetensors")
    data = (folder / "model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].replace(b'"U16"', b'"BF16"')
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    assert same(Backbone.from_preset(folder).params, rounded=bfloat16)


@pytest.mark.parametrize(
    "change",
    [
        {"decoder_layers": 3},
        {"decoder_attention_heads": 4},
        {"decoder_ffn_dim": 21},
        {"activation_function": "relu"},
        {"scale_embedding": True},
        {"tie_word_embeddings": False},
        {"normalize_before": True},
        {"is_encoder_decoder": False},
        {"decoder_start_token_id": 0},
        {"num_hidden_layers": 7},
    ],
)
def test_transformers_refusals(tmp_path, change):
    with pytest.raises(errors.ConfigError, match=next(iter(change))):
        Backbone.from_preset(transformers_folder(tmp_path / "t", **change))


def test_transformers_tensors_that_do_not_fit(tmp_path):
    tensors = folders.transformers_tensors()
    biased = tensors | {"final_logits_bias": tensors["final_logits_bias"] + 1}
    with pytest.raises(errors.WeightsError, match="final_logits_bias"):
        Backbone.from_preset(transformers_folder(tmp_path / "a", biased))
    untied = transformers_folder(tmp_path / "b", tensors | {"lm_head.weight": tensors["model.shared.weight"] + 1})
    with pytest.raises(errors.WeightsError, match="differ"):
        Backbone.from_preset(untied)
    tied = tensors | {"lm_head.weight": tensors["model.shared.weight"].copy()}
    assert same(Backbone.from_preset(transformers_folder(tmp_path / "c", tied)).params)
    more = tensors | {"model.encoder.layers.2.fc1.bias": np.zeros(20, np.float32)}
    with pytest.raises(errors.WeightsError, match=r"layers\.2"):
        Backbone.from_preset(transformers_folder(tmp_path / "d", more))
    del tensors["model.decoder.layers.1.fc2.bias"]
    with pytest.raises(errors.WeightsError, match=r"fc2\.bias.*missing"):
        Backbone.from_preset(transformers_folder(tmp_path / "e", tensors))
    with pytest.raises(errors.PresetError, match="model type 'gpt2'"):
        Backbone.from_preset(transformers_folder(tmp_path / "f", model_type="gpt2"))


def test_special_tokens_of_transformers(tmp_path):
    """Ids as transformers 5.23 gives them for a `<mask>` that takes the spaces before it (as facebook/bart-base's)."""
    folder = transformers_folder(tmp_path / "t")
    plain = {"rstrip": False, "single_word": False, "normalized": False, "special": True}
    added = {str(n): {"content": t, "lstrip": t == "<mask>", **plain} for n, t in enumerate(tiny.SPECIALS)}
    (folder / "tokenizer_config.json").write_text(json.dumps({"added_tokens_decoder": added}))
    tokenizer = AnyTokenizer.from_preset(folder)
    a, space = tokenizer.token_to_id("a"), tokenizer.token_to_id("Ġ")
    texts = ["a <mask>a", "<s>  <mask> <s>", " \n <mask>", "a  a"]
    ids = [[a, 3, a], [0, 3, space, 0], [3], [a, space, space, a]]
    assert tokenizer(texts) == ids
    lm = Seq2SeqLM.from_preset(folder)
    lm.save_to_preset(tmp_path / "k")
    lm.export_to_transformers(tmp_path / "x")
    for saved in ("k", "x"):
        assert AnyTokenizer.from_preset(tmp_path / saved)(texts) == ids
    edit_json(folder / "tokenizer_config.json", lambda c: c["added_tokens_decoder"]["3"].update(content=3))
    with pytest.raises(errors.RefimplError):
        AnyTokenizer.from_preset(folder)


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack"]
)
def test_weights_of_other_formats_are_named_with_the_way_out(name, tmp_path):
    """keras-team/keras-hub#3003: facebook/bart-large has pytorch_model.bin only."""
    folder = transformers_folder(tmp_path / "t")
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="found: config.json, merges.txt"):
        Seq2SeqLM.from_preset(folder)
    (folder / name).write_bytes(b"PK")
    with pytest.raises(FileNotFoundError, match=rf"has {name} instead.*safetensors.*Convert"):
        Seq2SeqLM.from_preset(folder)


def test_a_bart_with_another_tokenizer_is_loaded_without(tmp_path):
    """fnlp/bart-base-chinese: a BART with BERT's words."""
    folder = transformers_folder(tmp_path / "t")
    (folder / "vocab.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with pytest.raises(FileNotFoundError, match=r"BertTokenizer.*preprocessor=None"):
        Seq2SeqLM.from_preset(folder)
    assert same(Seq2SeqLM.from_preset(folder, preprocessor=None).backbone.params)


@pytest.mark.parametrize(
    ("preset", "meant"),
    [
        ("facebook/bart-base", "'hf://facebook/bart-base'"),
        ("https://huggingface.co/facebook/bart-base/", "'hf://facebook/bart-base'"),
        ("keras/bart/keras/bart_base_en", "'kaggle://keras/bart/keras/bart_base_en'"),
        ("./no/such", None),
        ("no/such/folder", None),
    ],
)
def test_a_handle_without_its_scheme_is_named(preset, meant):
    with pytest.raises(errors.PresetError) as error:
        Seq2SeqLM.from_preset(preset)
    assert (f"pass {meant}" in str(error.value)) == (meant is not None)


def test_export_and_back(tmp_path):
    folders.LM.export_to_transformers(tmp_path / "x")
    written = load_file(tmp_path / "x" / "model.safetensors")
    for name, array in folders.transformers_tensors().items():
        if name != "final_logits_bias":
            skip = 2 if "embed_positions" in name else 0
            assert np.array_equal(written[name][skip:], array[skip:]), name
    back = Seq2SeqLM.from_preset(tmp_path / "x")
    assert same(back.backbone.params)
    assert back.preprocessor.tokenizer.get_config() == folders.LM.preprocessor.tokenizer.get_config()
    back.export_to_transformers(tmp_path / "y")
    assert (tmp_path / "x/model.safetensors").read_bytes() == (tmp_path / "y/model.safetensors").read_bytes()
    (tmp_path / "x/tokenizer.json").unlink()  # older tools have no such file
    assert AnyTokenizer.from_preset(tmp_path / "x")([" airplane"]) == folders.LM.preprocessor.tokenizer([" airplane"])
