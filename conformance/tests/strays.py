"""Implementations that stray from `refimpl` in one way, for the tests of the fuzzer."""

import os

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
