"""Stop tokens: which there are, and what of a finished row is output."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refimpl.errors import NoPreprocessorError, StopTokenIdsError


def resolve_stop_token_ids(given: Any, preprocessor: Any) -> tuple[int, ...] | None:
    """`None`, `"auto"` or ids, as a tuple of ids or None for "run to the end".

    Raises: NoPreprocessorError for "auto" without preprocessor; StopTokenIdsError for anything that is none of these.
    Spec: generate.stop.auto, generate.stop.none, generate.stop.ids, generate.stop.types
    """
    if given is None:
        return None
    if isinstance(given, str) and given == "auto":
        if preprocessor is None:
            raise NoPreprocessorError(
                'stop_token_ids="auto" was passed, with preprocessor=None.',
                'A `preprocessor` must be attached to the model if `stop_token_ids="auto"`.',
                "Pass stop_token_ids=None or a tuple of ids.",
                "generate.stop.auto",
            )
        return (int(preprocessor.tokenizer.end_token_id),)
    items = given.tolist() if isinstance(given, np.ndarray) and given.ndim == 1 else given
    whole = isinstance(items, (list, tuple)) and all(
        isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in items
    )
    if not whole or not len(items):
        raise StopTokenIdsError(
            f"stop_token_ids={given!r} was passed.",
            'It must be None, "auto", or a list or tuple of at least one token id.',
            "Pass for example stop_token_ids=(2,), or None to run to max_length.",
            "generate.stop.types",
        )
    return tuple(int(i) for i in items)


def with_preprocessor(preprocessor: Any) -> Any:
    """The preprocessor, which must be there for text to come out (spec: generate.stream.preprocessor)."""
    if preprocessor is None:
        raise NoPreprocessorError(
            "stream() was called with preprocessor=None.",
            "Only a task with a preprocessor gives text.",
            "Attach a preprocessor, or call generate() for token ids.",
            "generate.stream.preprocessor",
        )
    return preprocessor


def output_mask(ids: np.ndarray, is_prompt: np.ndarray, end: int, stop_token_ids: Sequence[int] | None) -> np.ndarray:
    """True up to and with the first stop token that a row said itself; everywhere in a row that said none.

    Shapes: ids, is_prompt (B, T) or (B, K, T), the columns before `end` were generated -> the same, bool.
    Spec: generate.stop.mask, generate.stop.in-prompt
    """
    if stop_token_ids is None:
        return np.ones(ids.shape, bool)
    said = np.isin(ids, stop_token_ids) & ~is_prompt & (np.arange(ids.shape[-1]) < end)
    stops_before = np.cumsum(said, axis=-1) - said
    return stops_before == 0


def without_prompt(output: Mapping[str, np.ndarray], is_prompt: Any) -> dict[str, np.ndarray]:
    """The output with a mask that hides the prompt too. Shapes: ids and masks (B, T) or (B, K, T) -> the same.

    Spec: generate.strip-prompt
    """
    mask, hidden = output["decoder_padding_mask"], np.asarray(is_prompt).astype(bool)
    return {**output, "decoder_padding_mask": mask & ~(hidden if mask.ndim == 2 else hidden[:, None])}
