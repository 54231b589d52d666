"""Tokenizers: text <-> ids."""

from refimpl.tokenizers.bart_tokenizer import BartTokenizer
from refimpl.tokenizers.byte_pair_tokenizer import BytePairTokenizer
from refimpl.tokenizers.tokenizer import Tokenizer

__all__ = ["BartTokenizer", "BytePairTokenizer", "Tokenizer"]
