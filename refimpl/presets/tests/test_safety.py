"""A preset is data from strangers: nothing is run, read outside, or allocated beyond what its files hold."""

import json
import os
import resource
import shutil
import time

import h5py
import numpy as np
import pytest

from refimpl import errors
from refimpl.models import Backbone, BartBackbone, Seq2SeqLM
from refimpl.presets.tests import folders
from refimpl.presets.tests.folders import edit_json, keras_folder, rewrite_hdf5, same, transformers_folder

DATASET = "layers/transformer_encoder/_feedforward_output_dense/vars/1"


@pytest.fixture
def folder(tmp_path):
    return keras_folder(tmp_path / "p")


def weights_file(folder):
    return folder / "model.weights.h5"


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "assets/tokenizer/merges.txt"])
def test_link_out_of_the_folder(folder, tmp_path, name):
    (folder / name).rename(tmp_path / "outside")
    (folder / name).symlink_to(tmp_path / "outside")
    with pytest.raises(errors.UnsafePresetError, match="leads to"):
        Seq2SeqLM.from_preset(folder)


def test_link_inside_the_folder_is_fine(folder):
    weights_file(folder).rename(folder / "real.h5")
    weights_file(folder).symlink_to("real.h5")
    assert same(Backbone.from_preset(folder).params)


def test_link_to_a_folder_of_its_own(folder, tmp_path):
    shutil.move(folder / "assets", tmp_path / "outside")
    (folder / "assets").symlink_to(tmp_path / "outside")
    with pytest.raises(errors.UnsafePresetError):
        Seq2SeqLM.from_preset(folder)


@pytest.mark.parametrize("shared", [False, True])
def test_links_of_the_hugging_face_cache(folder, tmp_path, shared):
    """`snapshots/<commit>/` -> `blobs/` of the same model is the cache's own way; another model's files are not."""
    model = tmp_path / "models--user--model"
    blobs = tmp_path / "blobs" if shared else model / "blobs"
    snapshot = model / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for n, path in enumerate(p for p in folder.rglob("*") if p.is_file()):
        path.rename(blobs / str(n))
        place = snapshot / path.relative_to(folder)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(blobs / str(n), place.parent))
    assert same(Seq2SeqLM.from_preset(snapshot).backbone.params)
    other = tmp_path / "models--user--other" / "blobs"
    other.mkdir(parents=True)
    (snapshot / "config.json").resolve().rename(other / "x")
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(other / "x")
    with pytest.raises(errors.UnsafePresetError):
        Seq2SeqLM.from_preset(snapshot)


@pytest.mark.parametrize("name", ["config.json", "model.weights.h5", "tokenizer.json", "assets/tokenizer/merges.txt"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "device", "dangling", "loop"])
def test_no_regular_file(folder, name, kind):
    """A pipe would wait for a writer for ever."""
    path = folder / name
    path.unlink()
    make = {"fifo": os.mkfifo, "folder": os.mkdir, "device": lambda p: p.symlink_to("/dev/zero")}
    make |= {"dangling": lambda p: p.symlink_to("gone"), "loop": lambda p: p.symlink_to(p)}
    make[kind](path)
    with pytest.raises(errors.RefimplError):
        Seq2SeqLM.from_preset(folder)


