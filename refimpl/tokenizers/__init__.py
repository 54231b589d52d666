"""Tokenizers: text <-> ids."""

from refimpl.tokenizers.byte_pair_tokenizer import BytePairTokenizer
from refimpl.tokenizers.tokenizer import Tokenizer

__all__ = ["BytePairTokenizer", "Tokenizer"]
