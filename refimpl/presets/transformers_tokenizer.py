"""The files of a byte-level BPE tokenizer in transformers' form, both ways.

`tokenizer.json` says everything; older folders have `vocab.json` and `merges.txt`, and say in other files which tokens
are found in text as they stand.

Source: tokenizers 0.23 (the JSON of `Tokenizer`); transformers 5.23 tokenization_utils_tokenizers.py
"""

from collections.abc import Iterable, Mapping
from typing import Any

from refimpl.errors import ConfigError, PresetFileNotFoundError
from refimpl.presets.added_token_files import CONFIG, SPECIAL, Flags, described, malformed, optional_json
from refimpl.presets.folder import PresetFolder

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


def vocabulary_of(content: Mapping[str, Any], file: str) -> tuple[dict[str, int], list[str]]:
    """Vocabulary and merges of a `tokenizer.json`, without tokens that were added later.

    Raises: ConfigError for another kind of tokenizer, PresetJSONError for another kind of JSON.
    Spec: presets.transformers.tokenizer
    """
    model = _part(content, "model", file)
    _check(model, _MODEL, f"{file}: model")
    _check(_part(content, "pre_tokenizer", file), _PRE_TOKENIZER, f"{file}: pre_tokenizer")
    _check(content, {"normalizer": (None,)}, file)
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, dict) or not isinstance(merges, list):
        raise malformed(file, "a model without vocab and merges")
    return vocabulary, [rule if isinstance(rule, str) else _joined(rule, file) for rule in merges]


def prefix_space(content: Mapping[str, Any] | None, config: Mapping[str, Any], file: str) -> bool:
    """Whether a text gets a space before it, by `tokenizer.json` or else `tokenizer_config.json`."""
    source = config if content is None else _part(content, "pre_tokenizer", file)
    return bool(source.get("add_prefix_space"))


def no_tokenizer(folder: PresetFolder, missing: str, kind: str) -> PresetFileNotFoundError:
    """The error for a checkpoint whose tokenizer is another one than its architecture's, as CodeT5's and ByT5's are."""
    name = optional_json(folder, CONFIG).get("tokenizer_class")
    return PresetFileNotFoundError(
        f"`{missing}` doesn't exist in {folder}, whose tokenizer is {name or 'not named'!s:.60}; "
        f"found: {', '.join(folder.names()) or 'nothing'}.",
        f"The tokenizer of this architecture is {kind}.",
        "Load with preprocessor=None and pass ids, or use a checkpoint with such a tokenizer.",
        "presets.transformers.tokenizer",
    )


def _part(content: Mapping[str, Any], key: str, file: str) -> Mapping[str, Any]:
    part = content.get(key)
    if not isinstance(part, dict):
        raise malformed(file, f"a {key} of type {type(part).__name__}")
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
        raise malformed(file, f"the merge {rule!r:.60}")
    return " ".join(rule)


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
    flags: Mapping[str, Flags],
    special: Mapping[str, str],
    prefix: bool,
) -> dict[str, Any]:
    """`tokenizer.json` of a byte-level BPE tokenizer that puts BART's start and end tokens around a text.

    Spec: presets.export.tokenizer
    """
    start, end = special["start_token"], special["end_token"]
    byte_level = {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": True, "use_regex": True}
    added = [{"id": vocabulary[t], **described(t, flags.get(t, SPECIAL))} for t in dict.fromkeys(kept)]
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
