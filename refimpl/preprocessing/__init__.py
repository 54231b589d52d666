"""Preprocessing: texts -> packed ids, masks and shifted labels."""

from refimpl.preprocessing.seq_2_seq_lm_preprocessor import Seq2SeqLMPreprocessor

__all__ = ["Seq2SeqLMPreprocessor"]
