"""Tokenizers: text <-> ids."""

from refimpl.tokenizers.bart_tokenizer import BartTokenizer
from refimpl.tokenizers.byte_pair_tokenizer import BytePairTokenizer
from refimpl.tokenizers.sentence_piece_tokenizer import SentencePieceTokenizer
from refimpl.tokenizers.t5_tokenizer import T5Tokenizer
from refimpl.tokenizers.tokenizer import Tokenizer

__all__ = ["BartTokenizer", "BytePairTokenizer", "SentencePieceTokenizer", "T5Tokenizer", "Tokenizer"]
