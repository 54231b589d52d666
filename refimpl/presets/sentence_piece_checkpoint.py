"""The files of a T5 tokenizer in transformers' form, both ways.

`spiece.model` is the SentencePiece model itself; transformers 5 writes its parts to `tokenizer.json` in its place.

Source: transformers 5.23 tokenization_t5.py; tokenizers 0.23 (the JSON of `Tokenizer`)
"""

import base64
import binascii
import json
from pathlib import Path
from typing import Any

from refimpl.errors import ConfigError, PresetJSONError
from refimpl.presets.added_token_files import (
    CONFIG,
    SPECIAL,
    Added,
    added_tokens,
    described,
    optional_json,
    tokenizer_json,
)
from refimpl.presets.folder import TOKENIZER_FILE, PresetFolder
from refimpl.presets.sentence_piece_file import (
    BYTE,
    CONTROL,
    NORMAL,
    UNIGRAM,
    UNKNOWN,
    model_file,
    model_type,
    pieces_of,
)
from refimpl.presets.transformers_tokenizer import no_tokenizer

MODEL_FILE = "spiece.model"
_SENTINELS = 100  # as many as T5 has
_MOST_ADDED = 100_000


def proto_of_checkpoint(folder: PresetFolder) -> bytes:
    """The SentencePiece model of a checkpoint.

    Raises: ConfigError for another kind of tokenizer, PresetJSONError for another kind of JSON.
    Spec: presets.transformers.sentence-piece
    """
    if folder.has(MODEL_FILE):
        return folder.read_bytes(MODEL_FILE)
    content = tokenizer_json(folder)
    if content is None:
        raise no_tokenizer(folder, MODEL_FILE, "a SentencePiece model")
    file = f"{folder}/{TOKENIZER_FILE}"
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type") != "Unigram":
        raise ConfigError(
            f"{file} has a model of type {model.get('type') if isinstance(model, dict) else None!r:.40}.",
            "T5's tokenizer is a Unigram model.",
            "Use a checkpoint with such a tokenizer, or load with preprocessor=None and pass ids.",
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


def sentence_piece_tokens(folder: PresetFolder) -> Added:
    """Tokens that are found in text as they stand: specials, and sentinels in reverse after the pieces.

    Spec: presets.transformers.special-tokens
    """
    pieces = {piece: id for id, piece in enumerate(pieces_of(proto_of_checkpoint(folder)))}
    if (tokenizer_json(folder) or {}).get("added_tokens") is not None:
        return added_tokens(folder, pieces)
    count = optional_json(folder, CONFIG).get("extra_ids", _SENTINELS)
    sentinels = _sentinels(len(pieces), count if type(count) is int and 0 <= count <= 10_000 else _SENTINELS)
    found = added_tokens(folder, pieces | sentinels)
    taken = {id for id, _ in found.values()}
    own = {token: pieces[token] for token in ("<pad>", "</s>", "<unk>") if token in pieces} | sentinels
    return {token: (id, SPECIAL) for token, id in own.items() if id not in taken} | found


def _sentinels(start: int, count: int) -> dict[str, int]:
    """`<extra_id_0>` is the last token of all."""
    return {f"<extra_id_{n}>": start + count - 1 - n for n in range(count)}


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
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    config = {"tokenizer_class": "T5Tokenizer", **names, **_added_to_config(tokenizer)}
    (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(names, indent=2), encoding="utf-8")


def _added_to_config(tokenizer: Any) -> dict[str, Any]:
    """Sentinels and other added tokens for `tokenizer_config.json`.

    transformers counts ids through from the last piece on, so that ids without a token need one there.

    Raises: ConfigError for a token that stands in a piece's place, or far behind the others.
    """
    pieces = pieces_of(tokenizer.proto)
    sentinels = {token: id for token, id in tokenizer.added_tokens.items() if token.startswith("<extra_id_")}
    count = len(sentinels) if sentinels == _sentinels(len(pieces), len(sentinels)) else 0
    tokens = {id: token for token, id in tokenizer.added_tokens.items()}
    for id, token in tokens.items():
        if (id < len(pieces) and pieces[id] != token) or id > len(pieces) + _MOST_ADDED:
            raise ConfigError(
                f"The added token {token!r:.40} has the id {id}, the model has {len(pieces)} pieces.",
                f"An added token is a piece of that id, or one of the {_MOST_ADDED} ids after them.",
                "Use save_to_preset.",
                "presets.export.tokenizer",
            )
    tokens = {id: f"<|reserved_token_{id}|>" for id in range(len(pieces) + count, max(tokens, default=0))} | tokens
    listed = {
        str(id): described(token, tokenizer.token_flags.get(token, SPECIAL)) for id, token in sorted(tokens.items())
    }
    return {"extra_ids": count} | ({"added_tokens_decoder": listed} if listed else {})
