"""Implementations that stray from `refimpl` in one way, for the tests of the fuzzer."""

import os
from pathlib import Path

from conformance.adapters.refimpl import Refimpl


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


class Saver(Refimpl):
    """Saves a tokenizer of its own: the last merge is lost."""

    def op_save(self, path, **options):
        found = super().op_save(path, **options)
        merges = Path(path) / "assets" / "tokenizer" / "merges.txt"
        merges.write_text("\n".join(merges.read_text().splitlines()[:-1]) + "\n")
        return found