@pytest.mark.parametrize(
    "name", ["../x.h5", "/etc/passwd", "a/../../x.h5", "sub/x.h5", "..", "", "a\\b", "c:x", "a\0b", 3]
)
def test_names_in_a_shard_index(folder, tmp_path, name):
    shutil.copy(weights_file(folder), tmp_path / "x.h5")
    weights_file(folder).unlink()
    (folder / "model.weights.json").write_text(json.dumps({"weight_map": {"/layers/x/vars": name}}))
    with pytest.raises(errors.PresetError):
        Backbone.from_preset(folder)
    other = transformers_folder(tmp_path / "t")
    shutil.move(other / "model.safetensors", tmp_path / "x.h5")
    (other / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": name}}))
    with pytest.raises(errors.PresetError):
        Backbone.from_preset(other)


@pytest.mark.parametrize("kind", ["soft", "external link", "external data", "virtual", "group", "compressed", "int"])
def test_datasets_that_are_elsewhere(folder, tmp_path, kind):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.zeros(12, np.float32)
    with h5py.File(weights_file(folder), "a") as file:
        del file[DATASET]
        if kind == "soft":
            file[DATASET] = h5py.SoftLink("/layers/transformer_encoder/_feedforward_layer_norm/vars/1")
        elif kind == "external link":
            file[DATASET] = h5py.ExternalLink(str(tmp_path / "other.h5"), "data")
        elif kind == "external data":
            file.create_dataset(DATASET, (12,), "f4", external=[("/etc/passwd", 0, 48)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((12,), "f4")
            layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "data", (12,))
            file.create_virtual_dataset(DATASET, layout)
        elif kind == "group":
            file.create_group(DATASET)
        elif kind == "compressed":
            file.create_dataset(DATASET, data=np.zeros(12, "f4"), compression="gzip")
        else:
            file.create_dataset(DATASET, data=np.zeros(12, "i4"))
    with pytest.raises((errors.UnsafePresetError, errors.WeightsError), match="vars/1"):
        Backbone.from_preset(folder)


def test_extra_missing_and_misshapen_datasets(folder):
    with h5py.File(weights_file(folder), "a") as file:
        file["layers/transformer_encoder_2/x/vars/0"] = np.zeros(3, np.float32)
    with pytest.raises(errors.WeightsError, match="no weight takes"):
        Backbone.from_preset(folder)
    with h5py.File(weights_file(folder), "a") as file:
        del file["layers/transformer_encoder_2"]
        del file[DATASET]
    with pytest.raises(errors.WeightsError, match="has no dataset"):
        Backbone.from_preset(folder)
    with h5py.File(weights_file(folder), "a") as file:
        file[DATASET] = np.zeros((12, 1), np.float32)
    with pytest.raises(errors.WeightsError, match="shape"):
        Backbone.from_preset(folder)


def peak():
    """The process's highest memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_bombs(folder):
    """A dataset that claims a terabyte and stores nothing; many datasets in one place."""
    before = peak()
    with h5py.File(weights_file(folder), "a") as file:
        table = "layers/reversible_embedding/vars/0"
        del file[table]
        file.create_dataset(table, (2**38, 12), "f4")
    edit_json(folder / "config.json", lambda c: c["config"].update(vocabulary_size=2**38))
    with pytest.raises(errors.UnsafePresetError, match="one piece"):
        Backbone.from_preset(folder)
    rewrite_hdf5(weights_file(keras_folder(folder)))
    with h5py.File(weights_file(folder), "a") as file:
        for n in range(2, 40):
            file[f"layers/transformer_encoder_{n}"] = file["layers/transformer_encoder"]
            file[f"layers/transformer_decoder_{n}"] = file["layers/transformer_decoder"]
    edit_json(folder / "config.json", lambda c: c["config"].update(num_layers=40))
    with pytest.raises(errors.UnsafePresetError, match="claim"):
        Backbone.from_preset(folder)
    assert peak() - before < 2**25


@pytest.mark.parametrize("key", ["vocabulary_size", "num_layers", "hidden_dim", "intermediate_dim", "num_heads"])
@pytest.mark.parametrize("size", [10**9, 2**62, 10**400, -1, 0, True, None, "12", 1.5, [], {}])
@pytest.mark.parametrize("load_weights", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_wild_sizes(folder, key, size, load_weights):
    """Nothing of a wild size is allocated, and no wild number of layers is counted up to."""
    before, start = peak(), time.monotonic()
    edit_json(folder / "config.json", lambda c: c["config"].update({key: size}))
    if (key, size) == ("num_layers", 0):
        return  # a model without layers is one
    with pytest.raises(errors.RefimplError):
        Backbone.from_preset(folder, load_weights=load_weights)
    assert peak() - before < 2**26
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", "[" * 100_000, '{"a": ' * 100_000, "\ufeff{}", '{"a": 1' + "0" * 5000 + "}"]
)
@pytest.mark.parametrize("name", ["config.json", "task.json", "preprocessor.json", "tokenizer.json"])
def test_no_json(folder, name, text):
    (folder / name).write_text(text)
    with pytest.raises(errors.RefimplError):
        Seq2SeqLM.from_preset(folder)


def test_text_that_is_no_text_or_too_long(folder):
    path = folder / "assets/tokenizer/merges.txt"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(errors.PresetUnreadableError):
        Seq2SeqLM.from_preset(folder)
    with path.open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(errors.UnsafePresetError, match="bytes"):
        Seq2SeqLM.from_preset(folder)


def test_names_that_would_be_imported(folder):
    """The module in the JSON is never imported, and only the registry knows classes."""
    edit_json(folder / "config.json", lambda c: c.update(module="this.would.be.run", class_name="Lambda"))
    assert same(Backbone.from_preset(folder).params)
    for name in ("keras>Lambda", "os>system", "keras_hub>__class__", 3, ["keras_hub>BartBackbone"], {"a": 1}):
        edit_json(folder / "config.json", lambda c, name=name: c.update(registered_name=name))
        with pytest.raises(errors.PresetError):
            Backbone.from_preset(folder)
    edit_json(folder / "config.json", lambda c: c.update(registered_name="keras_hub>BartBackbone"))
    edit_json(folder / "config.json", lambda c: c["config"].update(weights_from=3))
    with pytest.raises(errors.ConfigError, match="weights_from"):
        Backbone.from_preset(folder)


def test_quantized(folder):
    policies = {"class_name": "DTypePolicyMap", "config": {"default_policy": None, "policy_map": {}}}
    edit_json(folder / "config.json", lambda c: c["config"].update(dtype=policies))
    with pytest.raises(errors.PresetError, match="quantized"):
        Backbone.from_preset(folder)


def test_loaded_weights_are_the_callers_own(folder):
    """Training in place changes neither the file nor another model from the same file."""
    before = weights_file(folder).read_bytes()
    one, two = Backbone.from_preset(folder), Backbone.from_preset(folder)
    for array in one.params.values():
        array[...] = 0
    assert weights_file(folder).read_bytes() == before
    assert same(two.params)
    assert same(Backbone.from_preset(folder).params)


def test_saving_over_the_folder_that_is_mapped(folder):
    lm = Seq2SeqLM.from_preset(folder)
    lm.save_to_preset(folder)
    assert same(lm.backbone.params)
    assert same(Seq2SeqLM.from_preset(folder).backbone.params)


def test_fresh_weights_beyond_memory():
    with pytest.raises(errors.ConfigError, match="memory"):
        BartBackbone(10**9, 2, 4, 10**4, 10**4)
    assert folders.LM.count_params() > 0
