"""Text in pieces that a SentencePiece model has learned: unigram, BPE, words or characters, as the model says."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import numpy as np

from refimpl.errors import ConfigError, NegativeTokenIdError, UnknownTokenError, UnsafePresetError
from refimpl.presets import PresetFolder, register
from refimpl.presets.added_token_files import Flags, flags_from_json, flags_to_json
from refimpl.presets.folder import TOKENIZER_ASSETS
from refimpl.tokenizers.added_tokens import AddedTokens
from refimpl.tokenizers.sentence_piece_model import SentencePieceModel, is_base64, proto_of
from refimpl.tokenizers.tokenizer import Tokenizer

VOCABULARY_FILE = "vocabulary.spm"
_SPACE = "\u2581"  # how a piece writes a space


@register
class SentencePieceTokenizer(Tokenizer):
    """Everything about the text is in the model: normalization, spaces, pieces, what has no piece.

    `proto` is the path of a model, or the model as bytes or base64 text.

    Spec: tokenizers.sentence-piece.model-rules, tokenizers.sentence-piece.control-pieces
    Source: Kudo and Richardson 2018; keras-hub 0.32.0 tokenizers/sentence_piece_tokenizer.py
    """

    module = "keras_hub.src.tokenizers.sentence_piece_tokenizer"

    def __init__(
        self,
        proto: Any = None,
        sequence_length: int | None = None,
        dtype: Any = "int32",
        add_bos: bool = False,
        add_eos: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(sequence_length=sequence_length, dtype=dtype, **kwargs)
        self.add_bos, self.add_eos = add_bos, add_eos
        self.added_tokens: dict[str, int] = {}
        self.token_flags: dict[str, Flags] = {}
        self._finder: AddedTokens | None = None
        self._model: SentencePieceModel | None = None
        self.set_proto(proto)

    @property
    def proto(self) -> bytes | None:
        """The serialized model."""
        return None if self._model is None else self._model.proto

    def set_proto(self, proto: Any) -> None:
        """Load another model; None takes it away.

        Raises: ConfigError if the model lacks a special token, PresetUnreadableError if it is no model.
        Spec: tokenizers.sentence-piece.proto, tokenizers.vocabulary.special-tokens
        """
        model = None if proto is None else SentencePieceModel(proto_of(proto))
        for name in self.special_token_names:
            token = getattr(self, name)
            if model is not None and token not in model.ids:
                raise ConfigError(
                    f"Cannot find special token `{token!r}` in the provided vocabulary for `{type(self).__name__}`.",
                    "The SentencePiece model must hold all special tokens.",
                    f"Train it with a piece {token!r}.",
                    "tokenizers.vocabulary.special-tokens",
                )
            setattr(self, f"{name}_id", None if model is None else model.ids[token])
        self._model, self._finder = model, None

    # -- text to ids ---------------------------------------------------------------------------------------------
    def _encode(self, text: str) -> list[int]:
        model = self._need_model()
        ids: list[int] = []
        for part, added in self._parts(text):
            ids += model.encode(part) if added is None else [added]
        return self._framed(ids)

    def _encode_tokens(self, text: str) -> list[str]:
        """Pieces as text; what has no piece stands there itself. Spec: tokenizers.sentence-piece.strings"""
        model = self._need_model()
        tokens: list[str] = []
        for part, added in self._parts(text):
            tokens += model.encode_pieces(part) if added is None else [part]
        framed = self._framed([-1])
        place = framed.index(-1)
        return [*map(self.id_to_token, framed[:place]), *tokens, *map(self.id_to_token, framed[place + 1 :])]

    def _framed(self, ids: list[int]) -> list[int]:
        """The model's own begin and end around ids. Spec: tokenizers.sentence-piece.bos-eos"""
        start = [self._need_model().frame_id("bos")] if self.add_bos else []
        return start + ids + ([self._need_model().frame_id("eos")] if self.add_eos else [])

    def _parts(self, text: str) -> Iterator[tuple[str, int | None]]:
        """A text cut at added tokens, which come with their ids; what is between them is a text of its own.

        Spec: tokenizers.sentence-piece.added-tokens
        """
        if not self.added_tokens:
            yield text, None
            return
        self._finder = self._finder or AddedTokens(self.added_tokens, self.token_flags, self._need_model().normalize)
        for part, found in self._finder.split(text):
            yield part, self.added_tokens[part] if found else None

    # -- ids to text ---------------------------------------------------------------------------------------------
    def _decode(self, ids: list[int]) -> str:
        """The model's text of its pieces; added tokens stand as they are, ids beyond both are left out.

        Spec: tokenizers.sentence-piece.detokenize, tokenizers.detokenize.unknown-id
        """
        model = self._need_model()
        if ids and min(ids) < 0:
            raise NegativeTokenIdError(
                f"The id {min(ids)} was passed to detokenize().",
                "Ids must not be negative.",
                "Remove padding such as -100 first.",
                "tokenizers.detokenize.unknown-id",
            )
        shown = {id: token for token, id in self.added_tokens.items() if model.pieces[id : id + 1] != [token]}
        known = [id for id in ids if id < len(model.pieces) or id in shown]
        text = ""
        for added, run in groupby(known, key=shown.__contains__):
            part = list(run)
            if added:
                text += "".join(shown[id] for id in part)
                continue
            # The model takes the space before the first piece for its own, also in the middle of a text.
            text += (" " if text and model.pieces[part[0]].startswith(_SPACE) else "") + model.decode(part)
        return text

    # -- the vocabulary ------------------------------------------------------------------------------------------
    def _need_model(self) -> SentencePieceModel:
        if self._model is None:
            raise ConfigError(
                f"No vocabulary has been set for {type(self).__name__}.",
                "A SentencePiece tokenizer needs a model.",
                "Pass `proto` to the constructor, or call `set_proto`.",
                "tokenizers.vocabulary.unset",
            )
        return self._model

    def get_vocabulary(self) -> list[str]:
        """All pieces of the model, by id."""
        return list(self._need_model().pieces)

    def vocabulary_size(self) -> int:
        """The number of pieces of the model, which may be fewer than the rows of an embedding table."""
        return len(self._need_model().pieces)

    def id_to_token(self, id: int) -> str:
        """The piece or added token of an id. Spec: tokenizers.vocabulary.look-up"""
        pieces = self._need_model().pieces
        if isinstance(id, (int, np.integer)) and not isinstance(id, bool):
            if 0 <= id < len(pieces):
                return pieces[id]
            for token, added in self.added_tokens.items():
                if added == id:
                    return token
        raise UnknownTokenError(
            f"Id {id!r:.80} is out of vocabulary range.",
            f"`id` must be in range [0, {len(pieces) - 1}].",
            "Check that ids and tokenizer belong together.",
            "tokenizers.vocabulary.look-up",
        )

    def token_to_id(self, token: str | bytes) -> int:
        """The id of a piece or added token, and of what is neither the id of the unknown piece.

        Spec: tokenizers.sentence-piece.look-up
        """
        model = self._need_model()
        text = token.decode("utf-8", "replace") if isinstance(token, bytes) else token
        if not isinstance(text, str):
            raise UnknownTokenError(
                f"Token {token!r:.80} is of type {type(token).__name__}.",
                "Only texts can be pieces.",
                "Pass a string.",
                "tokenizers.sentence-piece.look-up",
            )
        return model.ids.get(text, self.added_tokens.get(text, model.unknown_id))

    # -- presets -------------------------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, without the model (which is an asset)."""
        own = {"proto": None, "sequence_length": self.sequence_length}
        return super().get_config() | own | {"add_bos": self.add_bos, "add_eos": self.add_eos}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build from `get_config()`'s dictionary, which may come from a stranger's file and so names no other file.

        Spec: tokenizers.sentence-piece.no-path-in-config
        """
        proto = config.get("proto")
        if proto is not None and not isinstance(proto, bytes) and not (isinstance(proto, str) and is_base64(proto)):
            raise UnsafePresetError(
                f"The configuration of {cls.__name__} has proto={proto!r:.80}.",
                "A configuration holds the model itself or none, not a path: a path could lead anywhere.",
                "Set it to null and put the model into the preset as an asset.",
                "tokenizers.sentence-piece.no-path-in-config",
            )
        return super().from_config({"proto": None, **config})

    def described(self) -> dict[str, Any]:
        """The serialized form; what KerasHub's constructor would not take stands beside its configuration."""
        extension = {"added_tokens": self.added_tokens, **flags_to_json(self.token_flags)}
        return super().described() | ({"refimpl": extension} if self.added_tokens else {})

    def load_extension(self, extension: Any) -> None:
        """Tokens beyond the model that are found in text as they stand, as T5's sentinels are in transformers.

        Spec: tokenizers.sentence-piece.added-tokens
        """
        tokens = extension.get("added_tokens", {}) if isinstance(extension, dict) else {}
        if isinstance(tokens, dict) and all(token and type(id) is int and id >= 0 for token, id in tokens.items()):
            self.added_tokens, self.token_flags, self._finder = dict(tokens), flags_from_json(extension), None

    def load_assets(self, folder: PresetFolder) -> None:
        """Read `vocabulary.spm`."""
        self.set_proto(folder.read_bytes(f"{TOKENIZER_ASSETS}/{VOCABULARY_FILE}"))

    def save_assets(self, folder: Path) -> None:
        """Write `vocabulary.spm`. Spec: presets.save.tokenizer-assets"""
        (folder / VOCABULARY_FILE).write_bytes(self._need_model().proto)
