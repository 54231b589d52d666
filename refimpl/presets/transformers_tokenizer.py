"""The files of a byte-level BPE tokenizer in transformers' form, both ways.

`tokenizer.json` says everything; older folders have `vocab.json` and `merges.txt`, and say in other files which tokens
are found in text as they stand.

Source: tokenizers 0.23 (the JSON of `Tokenizer`); transformers 5.23 tokenization_utils_tokenizers.py
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from refimpl.errors import ConfigError, PresetJSONError

# What byte-level BPE as GPT-2 has it looks like in `tokenizer.json`; values that may stand there.
_PRE_TOKENIZER = {"type": ("ByteLevel",), "use_regex": (True, None)}
_MODEL = {
    "type": ("BPE", None),
    "dropout": (None,),
    "continuing_subword_prefix": ("", None),
    "end_of_word_suffix": ("", None),
    "byte_fallback": (False, None),
    "ignore_merges": (False, None),
}
_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


def vocabulary_of(content: Mapping[str, Any], file: str) -> tuple[dict[str, int], list[str]]:
    """Vocabulary and merges of a `tokenizer.json`; tokens that were added later are part of the vocabulary.

    Raises: ConfigError for another kind of tokenizer, PresetJSONError for another kind of JSON.
    Spec: presets.transformers.tokenizer
    """
    model = _part(content, "model", file)
    _check(model, _MODEL, f"{file}: model")
    _check(_part(content, "pre_tokenizer", file), _PRE_TOKENIZER, f"{file}: pre_tokenizer")
    _check(content, {"normalizer": (None,)}, file)
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, dict) or not isinstance(merges, list):
        raise _malformed(file, "a model without vocab and merges")
    added = {token["content"]: token.get("id") for token in _added(content.get("added_tokens"), file)}
    rules = [rule if isinstance(rule, str) else _joined(rule, file) for rule in merges]
    return {**vocabulary, **{token: id for token, id in added.items() if token not in vocabulary}}, rules


def tokenizer_config(
    content: Mapping[str, Any] | None, config: Mapping[str, Any], names: Mapping[str, Any], file: str
) -> tuple[dict[str, Any], list[str]]:
    """What KerasHub's tokenizer is built with, and the tokens that take the spaces before them with them.

    `content` is `tokenizer.json`, `config` is `tokenizer_config.json` and `names` is `special_tokens_map.json`. The
    first that says which tokens are found in text as they stand counts; if none does, KerasHub's three are.

    Raises: ConfigError for tokens that are found by other rules.
    Spec: presets.transformers.special-tokens, tokenizers.byte-pair.left-strip
    """
    if content is not None:
        added = list(_added(content.get("added_tokens"), file))
        prefix = _part(content, "pre_tokenizer", file).get("add_prefix_space")
    else:
        listed = config.get("added_tokens_decoder")
        if listed is not None and not isinstance(listed, dict):
            raise _malformed(file, f"added_tokens_decoder of type {type(listed).__name__}")
        values = [source[name] for source in (config, names) for name in _NAMES if source.get(name)]
        tokens = list((listed or {}).values()) or [t if isinstance(t, dict) else {"content": t} for t in values]
        added = list(_added(tokens, file))
        prefix = config.get("add_prefix_space")
    result: dict[str, Any] = {"add_prefix_space": bool(prefix)}
    if added:
        result["unsplittable_tokens"] = list(dict.fromkeys(token["content"] for token in added))
    return result, [token["content"] for token in added if token.get("lstrip")]


def _added(tokens: Any, file: str) -> Iterator[Mapping[str, Any]]:
    """Tokens that are found in text as they stand."""
    for token in tokens or [] if isinstance(tokens, (list, type(None))) else [tokens]:
        if not isinstance(token, dict) or not isinstance(token.get("content"), str) or not token["content"]:
            raise _malformed(file, f"the added token {token!r:.60}")
        _check(token, {"rstrip": (False, None), "single_word": (False, None)}, f"{file}: {token['content']!r:.40}")
        yield token


def _part(content: Mapping[str, Any], key: str, file: str) -> Mapping[str, Any]:
    part = content.get(key)
    if not isinstance(part, dict):
        raise _malformed(file, f"a {key} of type {type(part).__name__}")
    return part


def _check(part: Mapping[str, Any], allowed: Mapping[str, tuple[Any, ...]], where: str) -> None:
    """Every setting that is there must be one of those that give GPT-2's byte-level BPE."""
    for key, values in allowed.items():
        if not any(part.get(key) is value or (isinstance(value, str) and part.get(key) == value) for value in values):
            raise ConfigError(
                f"{where} has {key}={part.get(key)!r:.60}.",
                f"refimpl's byte-level BPE is GPT-2's, with {key} one of {list(values)}.",
                "Use a checkpoint with such a tokenizer, or load with preprocessor=None.",
                "presets.transformers.tokenizer",
            )


def _joined(rule: Any, file: str) -> str:
    """A merge rule that is written as a pair."""
    if not isinstance(rule, list) or len(rule) != 2 or not all(isinstance(p, str) and " " not in p for p in rule):
        raise _malformed(file, f"the merge {rule!r:.60}")
    return " ".join(rule)


def _malformed(file: str, has: str) -> PresetJSONError:
    return PresetJSONError(
        f"{file} has {has}.",
        "It must be a tokenizer of the tokenizers library.",
        "Download the checkpoint anew.",
        "presets.transformers.tokenizer",
    )


def special_token_files(special: Mapping[str, str], kept: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`tokenizer_config.json` and `special_tokens_map.json`. `special` is start, end and pad; `kept` all unsplittable.

    Spec: presets.export.tokenizer
    """
    start, end, pad = special["start_token"], special["end_token"], special["pad_token"]
    others = [token for token in dict.fromkeys(kept) if token not in (start, end, pad)]
    tokens: dict[str, Any] = {"bos_token": start, "eos_token": end, "cls_token": start, "sep_token": end}
    tokens |= {"pad_token": pad}
    tokens |= {"unk_token": "<unk>"} if "<unk>" in others else {}
    tokens |= {"mask_token": "<mask>"} if "<mask>" in others else {}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **tokens}
    return {"special_tokens_map.json": tokens, "tokenizer_config.json": config}


def tokenizer_json(
    vocabulary: Mapping[str, int],
    merges: Iterable[str],
    kept: Iterable[str],
    lstrip: Iterable[str],
    special: Mapping[str, str],
    prefix: bool,
) -> dict[str, Any]:
    """`tokenizer.json` of a byte-level BPE tokenizer that puts BART's start and end tokens around a text.

    Spec: presets.export.tokenizer
    """
    start, end = special["start_token"], special["end_token"]
    plain = {"single_word": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": True}
    added = [{"id": vocabulary[t], "content": t, "lstrip": t in lstrip, **plain} for t in dict.fromkeys(kept)]
    frame = {"sep": [end, vocabulary[end]], "cls": [start, vocabulary[start]]}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": dict(vocabulary),
        "merges": [rule.split(" ") for rule in merges],
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(added, key=lambda token: vocabulary[token["content"]]),
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": {"type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": prefix, **frame},
        "decoder": byte_level,
        "model": model,
    }
