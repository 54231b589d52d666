"""The SentencePiece model that a tokenizer is given: checked, loaded, and asked by the `sentencepiece` package."""

import base64
import binascii
import functools
from pathlib import Path
from typing import Any

from refimpl.errors import (
    ConfigError,
    InputError,
    InputTypeError,
    PresetFileNotFoundError,
    PresetUnreadableError,
)

_SHORTEST_BASE64 = 2049  # a shorter string is a path, as in KerasHub
_CLAUSE = "tokenizers.sentence-piece.proto"


def is_base64(proto: str) -> bool:
    """Whether a string is a model and not a path. Spec: tokenizers.sentence-piece.proto"""
    try:
        return len(proto) >= _SHORTEST_BASE64 and bool(base64.b64decode(proto, validate=True))
    except (binascii.Error, ValueError):
        return False


def proto_of(proto: Any) -> bytes:
    """The serialized model: from bytes, from base64 text, or from the file of a path.

    Raises: InputTypeError, PresetFileNotFoundError, PresetUnreadableError.
    Spec: tokenizers.sentence-piece.proto
    """
    if isinstance(proto, bytes):
        return proto
    if not isinstance(proto, (str, Path)):
        raise InputTypeError(
            f"SentencePiece `proto` is of type {type(proto).__name__}.",
            "It must be a path, or the serialized model as bytes or base64 text.",
            "Pass the path of the .spm or .model file.",
            _CLAUSE,
        )
    if isinstance(proto, str) and is_base64(proto):
        return base64.b64decode(proto)
    try:
        return Path(proto).read_bytes()
    except FileNotFoundError as error:
        raise PresetFileNotFoundError(
            f"There is no SentencePiece model {str(proto)!r:.200}.",
            "`proto` must be the path of a file, or the model itself.",
            "Check the path.",
            _CLAUSE,
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise PresetUnreadableError(
            f"The SentencePiece model {str(proto)!r:.200} can't be read: {getattr(error, 'strerror', None) or error}.",
            "`proto` must be the path of a readable file, or the model itself.",
            "Check the path.",
            _CLAUSE,
        ) from error


class SentencePieceModel:
    """Pieces and ids of one model.

    Source: Kudo and Richardson 2018; sentencepiece 0.2.3
    """

    def __init__(self, proto: bytes) -> None:
        import sentencepiece  # noqa: PLC0415 (most processes load no such model)

        self.proto = proto
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=proto)
            size = self._processor.vocab_size() if proto else 0
            # A piece that is no UTF-8 ends in a UnicodeDecodeError, which is a ValueError.
            self.pieces: list[str] = [self._processor.id_to_piece(id) for id in range(size)]
            problem = "" if size else "it has no pieces"
        except (RuntimeError, OSError, ValueError, TypeError) as error:
            problem = str(error)
        if problem:
            raise PresetUnreadableError(
                f"The SentencePiece model of {len(proto)} bytes can't be used: {problem:.200}.",
                "It must be a serialized model, as sentencepiece trains and saves it.",
                "Check that the file is whole and of the right kind.",
                _CLAUSE,
            )
        self.ids = {piece: id for id, piece in enumerate(self.pieces)}
        self.unknown_id: int = self._processor.unk_id()

    def __getstate__(self) -> bytes:
        """Copies, also those in other processes, load the model anew."""
        return self.proto

    def __setstate__(self, proto: bytes) -> None:
        self.__init__(proto)  # type: ignore[misc]

    def encode(self, text: str) -> list[int]:
        """Normalize and cut a text as the model says. Spec: tokenizers.sentence-piece.model-rules"""
        return list(self._processor.encode(_checked(text), out_type=int))

    def encode_pieces(self, text: str) -> list[str]:
        """The same as texts of pieces; what has no piece stands there itself."""
        return list(self._processor.encode(_checked(text), out_type=str))

    def normalize(self, text: str) -> str:
        """What the model makes of a text's characters; the number of spaces stays as it is."""
        return str(self._normalizer.normalize(_checked(text)))

    @functools.cached_property
    def _normalizer(self) -> Any:
        import sentencepiece  # noqa: PLC0415 (as above)

        return sentencepiece.SentencePieceNormalizer(
            model_proto=self.proto, add_dummy_prefix=False, escape_whitespaces=False, remove_extra_whitespaces=False
        )

    def decode(self, ids: list[int]) -> str:
        """The text of pieces that are all in the model. Spec: tokenizers.sentence-piece.detokenize"""
        return str(self._processor.decode(ids))

    def frame_id(self, name: str) -> int:
        """The id of the model's own `bos` or `eos`.

        Raises: ConfigError if the model has none.
        Spec: tokenizers.sentence-piece.bos-eos
        """
        id = int(getattr(self._processor, f"{name}_id")())
        if id < 0:
            raise ConfigError(
                f"add_{name}=True was passed.",
                f"The SentencePiece model must have a {name} piece, and has none.",
                f"Leave out add_{name}, or train the model with one.",
                "tokenizers.sentence-piece.bos-eos",
            )
        return id


def _checked(text: str) -> str:
    """`text` if it can be written as UTF-8. Spec: tokenizers.input.types"""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"The text {text[:40]!r} holds the lone surrogate {text[error.start]!r} at position {error.start}.",
            "A text must be encodable as UTF-8.",
            "Replace it first: text.encode('utf-8', 'replace').decode().",
            "tokenizers.input.types",
        ) from error
    return text
