"""What `generate` takes and gives, as batches."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refimpl.errors import InputTypeError


def as_batch(inputs: Any) -> tuple[Any, bool]:
    """A text, a list of texts or a dictionary of either as one batch, and whether one bare text is to come back.

    The caller's dictionary is left as it is. A single text beside lists of one counts as a list.

    Spec: generate.input.text, generate.input.dictionary, generate.input.unchanged
    """
    if isinstance(inputs, (str, bytes)):
        return [inputs], True
    if isinstance(inputs, Mapping):
        single = all(isinstance(value, (str, bytes)) for value in inputs.values())
        return {k: [v] if isinstance(v, (str, bytes)) else v for k, v in inputs.items()}, single
    if isinstance(inputs, (list, tuple, np.ndarray)):
        return inputs, False
    raise InputTypeError(
        f"generate() got {inputs!r:.80}.",
        'It takes a string, a list of strings, or {"encoder_text": ..., "decoder_text": ...}.',
        "Convert the input, or load with preprocessor=None to pass token dictionaries.",
        "generate.input.types",
    )


def joined(outputs: Sequence[Any], single: bool) -> Any:
    """Outputs of batches as one: texts in a list (or one bare text), arrays along the batch axis.

    Spec: generate.output.types
    """
    if isinstance(outputs[0], Mapping):
        return {key: np.concatenate([output[key] for output in outputs]) for key in outputs[0]}
    texts = [text for output in outputs for text in output]
    return texts[0] if single else texts
