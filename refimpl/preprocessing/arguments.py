"""What a preprocessor is given, looked at before it is used."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from refimpl.errors import InputError, MissingInputError, SequenceLengthError

LONGEST = 2**20  # tokens; a preset that asks for more would fill the memory


def generated(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask of an output, which must be rectangles of one shape (spec: preprocessing.seq2seq.postprocess)."""
    for key in ("decoder_token_ids", "decoder_padding_mask"):
        if not isinstance(x, Mapping) or key not in x:
            raise MissingInputError(
                f"generate_postprocess() got {sorted(map(str, x)) if isinstance(x, Mapping) else type(x).__name__}.",
                f"It takes a dictionary with the key {key!r}.",
                "Pass what generate_step() gave.",
                "preprocessing.seq2seq.postprocess",
            )
    try:
        ids, mask = np.asarray(x["decoder_token_ids"]), np.asarray(x["decoder_padding_mask"])
        fits = ids.shape == mask.shape and ids.ndim in (1, 2) and ids.dtype.kind in "iuf" and mask.dtype.kind in "biuf"
        problem = f"ids of {ids.dtype} {ids.shape} and a mask of {mask.dtype} {mask.shape}"
    except (ValueError, TypeError) as error:
        fits, problem = False, f"no rectangles ({error})"
    if not fits:
        raise InputError(
            f"generate_postprocess() got {problem}.",
            "It takes whole numbers and truth values of one shape, (batch, length) or (length,).",
            "Pass what generate_step() gave.",
            "preprocessing.seq2seq.postprocess",
        )
    return ids, mask.astype(bool)


def length_of(given: Any, default: Any, name: str) -> int:
    """A sequence length: the one given, or the default for None and 0 (spec: generate.max-length.zero)."""
    # The default is looked at too: it is an attribute, which a user may have set to anything.
    length = default if given is None or (isinstance(given, (int, np.integer)) and given == 0) else given
    if isinstance(length, bool) or not isinstance(length, (int, np.integer)) or not 0 < length <= LONGEST:
        raise SequenceLengthError(
            f"{name}={length!r:.80} was passed.",
            f"A length is a whole number above 0, of {LONGEST} tokens at most.",
            f"Pass an int, or None for the default of {default!r:.80}.",
            "generate.max-length.type",
        )
    return int(length)
