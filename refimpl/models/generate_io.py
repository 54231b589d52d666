"""What `generate` takes and gives: one batch, or an iterable of batches."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, NamedTuple

import numpy as np

from refimpl.errors import InputError, InputTypeError
from refimpl.keras_api.inputs import plain
from refimpl.preprocessing.audio_converter import is_recording
from refimpl.terminal import is_terminal, say


def as_batches(inputs: Any, takes_text: bool) -> tuple[Iterable[Any], bool]:
    """The batches in `inputs`, and whether one bare text is to come back.

    A text, a list, tuple or array of texts and a dictionary are one batch each; any other iterable (a generator, a
    `tf.data.Dataset`, a PyTorch `DataLoader`) holds batches. The caller's objects are left as they are.

    Spec: generate.input.text, generate.input.dictionary, generate.input.iterable, generate.input.unchanged,
        generate.input.array, generate.input.one-row
    """
    inputs = plain(inputs)
    if isinstance(inputs, Mapping) or (takes_text and isinstance(inputs, (str, bytes, list, tuple, np.ndarray))):
        batch, single = as_batch(inputs) if takes_text else _as_rows(inputs)
        return [batch], single
    if isinstance(inputs, Iterable) and not isinstance(inputs, (str, bytes, np.ndarray)):
        return _each(inputs, takes_text), False
    raise InputTypeError(
        f"generate() got {inputs!r:.80}.",
        'It takes a string, a list of strings, {"encoder_text": ..., "decoder_text": ...}, or an iterable of batches; '
        "without preprocessor the dictionary of token ids and masks.",
        "Convert the input, or check whether the preprocessor was detached on purpose.",
        "generate.input.types",
    )


def as_batch(inputs: Any) -> tuple[Any, bool]:
    """One batch of texts, and whether it was a single text. A single text beside a list of one counts as a list.

    Spec: generate.input.dictionary
    """
    if _is_one(inputs):
        return [inputs], True
    if isinstance(inputs, Mapping):
        values = {key: plain(value) for key, value in inputs.items()}
        single = all(map(_is_one, values.values()))
        return {k: [v] if _is_one(v) else v for k, v in values.items()}, single
    return inputs, False


def _is_one(value: Any) -> bool:
    """A text, or the samples of a recording."""
    return isinstance(value, (str, bytes)) or is_recording(value)


def _as_rows(inputs: Any) -> tuple[Mapping[str, Any], bool]:
    """A dictionary of token ids, and whether it held one row, which is made a batch. Spec: generate.input.one-row"""
    arrays = {key: plain(value) for key, value in inputs.items()}
    rows = [array for key, array in arrays.items() if key != "encoder_input_values"]  # samples: (N,) or (N, 1)
    if not all(hasattr(array, "__len__") and len(array) and np.ndim(array[0]) == 0 for array in rows):
        return inputs, False
    return {key: [array] for key, array in arrays.items()}, True


def _each(batches: Iterable[Any], takes_text: bool) -> Iterator[Any]:
    """The batches of an iterable, each looked at when its turn comes."""
    numpy_iterator = getattr(batches, "as_numpy_iterator", None)  # tf.data.Dataset
    for element in numpy_iterator() if callable(numpy_iterator) else batches:
        batch = plain(element)
        fits = isinstance(batch, Mapping) or (takes_text and isinstance(batch, (list, tuple, np.ndarray)))
        if not fits:
            raise InputTypeError(
                f"An iterable given to generate() holds {batch!r:.60}.",
                "Its elements must be batches: lists of texts, or dictionaries of lists.",
                "Batch it first, for example dataset.batch(32).",
                "generate.input.iterable",
            )
        yield as_batch(batch)[0] if takes_text else batch


class Beams(NamedTuple):
    """All beams of each row, the best first, and their log probabilities. Shapes: B lists of K texts, (B, K)."""

    texts: Any
    log_probs: np.ndarray


def as_texts(output: Mapping[str, np.ndarray], preprocessor: Any) -> Any:
    """Token ids as texts. Shapes: (B, T) -> B texts; (B, K, T) -> B lists of K texts, and their log probabilities.

    Spec: generate.beams.all
    """
    ids = output["decoder_token_ids"]
    if ids.ndim == 2:
        return preprocessor.generate_postprocess(output)
    rows, beams, width = ids.shape
    flat = {key: output[key].reshape(-1, width) for key in ("decoder_token_ids", "decoder_padding_mask")}
    texts = preprocessor.generate_postprocess(flat)
    return Beams([texts[row * beams : (row + 1) * beams] for row in range(rows)], output["beam_log_probs"])


def joined(outputs: Sequence[Any], single: bool) -> Any:
    """Outputs of batches as one: texts in a list (or one bare text), arrays along the batch axis.

    Raises: InputError if there was no batch, or arrays of different widths.
    Spec: generate.output.types, generate.output.batches
    """
    widths = {output["decoder_token_ids"].shape[1:] for output in outputs if isinstance(output, Mapping)}
    if not outputs or len(widths) > 1:
        raise InputError(
            f"The iterable held {len(outputs)} batches, of the widths {sorted(widths)}.",
            "It must hold at least one batch, and token arrays of one width.",
            "Check the dataset; pad all prompts to one length.",
            "generate.output.batches",
        )
    if isinstance(outputs[0], Mapping):
        arrays = {key: np.concatenate([output[key] for output in outputs]) for key in outputs[0]}
        return {key: array[0] for key, array in arrays.items()} if single else arrays
    if isinstance(outputs[0], Beams):
        found = Beams([row for beams in outputs for row in beams.texts], np.concatenate([b.log_probs for b in outputs]))
        return Beams(found.texts[0], found.log_probs[0]) if single else found
    texts = [text for output in outputs for text in output]
    return texts[0] if single else texts


def shown(batches: Iterable[Any], verbose: bool | None) -> Iterator[Any]:
    """Pass batches on and count them on standard error: if asked, or if it is a terminal and there are several.

    Spec: generate.progress
    """
    total = len(batches) if isinstance(batches, Sized) else None
    show = is_terminal(sys.stderr) and total != 1 if verbose is None else verbose
    for done, batch in enumerate(batches):
        if show:
            say(f"\rgenerate: {done}/{total or '?'} batches", sys.stderr)
        yield batch
    if show:
        say("\rgenerate: done" + " " * 20 + "\n", sys.stderr)
