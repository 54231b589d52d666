"""Text as it grows: the same tokens as `generate`, handed out while they come."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from refimpl.decoding.choice import way_of
from refimpl.decoding.generate_step import generate_step
from refimpl.decoding.stop import output_mask
from refimpl.errors import InputError
from refimpl.samplers.sampler import Sampler, own_copies

UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # how bytes that are no whole character yet are shown


class GrowingText:
    """One row's text. What was handed out is never taken back, and characters are never split.

    Spec: generate.stream.whole-characters, generate.stream.equals-generate
    """

    def __init__(self) -> None:
        self.given = ""

    def piece(self, text: str, final: bool = False) -> str:
        """What is new in `text`. Its end is held back while it may still turn into another character."""
        sure = text if final else text.rstrip(UNFINISHED)
        if not sure.startswith(self.given):
            return ""
        new, self.given = sure[len(self.given) :], sure
        return new


def pieces(snapshots: Iterator[Sequence[str]], rows: int) -> Iterator[list[str]]:
    """The new pieces of all rows after each step, where there are any. `snapshots` are the texts so far.

    Shapes: snapshots of B texts -> lists of B pieces, "" where nothing is new.
    """
    growing = [GrowingText() for _ in range(rows)]
    texts: Sequence[str] = [""] * rows
    for texts in snapshots:
        new = [row.piece(text) for row, text in zip(growing, texts, strict=True)]
        if any(new):
            yield new
    rest = [row.piece(text, final=True) for row, text in zip(growing, texts, strict=True)]
    if any(rest):
        yield rest


def stream_step(
    model: Any, inputs: Mapping[str, np.ndarray], stop_token_ids: tuple[int, ...] | None
) -> Iterator[dict[str, np.ndarray]]:
    """What `generate_step` gives, after each token: the mask shows what is there so far.

    A sampler with a search of its own (beam, contrastive) knows its tokens at the end only: then all comes at once.

    Raises: InputError for a sampler that returns all beams.
    Spec: generate.stream.one-text
    Shapes: ids and masks (B, S) and (B, T) -> several times `decoder_token_ids`, `decoder_padding_mask` (B, T).
    """
    sampler = model.sampler
    if not isinstance(sampler, Sampler) or type(sampler).__call__ is not Sampler.__call__:
        output = generate_step(model, inputs, stop_token_ids)
        if output["decoder_token_ids"].ndim > 2:
            raise InputError(
                "The sampler returns all beams (return_all_beams=True).",
                "A stream has one text for each input.",
                "Call generate(), or compile(sampler=BeamSampler()).",
                "generate.stream.one-text",
            )
        yield output
        return
    batch = model.backbone.checked(inputs)
    ids, is_prompt = own_copies(inputs["decoder_token_ids"], batch["decoder_padding_mask"])
    index = int(is_prompt.sum(axis=1).min())
    decoder, chooser, _ = way_of(model, batch, index)
    steps = chooser.steps(decoder.next, ids, decoder.cache, index, is_prompt, stop_token_ids)
    filled = index
    while True:
        mask = output_mask(ids, is_prompt, filled, stop_token_ids) & (np.arange(ids.shape[1]) < filled)
        yield {"decoder_token_ids": ids, "decoder_padding_mask": mask}
        try:
            filled = next(steps)
        except StopIteration:
            return
