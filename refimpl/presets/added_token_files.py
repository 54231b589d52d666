"""Tokens that a checkpoint of transformers adds to its vocabulary, from every file that can name them.

Source: transformers 5.23 tokenization_utils_base.py (_from_pretrained); tokenizers 0.23 (AddedToken)
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from refimpl.errors import ConfigError, PresetJSONError
from refimpl.presets.folder import TOKENIZER_FILE, PresetFolder

Flags = frozenset[str]
Added = dict[str, tuple[int, Flags]]

FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
SPECIAL: Flags = frozenset({"special"})
CONFIG, NAMES, IDS = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
_ATTRIBUTES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_LISTS = ("additional_special_tokens", "extra_special_tokens")


def added_tokens(folder: PresetFolder, vocabulary: Mapping[str, Any]) -> Added:
    """Tokens that are found in text as they stand, with their ids and flags.

    The first file that describes a token gives its flags. One that has no id anywhere gets the one of the vocabulary,
    or the next free one: where it stands in a text, the text must not vanish.

    Raises: ConfigError for a token with two ids or an id with two tokens, PresetJSONError for what is no token.
    Spec: presets.transformers.special-tokens, presets.transformers.added-token-ids
    """
    words = {token: id for token, id in vocabulary.items() if type(id) is int}
    ids: dict[str, int | None] = {}
    flags: dict[str, Flags] = {}
    for file, token, told, found in _named(folder):
        known = ids.get(token)
        known = words.get(token) if known is None else known
        if told is not None and known is not None and told != known:
            raise _contradiction(f"{folder}/{file}", f"{token!r:.40} the id {told}", f"it has the id {known!r:.20}")
        ids[token] = told if known is None else known
        flags.setdefault(token, found)
    given = [id for id in ids.values() if id is not None]
    if len(set(given)) < len(given):
        twice = next(id for id in given if given.count(id) > 1)
        raise _contradiction(str(folder), f"two tokens the id {twice}", "each needs its own")
    free = 1 + max([-1, *given, *words.values()])
    result: Added = {}
    for token, id in ids.items():
        result[token] = (free if id is None else id, flags[token])
        free += id is None
    return result


def tokenizer_json(folder: PresetFolder) -> dict[str, Any] | None:
    """`tokenizer.json`, unless KerasHub left its own there; None if there is none."""
    content = optional_json(folder, TOKENIZER_FILE)
    return content if content and "registered_name" not in content else None


def optional_json(folder: PresetFolder, name: str) -> dict[str, Any]:
    """A JSON file's content, or an empty object if there is no such file."""
    return folder.json(name) if folder.has(name) else {}


def _named(folder: PresetFolder) -> Iterator[tuple[str, str, int | None, Flags]]:
    """File, token, id and flags, those with ids first."""
    content, config, names = tokenizer_json(folder), optional_json(folder, CONFIG), optional_json(folder, NAMES)
    for token in _list((content or {}).get("added_tokens"), TOKENIZER_FILE):
        yield TOKENIZER_FILE, *_token(token, token.get("id") if isinstance(token, dict) else None, TOKENIZER_FILE)
    decoder = config.get("added_tokens_decoder")
    if not isinstance(decoder, (dict, type(None))):
        raise malformed(CONFIG, f"added_tokens_decoder of type {type(decoder).__name__}")
    for key, token in (decoder or {}).items():
        yield CONFIG, *_token(token, int(key) if re.fullmatch("[0-9]{1,9}", key) else key, CONFIG)
    # A file that lists tokens in full makes the oldest one, the map of names, obsolete.
    sources = [(CONFIG, config)] if decoder or content else [(CONFIG, config), (NAMES, names)]
    special = [(file, _token(token, None, file)) for file, source in sources for token in _special(source, file)]
    known = {token for _, (token, *_) in special}
    for token, id in optional_json(folder, IDS).items():
        yield IDS, *_token({"content": token, "special": token in known}, id, IDS)
    for file, found in special:
        yield file, *found


def _special(source: Mapping[str, Any], file: str) -> Iterator[Any]:
    """Tokens that a file names without ids: by a role, or in a list."""
    others = (key for key in source if key.endswith("_token") and key not in _ATTRIBUTES)
    for key in (*_ATTRIBUTES, *others):
        if source.get(key) and isinstance(source[key], (str, dict)):
            yield source[key]
    for key in _LISTS:
        value = source.get(key)
        yield from value.values() if isinstance(value, dict) else _list(value, file)


def _list(value: Any, file: str) -> list[Any]:
    if not isinstance(value, (list, type(None))):
        raise malformed(file, f"a list of tokens of type {type(value).__name__}")
    return value or []


def _token(token: Any, id: Any, file: str) -> tuple[str, int | None, Flags]:
    """A token as one of the files describes it: by its text, or by an object with its text and flags."""
    described = {"content": token, "special": True} if isinstance(token, str) else token
    text = described.get("content") if isinstance(described, dict) else None
    if not isinstance(text, str) or not text or not (id is None or (type(id) is int and 0 <= id < 2**31)):
        raise malformed(file, f"the added token {token!r:.60} with the id {id!r:.20}")
    described = {"normalized": not described.get("special"), **described}
    return text, id, frozenset(flag for flag in FLAGS if described.get(flag))


def described(token: str, flags: Iterable[str]) -> dict[str, Any]:
    """A token as transformers writes it. Spec: presets.export.tokenizer"""
    return {"content": token, **{flag: flag in flags for flag in FLAGS}}


def flags_to_json(flags: Mapping[str, Flags]) -> dict[str, dict[str, list[str]]]:
    """What a preset says of tokens that are more, or less, than special."""
    told = {token: sorted(of) for token, of in flags.items() if of != SPECIAL}
    return {"token_flags": told} if told else {}


def flags_from_json(extension: Any) -> dict[str, Flags]:
    """The inverse; earlier versions wrote a list of tokens that take the spaces before them."""
    extension = extension if isinstance(extension, dict) else {}
    told, lstrip = extension.get("token_flags"), extension.get("lstrip_tokens")
    flags = (
        {token: SPECIAL | {"lstrip"} for token in lstrip if isinstance(token, str)} if isinstance(lstrip, list) else {}
    )
    for token, of in told.items() if isinstance(told, dict) else ():
        flags[token] = frozenset(of if isinstance(of, list) else ()) & frozenset(FLAGS)
    return flags


def _contradiction(file: str, gives: str, but: str) -> ConfigError:
    return ConfigError(
        f"{file} gives {gives}, but {but}.",
        "A token has one id in all files of a checkpoint.",
        "Save the tokenizer again with transformers, or load with preprocessor=None.",
        "presets.transformers.added-token-ids",
    )


def malformed(file: str, has: str) -> PresetJSONError:
    """The error for a file that is no tokenizer's."""
    return PresetJSONError(
        f"{file} has {has}.",
        "It must be a tokenizer of the tokenizers library.",
        "Download the checkpoint anew.",
        "presets.transformers.tokenizer",
    )
