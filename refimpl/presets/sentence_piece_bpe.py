"""A SentencePiece model of type BPE from the `tokenizer.json` that transformers made of it, as Llama's are kept.

Source: transformers 5.23 convert_slow_tokenizer.py (the order of merges is that of the pieces' scores)
"""

from typing import Any

from refimpl.errors import ConfigError, PresetJSONError
from refimpl.presets.added_token_files import tokenizer_json
from refimpl.presets.folder import TOKENIZER_FILE, PresetFolder
from refimpl.presets.sentence_piece_file import BPE, BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, model_file
from refimpl.presets.transformers_tokenizer import no_tokenizer

_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


def proto_of_bpe(folder: PresetFolder) -> bytes:
    """The model of a checkpoint without `tokenizer.model`.

    Raises: ConfigError for another kind of tokenizer, PresetJSONError for another kind of JSON.
    Spec: presets.transformers.sentence-piece-bpe
    """
    content = tokenizer_json(folder)
    if content is None:
        raise no_tokenizer(folder, "tokenizer.model", "a SentencePiece model")
    file = f"{folder}/{TOKENIZER_FILE}"
    try:
        model, added = content["model"], content.get("added_tokens") or []
        fits = model["type"] == "BPE" and _prefixes(content)
        kinds = {str(token["content"]): CONTROL if token["special"] else USER_DEFINED for token in added}
        ids = {**model["vocab"], **{str(token["content"]): token["id"] for token in added}}
        tokens = {id: piece for piece, id in ids.items()}
        fallback, unknown = bool(model.get("byte_fallback")), ids[model.get("unk_token") or "<unk>"]
        scores = _scores(model["merges"])
        rows = [(tokens[id], scores.get(tokens[id], 0.0), kinds.get(tokens[id], NORMAL)) for id in range(len(tokens))]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PresetJSONError(
            f"{file} holds a model of another form: {error!r:.80}.",
            "It must be a tokenizer of the tokenizers library: a vocabulary without gaps, and merges.",
            "Download the checkpoint anew.",
            "presets.transformers.sentence-piece-bpe",
        ) from error
    if not fits:
        raise ConfigError(
            f"{file} has a model of type {model['type']!r:.40}, or other spaces than {_SPACE}.",
            f"It must be BPE with a {_SPACE} in place of each space and before the text, as Llama's is.",
            "Use a checkpoint with such a tokenizer, or load with preprocessor=None and pass ids.",
            "presets.transformers.sentence-piece-bpe",
        )
    rows[unknown] = (*rows[unknown][:2], UNKNOWN)
    if fallback:
        rows = [(p, score, BYTE if len(p) == 6 and p.startswith("<0x") else kind) for p, score, kind in rows]
    frame = {name: ids.get(token, -1) for name, token in (("bos", "<s>"), ("eos", "</s>"))}
    return model_file(rows, BPE, b"", {"unk": unknown} | frame, fallback, extra_spaces=True)


def _prefixes(content: dict[str, Any]) -> bool:
    """Whether spaces are pieces' letters: by two normalizers, as transformers 4 wrote it, or by a pre-tokenizer."""
    normalizer, splitter = content.get("normalizer"), content.get("pre_tokenizer") or {}
    if normalizer is None:
        return (splitter["type"], splitter["replacement"]) == ("Metaspace", _SPACE)
    before, between = normalizer["normalizers"]
    found = before["type"], before["prepend"], between["type"], between["content"]
    return found == ("Prepend", _SPACE, "Replace", _SPACE)


def _scores(merges: list[Any]) -> dict[str, float]:
    """What is merged earlier scores higher. Pieces that nothing is merged to are single characters: any score does."""
    scores: dict[str, float] = {}
    for rank, rule in enumerate(merges):
        left, right = rule.split(" ") if isinstance(rule, str) else rule
        scores.setdefault(left + right, -float(rank))
    return scores
