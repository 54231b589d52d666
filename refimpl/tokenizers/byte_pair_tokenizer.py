"""Byte-pair encoding over bytes, as in GPT-2 and BART."""

import functools
import json
from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.errors import ConfigError, NegativeTokenIdError, UnknownTokenError
from refimpl.presets import PresetFolder, register
from refimpl.presets.added_token_files import Flags, flags_from_json, flags_to_json
from refimpl.presets.folder import TOKENIZER_ASSETS
from refimpl.tokenizers.added_tokens import AddedTokens
from refimpl.tokenizers.byte_level import SPLIT_PATTERN, to_characters, to_text
from refimpl.tokenizers.merge import merge_word
from refimpl.tokenizers.tokenizer import Tokenizer
from refimpl.tokenizers.vocabulary import checked_unsplittable, merges_of, ranks_of, vocabulary_of

VOCABULARY_FILE = "vocabulary.json"
MERGES_FILE = "merges.txt"
_CACHED_WORDS = 50_000
_CACHED_LENGTH = 64  # longer words are rare and would fill the cache with what never comes again


@register
class BytePairTokenizer(Tokenizer):
    """Text -> words (GPT-2's pattern) -> bytes as characters -> merges by rank -> ids.

    `vocabulary` maps tokens to ids (or is the path of a JSON file), `merges` are rules "a b", best first (or a path).

    Spec: tokenizers.byte-pair.split, tokenizers.byte-pair.merge-order
    Source: Sennrich et al. 2016; Radford et al. 2019 (GPT-2), section 2.2
    """

    module = "keras_hub.src.tokenizers.byte_pair_tokenizer"

    def __init__(
        self,
        vocabulary: dict[str, int] | str | PathLike[str] | None = None,
        merges: Iterable[str] | str | PathLike[str] | None = None,
        sequence_length: int | None = None,
        add_prefix_space: bool = False,
        unsplittable_tokens: list[str] | None = None,
        dtype: Any = "int32",
        **kwargs: Any,
    ) -> None:
        super().__init__(sequence_length=sequence_length, dtype=dtype, **kwargs)
        self.add_prefix_space = add_prefix_space
        self._unsplittable = checked_unsplittable(unsplittable_tokens)
        self.token_flags: dict[str, Flags] = {}
        self.vocabulary: dict[str, int] | None = None
        self.merges: list[str] = []
        if vocabulary is not None or merges is not None:
            self.set_vocabulary_and_merges(vocabulary, merges)

    def set_vocabulary_and_merges(self, vocabulary: Any, merges: Any) -> None:
        """Set, check and index the vocabulary.

        Raises: ConfigError if the two do not fit each other or miss a special token.
        Spec: tokenizers.vocabulary.types, tokenizers.vocabulary.special-tokens, tokenizers.vocabulary.merge-parts
        """
        words = vocabulary_of(vocabulary)
        rules = merges_of(merges)
        for name in self.special_token_names:
            if (token := getattr(self, name)) not in words:
                raise ConfigError(
                    f"Cannot find special token `{token!r}` in the provided vocabulary for `{type(self).__name__}`.",
                    "The vocabulary must hold all special tokens.",
                    f"Add {token!r} to the vocabulary.",
                    "tokenizers.vocabulary.special-tokens",
                )
            setattr(self, f"{name}_id", words[token])
        self._ranks = ranks_of(rules, words)
        self._letters = words.keys() | {part for pair in self._ranks for part in pair}
        self.vocabulary, self.merges = words, rules
        self._tokens = {id: token for token, id in words.items()}
        self._word_ids = self._fresh_cache()
        self._specials = AddedTokens((t for t in self.unsplittable_tokens if t in words), self.token_flags)

    def _fresh_cache(self) -> Callable[[str], tuple[int, ...]]:
        """`_encode_word` that remembers what comes often."""
        return functools.lru_cache(_CACHED_WORDS)(self._encode_word)

    def __getstate__(self) -> dict[str, Any]:
        """Copies, also those in other processes, get a cache of their own."""
        return {name: value for name, value in vars(self).items() if name != "_word_ids"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self.vocabulary is not None:
            self._word_ids = self._fresh_cache()

    @property
    def unsplittable_tokens(self) -> list[str]:
        """Tokens that are found in the text as they stand; the special tokens if none were given."""
        return self.special_tokens if self._unsplittable is None else list(self._unsplittable)

    # -- text to ids ---------------------------------------------------------------------------------------------
    def _encode(self, text: str) -> list[int]:
        """Tokens that stand in the text are cut out first, the text between them is split into words.

        Spec: tokenizers.byte-pair.unsplittable, tokenizers.byte-pair.prefix-space
        """
        vocabulary = self._need_vocabulary()
        if self.add_prefix_space and text and not text.startswith(" "):
            text = " " + text
        ids: list[int] = []
        for part, found in self._specials.split(text):
            if found:
                ids.append(vocabulary[part])
                continue
            for word in SPLIT_PATTERN.findall(part):
                ids += self._word_ids(word) if len(word) <= _CACHED_LENGTH else self._encode_word(word)
        return ids

    def _encode_word(self, word: str) -> tuple[int, ...]:
        """The ids of one word; bytes that the vocabulary lacks are left out (spec: tokenizers.byte-pair.no-byte)."""
        vocabulary = self._need_vocabulary()
        known = [character for character in to_characters(word) if character in self._letters]
        return tuple(vocabulary[token] for token in merge_word(known, self._ranks) if token in vocabulary)

    def _decode(self, ids: list[int]) -> str:
        """Ids -> tokens -> bytes -> text; unknown ids are left out, special tokens stand as they are.

        Spec: tokenizers.detokenize.byte-level, tokenizers.detokenize.unknown-id
        """
        self._need_vocabulary()
        if ids and min(ids) < 0:
            raise NegativeTokenIdError(
                f"The id {min(ids)} was passed to detokenize().",
                "Ids must not be negative.",
                "Remove padding such as -100 first.",
                "tokenizers.detokenize.unknown-id",
            )
        return to_text("".join(self._tokens.get(id, "") for id in ids))

    # -- the vocabulary ------------------------------------------------------------------------------------------
    def _need_vocabulary(self) -> dict[str, int]:
        if self.vocabulary is None:
            raise ConfigError(
                f"No vocabulary has been set for {type(self).__name__}.",
                "A tokenizer needs a vocabulary and merges.",
                "Pass `vocabulary` and `merges` to the constructor, or call `set_vocabulary_and_merges`.",
                "tokenizers.vocabulary.unset",
            )
        return self.vocabulary

    def get_vocabulary(self) -> list[str]:
        """All tokens, in the vocabulary's order."""
        return list(self._need_vocabulary())

    def vocabulary_size(self) -> int:
        """The number of tokens."""
        return len(self._need_vocabulary())

    def id_to_token(self, id: int) -> str:
        """The token of an id. Spec: tokenizers.vocabulary.look-up"""
        self._need_vocabulary()
        if not isinstance(id, (int, np.integer)) or id not in self._tokens:
            raise UnknownTokenError(
                f"Id {id!r:.80} is out of vocabulary range.",
                f"The vocabulary has {len(self._tokens)} tokens.",
                "Check that ids and tokenizer belong together.",
                "tokenizers.vocabulary.look-up",
            )
        return self._tokens[id]

    def token_to_id(self, token: str) -> int:
        """The id of a token. Spec: tokenizers.vocabulary.look-up"""
        vocabulary = self._need_vocabulary()
        if not isinstance(token, str) or token not in vocabulary:
            raise UnknownTokenError(
                f"Token {token!r:.80} is not in the vocabulary.",
                "Only tokens have an id; a text is tokenized.",
                "Call tokenize() for a text.",
                "tokenizers.vocabulary.look-up",
            )
        return vocabulary[token]

    # -- presets -------------------------------------------------------------------------------------------------
    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, without vocabulary and merges."""
        return super().get_config() | {
            "add_prefix_space": self.add_prefix_space,
            "unsplittable_tokens": self.unsplittable_tokens,
        }

    def described(self) -> dict[str, Any]:
        """The serialized form; what KerasHub's constructor would not take stands beside its configuration."""
        extension = flags_to_json(self.token_flags)
        return super().described() | ({"refimpl": extension} if extension else {})

    def load_extension(self, extension: Any) -> None:
        """How tokens are found, such as `<mask>`, which takes the spaces before it in transformers' BART.

        Spec: tokenizers.added-tokens.flags
        """
        self.token_flags = flags_from_json(extension)

    def load_assets(self, folder: PresetFolder) -> None:
        """Read `vocabulary.json` and `merges.txt`."""
        vocabulary = folder.json(f"{TOKENIZER_ASSETS}/{VOCABULARY_FILE}")
        self.set_vocabulary_and_merges(vocabulary, folder.text(f"{TOKENIZER_ASSETS}/{MERGES_FILE}").split("\n"))

    def save_assets(self, folder: Path) -> None:
        """Write `vocabulary.json` and `merges.txt`. Spec: presets.save.tokenizer-assets"""
        (folder / VOCABULARY_FILE).write_text(json.dumps(self._need_vocabulary()), encoding="utf-8")
        (folder / MERGES_FILE).write_text("".join(rule + "\n" for rule in self.merges), encoding="utf-8")
