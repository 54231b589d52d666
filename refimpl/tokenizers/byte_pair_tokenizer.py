"""Byte-pair encoding over bytes, as in GPT-2 and BART."""

import functools
import json
from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import Any

import regex

from refimpl.errors import ConfigError, NegativeTokenIdError, PresetUnreadableError, UnknownTokenError
from refimpl.presets import PresetFolder, register
from refimpl.presets.folder import TOKENIZER_ASSETS
from refimpl.tokenizers.byte_level import SPLIT_PATTERN, byte_to_character, to_characters, to_text
from refimpl.tokenizers.merge import merge_word
from refimpl.tokenizers.tokenizer import Tokenizer

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
        self._unsplittable = _texts_or_none(unsplittable_tokens)
        self.lstrip_tokens: list[str] = []
        self.vocabulary: dict[str, int] | None = None
        self.merges: list[str] = []
        if vocabulary is not None or merges is not None:
            self.set_vocabulary_and_merges(vocabulary, merges)

    def set_vocabulary_and_merges(self, vocabulary: Any, merges: Any) -> None:
        """Set, check and index the vocabulary.

        Raises: ConfigError if the two do not fit each other or miss a special token.
        Spec: tokenizers.vocabulary.types, tokenizers.vocabulary.special-tokens, tokenizers.vocabulary.merge-parts
        """
        words = _vocabulary_of(vocabulary)
        rules = _merges_of(merges)
        for name in self.special_token_names:
            if (token := getattr(self, name)) not in words:
                raise ConfigError(
                    f"Cannot find special token `{token!r}` in the provided vocabulary for `{type(self).__name__}`.",
                    "The vocabulary must hold all special tokens.",
                    f"Add {token!r} to the vocabulary.",
                    "tokenizers.vocabulary.special-tokens",
                )
            setattr(self, f"{name}_id", words[token])
        self._ranks = _ranks_of(rules, words)
        self._letters = words.keys() | {part for pair in self._ranks for part in pair}
        self.vocabulary, self.merges = words, rules
        self._tokens = {id: token for token, id in words.items()}
        self._word_ids: Callable[[str], tuple[int, ...]] = functools.lru_cache(_CACHED_WORDS)(self._encode_word)
        self._specials = _pattern_of(self.unsplittable_tokens, self.lstrip_tokens)

    @property
    def unsplittable_tokens(self) -> list[str]:
        """Tokens that are found in the text as they stand; the special tokens if none were given."""
        return self.special_tokens if self._unsplittable is None else list(self._unsplittable)

    # -- text to ids ---------------------------------------------------------------------------------------------
    def _encode(self, text: str) -> list[int]:
        """Special tokens are cut out first, the text between them is split into words.

        Spec: tokenizers.byte-pair.unsplittable, tokenizers.byte-pair.prefix-space
        """
        vocabulary = self._need_vocabulary()
        if self.add_prefix_space and not text.startswith(" "):
            text = " " + text
        ids: list[int] = []
        for n, part in enumerate(self._specials.split(text) if self._specials else [text]):
            if n % 2:  # the pattern has one group: special tokens stand at the odd places
                ids += [vocabulary[part]] if part in vocabulary else []
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
        if id not in self._tokens:
            raise UnknownTokenError(
                f"Id {id} is out of vocabulary range.",
                f"The vocabulary has {len(self._tokens)} tokens.",
                "Check that ids and tokenizer belong together.",
                "tokenizers.vocabulary.look-up",
            )
        return self._tokens[id]

    def token_to_id(self, token: str) -> int:
        """The id of a token. Spec: tokenizers.vocabulary.look-up"""
        vocabulary = self._need_vocabulary()
        if token not in vocabulary:
            raise UnknownTokenError(
                f"Token {token!r} is not in the vocabulary.",
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
        extension = {"refimpl": {"lstrip_tokens": self.lstrip_tokens}} if self.lstrip_tokens else {}
        return super().described() | extension

    def load_extension(self, extension: Any) -> None:
        """Tokens that take the spaces before them with them, as `<mask>` does in transformers' BART.

        Spec: tokenizers.byte-pair.left-strip
        """
        tokens = extension.get("lstrip_tokens", []) if isinstance(extension, dict) else []
        if isinstance(tokens, list) and all(isinstance(token, str) for token in tokens):
            self.lstrip_tokens = tokens

    def load_assets(self, folder: PresetFolder) -> None:
        """Read `vocabulary.json` and `merges.txt`."""
        vocabulary = folder.json(f"{TOKENIZER_ASSETS}/{VOCABULARY_FILE}")
        self.set_vocabulary_and_merges(vocabulary, folder.text(f"{TOKENIZER_ASSETS}/{MERGES_FILE}").split("\n"))

    def save_assets(self, folder: Path) -> None:
        """Write `vocabulary.json` and `merges.txt`. Spec: presets.save.tokenizer-assets"""
        (folder / VOCABULARY_FILE).write_text(json.dumps(self._need_vocabulary()), encoding="utf-8")
        (folder / MERGES_FILE).write_text("".join(rule + "\n" for rule in self.merges), encoding="utf-8")


def _texts_or_none(tokens: Any) -> list[str] | None:
    """Tokens as a list of their own, or None."""
    if tokens is None:
        return None
    if not isinstance(tokens, (list, tuple)) or not all(isinstance(token, str) and token for token in tokens):
        raise ConfigError(
            f"unsplittable_tokens={tokens!r:.80} was passed.",
            "It is a list of tokens, or None for the special tokens.",
            "Pass a list of strings.",
            "tokenizers.byte-pair.unsplittable",
        )
    return list(tokens)


def _pattern_of(tokens: list[str], lstrip: list[str]) -> Any:
    """A pattern that finds unsplittable tokens, the longest first, with one group around the token.

    Spaces before a token of `lstrip` belong to the match and not to the group, so that splitting drops them.

    Spec: tokenizers.byte-pair.unsplittable, tokenizers.byte-pair.left-strip
    """
    if not tokens:
        return None
    longest_first = sorted(tokens, key=len, reverse=True)
    stripping = "|".join(regex.escape(token) for token in longest_first if token in lstrip)
    # A run of spaces is tried once, from its start: trying from each space would take quadratic time.
    spaces = rf"(?:(?<!\s)\s++(?={stripping}))?" if stripping else ""
    return regex.compile(f"{spaces}({'|'.join(map(regex.escape, longest_first))})")


def _vocabulary_of(vocabulary: Any) -> dict[str, int]:
    """A vocabulary as a dictionary, from a dictionary or a JSON file."""
    words = vocabulary
    if isinstance(vocabulary, (str, PathLike)):
        try:
            words = json.loads(Path(vocabulary).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise PresetUnreadableError(
                f"The vocabulary file {str(vocabulary)!r} can't be read: {error}.",
                "It must be a JSON object of tokens and ids.",
                "Check the path and the file.",
                "tokenizers.vocabulary.types",
            ) from error
    ids = list(words.values()) if isinstance(words, dict) else [None]
    if any(type(id) is not int or id < 0 for id in ids) or len(set(ids)) < len(ids):
        raise ConfigError(
            f"Vocabulary must be an file path or dictionary mapping string token to int ids. Received: {words!r:.80}.",
            "Ids must be different whole numbers from 0 on.",
            'Pass {"token": id, ...} or the path of such a JSON file.',
            "tokenizers.vocabulary.types",
        )
    return dict(words)


def _merges_of(merges: Any) -> list[str]:
    """Merge rules as a list of lines, from an iterable or a text file."""
    if isinstance(merges, (str, PathLike)):
        try:
            merges = Path(merges).read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise PresetUnreadableError(
                f"The merges file {str(merges)!r} can't be read: {error}.",
                "It must be a text file with one rule a line.",
                "Check the path and the file.",
                "tokenizers.vocabulary.types",
            ) from error
    lines: list[Any] = list(merges) if isinstance(merges, Iterable) else [None]
    if not all(isinstance(line, str) for line in lines):
        raise ConfigError(
            f"Merges must be a file path or a list of merge rules. Received: {merges!r:.80}.",
            'Each rule is a string "a b".',
            "Pass a list of strings, or the path of merges.txt.",
            "tokenizers.vocabulary.types",
        )
    return [line.rstrip("\r\n") for line in lines if line.strip("\r\n")]


def _ranks_of(rules: list[str], vocabulary: dict[str, int]) -> dict[tuple[str, str], int]:
    """Each rule's pair with its rank; a `#version` line is no rule.

    A part need not be a token if an earlier rule makes it: KerasHub's documented examples leave such steps out of the
    vocabulary (spec: tokenizers.vocabulary.merge-parts).
    """
    ranks: dict[tuple[str, str], int] = {}
    known = set(vocabulary) | set(byte_to_character().values())
    for rule in rules:
        if "#version:" in rule:
            continue
        left, _, right = rule.partition(" ")
        if left not in known or right not in known:
            raise ConfigError(
                f"Merge rule {rule!r} contains token {left!r} or {right!r} that is not in the vocabulary.",
                "Both parts of a merge must be tokens, single bytes, or made by an earlier rule.",
                "Use the vocabulary and the merges of the same model.",
                "tokenizers.vocabulary.merge-parts",
            )
        known.add(left + right)
        ranks.setdefault((left, right), len(ranks))
    return ranks
