"""Folders in every form that is read, made from one tiny model, by other hands than refimpl's own writers."""

import atexit
import contextlib
import functools
import json
import os
import shutil
import tempfile
from pathlib import Path

import h5py
import numpy as np
from safetensors.numpy import save_file

from refimpl.models import Seq2SeqLM
from refimpl.tests import tiny

LM, NEW = tiny.seq2seq(), tiny.seq2seq(seed=5, num_layers=1)
WEIGHTS = LM.backbone.params


def keras_folder(path):
    return shutil.copytree(_saved(), path, dirs_exist_ok=True)


@functools.cache
def _saved():
    """One folder for all copies; it goes with the process."""
    path = Path(tempfile.mkdtemp()) / "preset"
    atexit.register(shutil.rmtree, path.parent)
    LM.save_to_preset(path)
    return path


def edit_json(path, edit):
    """Change a JSON file in place; `edit` may return a new content."""
    content = json.loads(path.read_text())
    changed = edit(content)
    path.write_text(json.dumps(content if changed is None else changed))


def rewrite_hdf5(path, place=lambda place: place, write=None):
    """Copy every dataset of a file to another place, by `write(file, place, array)` if it is to be another dataset."""
    with h5py.File(path) as file:
        arrays = {}
        file.visititems(lambda name, node: arrays.update({name: node[...]}) if isinstance(node, h5py.Dataset) else None)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            (write or (lambda f, n, a: f.create_dataset(n, data=a)))(file, place(name), array)


def transformers_tensors():
    """The model under transformers' names, written out by hand from its modeling_bart.py."""
    tensors = {"model.shared.weight": WEIGHTS["token_embedding/embeddings"], "final_logits_bias": np.zeros((1, 274))}
    tensors["final_logits_bias"] = np.zeros((1, len(tensors["model.shared.weight"])), np.float32)
    for side in ("encoder", "decoder"):
        rows = WEIGHTS[f"{side}_position_embedding/embeddings"]
        tensors[f"model.{side}.embed_positions.weight"] = np.concatenate([np.full((2, 12), 7.0, np.float32), rows])
        for ours, theirs in (("gamma", "weight"), ("beta", "bias")):
            tensors[f"model.{side}.layernorm_embedding.{theirs}"] = WEIGHTS[f"{side}_embeddings_layer_norm/{ours}"]
        for n in range(2):
            tensors |= _layer(f"transformer_{side}_layer_{n}", f"model.{side}.layers.{n}", side)
    return {name: np.ascontiguousarray(array) for name, array in tensors.items()}


def _layer(ours, theirs, side):
    out = {}
    attentions = {"self_attention": "self_attn"} | ({"cross_attention": "encoder_attn"} if side == "decoder" else {})
    for a, b in attentions.items():
        for x, y in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj")):
            out[f"{theirs}.{b}.{y}.weight"] = WEIGHTS[f"{ours}/{a}/{x}/kernel"].reshape(12, 12).T
            out[f"{theirs}.{b}.{y}.bias"] = WEIGHTS[f"{ours}/{a}/{x}/bias"].reshape(12)
        out[f"{theirs}.{b}.out_proj.weight"] = WEIGHTS[f"{ours}/{a}/attention_output/kernel"].reshape(12, 12).T
        out[f"{theirs}.{b}.out_proj.bias"] = WEIGHTS[f"{ours}/{a}/attention_output/bias"]
    for a, b in (("feedforward_intermediate_dense", "fc1"), ("feedforward_output_dense", "fc2")):
        out[f"{theirs}.{b}.weight"] = WEIGHTS[f"{ours}/{a}/kernel"].T
        out[f"{theirs}.{b}.bias"] = WEIGHTS[f"{ours}/{a}/bias"]
    norms = {f"{a}_layer_norm": f"{b}_layer_norm" for a, b in attentions.items()}
    for a, b in {**norms, "feedforward_layer_norm": "final_layer_norm"}.items():
        out[f"{theirs}.{b}.weight"] = WEIGHTS[f"{ours}/{a}/gamma"]
        out[f"{theirs}.{b}.bias"] = WEIGHTS[f"{ours}/{a}/beta"]
    return out


def transformers_config():
    """As transformers 5 writes it: no `num_hidden_layers`."""
    sides = {f"{side}_{key}": n for side in ("encoder", "decoder") for key, n in _SIDE.items()}
    rest = {"model_type": "bart", "architectures": ["BartForConditionalGeneration"], "d_model": 12, "dropout": 0.1}
    return {
        **rest,
        **sides,
        "vocab_size": len(WEIGHTS["token_embedding/embeddings"]),
        "max_position_embeddings": 19,
        "activation_function": "gelu",
        "scale_embedding": False,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
        "tie_word_embeddings": True,
        "is_encoder_decoder": True,
    }


_SIDE = {"layers": 2, "attention_heads": 3, "ffn_dim": 20}


def transformers_folder(path, tensors=None, **config):
    """`vocab.json` and `merges.txt`, one safetensors file."""
    path.mkdir()
    (path / "config.json").write_text(json.dumps(transformers_config() | config))
    (path / "vocab.json").write_text(json.dumps(tiny.vocabulary()))
    (path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{rule}\n" for rule in tiny.MERGES))
    save_file(transformers_tensors() if tensors is None else tensors, path / "model.safetensors")
    return path


def sharded_transformers_folder(path):
    transformers_folder(path)
    (path / "model.safetensors").unlink()
    names = sorted(transformers_tensors())
    weight_map = {name: f"model-{n % 3}.safetensors" for n, name in enumerate(names)}
    for file in set(weight_map.values()):
        save_file({k: v for k, v in transformers_tensors().items() if weight_map[k] == file}, path / file)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return path


def copy_of(path, target):
    shutil.copytree(path, target, symlinks=True)
    return target


def same(weights, dtype=np.float32, rounded=None):
    """Whether loaded weights are the model's, after the rounding of a half precision."""
    wanted = {name: (rounded(array) if rounded else array).astype(dtype) for name, array in WEIGHTS.items()}
    return list(weights) == list(wanted) and all(np.array_equal(weights[name], wanted[name]) for name in wanted)


def which(folder):
    """`old` or `new`, whole; anything else is an error."""
    lm = Seq2SeqLM.from_preset(folder)
    if lm.backbone.num_layers == 2:
        assert same(lm.backbone.params)
        return "old"
    assert all(np.array_equal(lm.backbone.params[k], array) for k, array in NEW.backbone.params.items())
    return "new"


def users_files(folder):
    """What a user may keep beside a preset."""
    (folder / "notes.txt").write_text("mine")
    (folder / "sub").mkdir()
    (folder / "sub" / "deep.txt").write_text("mine too")
    (folder / "link").symlink_to("/nowhere")
    os.mkfifo(folder / "pipe")


def check_users_files(folder):
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "sub" / "deep.txt").read_text() == "mine too"
    assert (folder / "link").readlink() == Path("/nowhere")
    assert (folder / "pipe").is_fifo()


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".refimpl")]


@contextlib.contextmanager
def as_nobody(folder):
    """Without the right to write into a folder: root may write everywhere, nobody may not."""
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    closed = [place for place in folder.parents if not place.stat().st_mode & 0o001]
    for place in closed:
        place.chmod(place.stat().st_mode | 0o055)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(65534)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(mode)
        for place in closed:
            place.chmod(0o700)
