"""The files of a T5 tokenizer in transformers' form, both ways.

`spiece.model` is the SentencePiece model itself; transformers 5 writes its parts to `tokenizer.json` in its place.

Source: transformers 5.23 tokenization_t5.py; tokenizers 0.23 (the JSON of `Tokenizer`)
"""

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refimpl.errors import ConfigError, PresetJSONError
from refimpl.presets.folder import TOKENIZER_FILE, PresetFolder
from refimpl.presets.sentence_piece_file import (
    BYTE,
    CONTROL,
    NORMAL,
    UNIGRAM,
    UNKNOWN,
    count_pieces,
    model_file,
    model_type,
)

MODEL_FILE = "spiece.model"
_CONFIG = "tokenizer_config.json"
_SENTINELS = 100  # as many as T5 has


def proto_of_checkpoint(folder: PresetFolder) -> bytes:
    """The SentencePiece model of a checkpoint.

    Raises: ConfigError for another kind of tokenizer, PresetJSONError for another kind of JSON.
    Spec: presets.transformers.sentence-piece
    """
    if folder.has(MODEL_FILE) or not folder.has(TOKENIZER_FILE):
        return folder.read_bytes(MODEL_FILE)
    file = f"{folder}/{TOKENIZER_FILE}"
    content = folder.json(TOKENIZER_FILE)
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type") != "Unigram":
        raise ConfigError(
            f"{file} has a model of type {model.get('type') if isinstance(model, dict) else None!r:.40}.",
            "T5's tokenizer is a Unigram model.",
            "Use a checkpoint with such a tokenizer, or load with preprocessor=None.",
            "presets.transformers.sentence-piece",
        )
    try:
        rows = [(str(piece), float(score)) for piece, score in model["vocab"]]
        unknown, fallback = int(model["unk_id"]), bool(model.get("byte_fallback"))
        special = {str(token["content"]) for token in content.get("added_tokens") or []}
        while rows and rows[-1][0] in special:  # sentinels are no pieces
            rows.pop()
        kinds = [_kind(n, piece, unknown, special, fallback) for n, (piece, _) in enumerate(rows)]
        pieces = [(piece, score, kind) for (piece, score), kind in zip(rows, kinds, strict=True)]
        frame = {"unk": unknown}
        return model_file(pieces, UNIGRAM, _charsmap(content.get("normalizer")), frame, fallback)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, binascii.Error) as error:
        raise PresetJSONError(
            f"{file} holds a Unigram model of another form: {error!r:.80}.",
            "It must be a tokenizer of the tokenizers library: pieces with scores, and a precompiled normalizer.",
            "Download the checkpoint anew.",
            "presets.transformers.sentence-piece",
        ) from error


def _kind(id: int, piece: str, unknown: int, special: set[str], fallback: bool) -> int:
    """What a piece is. Special tokens are found before the model sees a text, so that the model need not match them."""
    if id == unknown:
        return UNKNOWN
    if fallback and len(piece) == 6 and piece.startswith("<0x"):
        return BYTE
    return CONTROL if piece in special else NORMAL


def _charsmap(normalizer: Any) -> bytes:
    """The precompiled table of a normalizer; a list of normalizers may hold one."""
    if normalizer is None:
        return b""
    if normalizer["type"] == "Sequence":
        (normalizer,) = (part for part in normalizer["normalizers"] if part["type"] == "Precompiled")
    if normalizer["type"] != "Precompiled":
        raise ValueError(f"the normalizer {normalizer['type']!r:.40}")
    return base64.b64decode(normalizer["precompiled_charsmap"], validate=True)


def added_tokens(folder: PresetFolder) -> dict[str, int]:
    """Tokens that are found in text as they stand, with their ids: specials, and sentinels in reverse at the end.

    Spec: presets.transformers.special-tokens
    """
    config = folder.json(_CONFIG) if folder.has(_CONFIG) else {}
    content = folder.json(TOKENIZER_FILE) if folder.has(TOKENIZER_FILE) else {}
    listed = content.get("added_tokens") if "registered_name" not in content else None
    if isinstance(listed, list):
        found = [(t.get("content"), t.get("id")) for t in listed if isinstance(t, Mapping)]
        return {text: id for text, id in found if isinstance(text, str) and text and type(id) is int and id >= 0}
    pieces, count = count_pieces(proto_of_checkpoint(folder)), config.get("extra_ids", _SENTINELS)
    count = count if type(count) is int and 0 <= count <= 10_000 else _SENTINELS
    sentinels = {f"<extra_id_{n}>": pieces + count - 1 - n for n in range(count)}
    return {"<pad>": 0, "</s>": 1, "<unk>": 2} | sentinels


def write_sentence_piece(folder: Path, tokenizer: Any) -> None:
    """Write `spiece.model` and what transformers must know beside it.

    Raises: ConfigError for a model that is not Unigram: transformers' T5 has no other.
    Spec: presets.export.tokenizer
    """
    if model_type(tokenizer.proto) != UNIGRAM:
        raise ConfigError(
            f"Export to Transformers format not implemented for a SentencePiece model of type "
            f"{model_type(tokenizer.proto)}.",
            "transformers' T5 tokenizer is a Unigram model (type 1).",
            "Export the backbone alone, or train a Unigram model.",
            "presets.export.tokenizer",
        )
    (folder / MODEL_FILE).write_bytes(tokenizer.proto)
    sentinels = [token for token in tokenizer.added_tokens if token.startswith("<extra_id_")]
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    config = {"tokenizer_class": "T5Tokenizer", **names, "extra_ids": len(sentinels)}
    (folder / _CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=2), encoding="utf-8")
