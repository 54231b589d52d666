"""Writing a checkpoint that transformers loads, of the same numbers and the same greedy text."""

import json
from pathlib import Path
from typing import Any

from refimpl.errors import ConfigError
from refimpl.presets.families import CONVERTER_FILE, CONVERTER_KEYS, FAMILIES, family_of
from refimpl.presets.safetensors_file import write_tensors
from refimpl.presets.sentence_piece_checkpoint import MODEL_FILE, write_sentence_piece
from refimpl.presets.transformers_tokenizer import special_token_files, tokenizer_json


def write_checkpoint(folder: Path, model: Any, tokenizer: Any = None) -> None:
    """Write `config.json` and `model.safetensors` of a backbone.

    Raises: ConfigError for an architecture that has no counterpart in transformers.
    Spec: presets.export.weights, presets.export.config
    """
    family = family_of(type(model).__name__)
    if family is None:
        raise ConfigError(
            f"Export to Transformers format not implemented for {type(model).__name__}.",
            f"The backbone must be a {' or a '.join(known.backbone for known in FAMILIES.values())}.",
            "Use save_to_preset.",
            "presets.export.weights",
        )
    _write(folder / "config.json", family.transformers_config(model.get_config(), tokenizer, model.dtype))
    placed = [(w.tensor, model.params[w.name]) for w in model.layout(model.config) if w.tensor.names]
    tensors = {place.names[0]: (place.stored_shape(array.shape), array.dtype.name) for place, array in placed}
    write_tensors(folder / "model.safetensors", tensors, (place.stored(array) for place, array in placed))


def write_generation(folder: Path, model: Any, tokenizer: Any, length: int) -> None:
    """Write `generation_config.json`, with which transformers generates as `generate` does with the greedy sampler.

    Spec: presets.export.generation
    """
    family = family_of(type(model).__name__)
    assert family is not None  # its checkpoint was written
    settings = {"max_length": length, "num_beams": 1, "do_sample": False}
    _write(folder / "generation_config.json", family.ids(tokenizer) | family.generation_settings(tokenizer) | settings)


def write_converter(folder: Path, converter: Any) -> None:
    """Write `preprocessor_config.json`: how sound becomes samples. Spec: presets.export.audio-converter"""
    kept = {key: getattr(converter, key) for key in CONVERTER_KEYS}
    kind = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "processor_class": "Wav2Vec2Processor"}
    fixed = {"feature_size": 1, "padding_side": "right", "return_attention_mask": True}
    _write(folder / CONVERTER_FILE, kind | fixed | kept)


def write_tokenizer(folder: Path, tokenizer: Any) -> None:
    """Write the tokenizer: in one file, and in the files that were used before.

    Raises: ConfigError for another kind than byte-level BPE and SentencePiece's unigrams.
    Spec: presets.export.tokenizer
    """
    family = family_of(getattr(tokenizer, "backbone_name", ""))
    if family is not None and family.sentence_piece != MODEL_FILE:
        (folder / family.sentence_piece).write_bytes(tokenizer.proto)
        _write(folder / "tokenizer_config.json", {"tokenizer_class": family.tokenizer_class, "unk_token": "<unk>"})
        return
    if hasattr(tokenizer, "proto"):
        write_sentence_piece(folder, tokenizer)
        return
    if not hasattr(tokenizer, "merges") or not hasattr(tokenizer, "start_token"):
        raise ConfigError(
            f"Export to Transformers format not implemented for {type(tokenizer).__name__}.",
            "The tokenizer must be a BartTokenizer or a T5Tokenizer.",
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
        tokenizer_json(vocabulary, merges, kept, tokenizer.token_flags, special, tokenizer.add_prefix_space),
    )


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
