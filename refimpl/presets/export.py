"""Writing a checkpoint that transformers loads, of the same numbers and the same greedy text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.errors import ConfigError
from refimpl.presets.bart_transformers import transformers_config
from refimpl.presets.folder import Layout
from refimpl.presets.safetensors_file import write_tensors
from refimpl.presets.transformers_tokenizer import special_token_files, tokenizer_json


def write_checkpoint(
    folder: Path,
    layout: Layout,
    architecture: str,
    weights: Mapping[str, np.ndarray],
    config: Mapping[str, Any],
    tokenizer: Any = None,
) -> None:
    """Write `config.json` and `model.safetensors`.

    Raises: ConfigError for an architecture that has no counterpart in transformers.
    Spec: presets.export.weights, presets.export.config
    """
    if architecture != "BartBackbone":
        raise ConfigError(
            f"Export to Transformers format not implemented for {architecture}.",
            "The backbone must be a BartBackbone.",
            "Use save_to_preset.",
            "presets.export.weights",
        )
    dtype = next(iter(weights.values())).dtype.name
    ids = {} if tokenizer is None else _ids(tokenizer)
    _write(folder / "config.json", transformers_config(config, ids, dtype))
    places = {name: layout.tensor_place(name) for name in weights}
    shapes = {name: places[name].stored_shape(array.shape) for name, array in weights.items()}
    tensors = {places[name].names[0]: (shape, dtype) for name, shape in shapes.items()}
    write_tensors(
        folder / "model.safetensors", tensors, (places[name].stored(array) for name, array in weights.items())
    )


def write_generation(folder: Path, tokenizer: Any, length: int) -> None:
    """Write `generation_config.json`, with which transformers generates as `generate` does with the greedy sampler.

    Spec: presets.export.generation
    """
    settings = {
        "forced_bos_token_id": tokenizer.start_token_id,  # the prompt is `</s> <s>`
        "forced_eos_token_id": None,
        "max_length": length,
        "num_beams": 1,
        "do_sample": False,
    }
    _write(folder / "generation_config.json", _ids(tokenizer) | settings)


def write_tokenizer(folder: Path, tokenizer: Any) -> None:
    """Write the tokenizer: in one file, and in the files that were used before.

    Raises: ConfigError for another kind than byte-level BPE.
    Spec: presets.export.tokenizer
    """
    if not hasattr(tokenizer, "merges") or not hasattr(tokenizer, "start_token"):
        raise ConfigError(
            f"Export to Transformers format not implemented for {type(tokenizer).__name__}.",
            "The tokenizer must be a BartTokenizer.",
            "Use save_to_preset.",
            "presets.export.tokenizer",
        )
    vocabulary = dict(tokenizer.vocabulary or {})
    _write(folder / "vocab.json", vocabulary)
    merges = [rule for rule in tokenizer.merges if "#version:" not in rule]
    lines = "".join(f"{line}\n" for line in ["#version: 0.2", *merges])
    (folder / "merges.txt").write_text(lines, encoding="utf-8")
    kept = [token for token in tokenizer.unsplittable_tokens if token in vocabulary]
    special = {name: getattr(tokenizer, name) for name in ("start_token", "end_token", "pad_token")}
    for file, content in special_token_files(special, kept).items():
        _write(folder / file, content)
    _write(
        folder / "tokenizer.json",
        tokenizer_json(vocabulary, merges, kept, tokenizer.lstrip_tokens, special, tokenizer.add_prefix_space),
    )


def _ids(tokenizer: Any) -> dict[str, int]:
    """The ids of special tokens, by transformers' names."""
    start, end, pad = tokenizer.start_token_id, tokenizer.end_token_id, tokenizer.pad_token_id
    return {"bos_token_id": start, "eos_token_id": end, "pad_token_id": pad, "decoder_start_token_id": end}


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
