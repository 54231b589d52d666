"""Implementations that stray from `refimpl` in one way, for the tests of the fuzzer."""

import os
from pathlib import Path

from conformance.adapters.refimpl import Refimpl
from conformance.suite.messages import AdapterError


class SmallLetters(Refimpl):
    """Loses capital letters."""

    def op_tokenize(self, text):
        return super().op_tokenize([part.lower() for part in text])


class Crashes(Refimpl):
    """Ends its process at the first long text."""

    def op_tokenize(self, text):
        if any(len(part) > 3 for part in text):
            os._exit(3)
        return super().op_tokenize(text)


class WithoutPiece(Refimpl):
    """Ends with another token than the best, and has no text for it."""

    def op_generate(self, inputs, **how):
        found = super().op_generate(inputs, **how)
        if "text" in found:
            raise IndexError("no such piece")
        found["decoder_token_ids"][:, -1] += 1
        return found

    def op_generate_postprocess(self, decoder_token_ids, decoder_padding_mask):
        raise IndexError("no such piece")


class Fails(WithoutPiece):
    """The same, but what fails is not the piece."""

    def op_generate_postprocess(self, decoder_token_ids, decoder_padding_mask):
        return {"text": ["a"]}


class Ends(WithoutPiece):
    """The same, but the program ends."""

    def op_generate(self, inputs, **how):
        if isinstance(inputs, list):
            raise AdapterError("the program ended")
        return super().op_generate(inputs, **how)


class Saver(Refimpl):
    """Saves a tokenizer of its own: the last merge is lost."""

    def op_save(self, path, **options):
        found = super().op_save(path, **options)
        merges = Path(path) / "assets" / "tokenizer" / "merges.txt"
        merges.write_text("\n".join(merges.read_text().splitlines()[:-1]) + "\n")
        return found
