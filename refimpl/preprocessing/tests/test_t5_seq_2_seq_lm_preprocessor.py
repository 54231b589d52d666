"""Packing of T5. The arrays were printed by KerasHub 0.32 (JAX) with the same vocabulary."""

import numpy as np
import pytest

from refimpl import errors
from refimpl.models import T5Preprocessor, T5Seq2SeqLMPreprocessor, T5Tokenizer
from refimpl.tests.pieces import words


@pytest.fixture
def pre():
    return T5Seq2SeqLMPreprocessor(T5Tokenizer(words()), encoder_sequence_length=6, decoder_sequence_length=5)


def test_training_rows(pre):
    x, y, w = pre(
        {
            "encoder_text": ["the quick brown fox", "the earth"],
            "decoder_text": ["the earth", "the quick brown fox"],
        }
    )
    assert x["encoder_token_ids"].tolist() == [[4, 9, 5, 7, 1, 0], [4, 6, 1, 0, 0, 0]]
    assert x["encoder_padding_mask"].tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]]
    assert x["decoder_token_ids"].tolist() == [[0, 4, 6, 1, 0], [0, 4, 9, 5, 7]]
    assert x["decoder_padding_mask"].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert y.tolist() == [[4, 6, 1, 0, 0], [4, 9, 5, 7, 1]]
    assert w.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]


def test_prompts(pre):
    out = pre.generate_preprocess(["the", ""])
    assert out["encoder_token_ids"].tolist() == [[4, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
    assert out["decoder_token_ids"].tolist() == [[0] * 5] * 2
    assert out["decoder_padding_mask"].tolist() == [[1, 0, 0, 0, 0]] * 2
    out = pre.generate_preprocess({"encoder_text": "the", "decoder_text": "the earth"})
    assert out["decoder_token_ids"].tolist() == [0, 4, 6, 0, 0]
    assert out["decoder_padding_mask"].tolist() == [1, 1, 1, 0, 0]


def test_a_long_text_keeps_its_end_token(pre):
    with pytest.warns(errors.TruncationWarning, match="cut to 6"):
        out = pre.generate_preprocess(["the quick brown fox is round"])
    assert out["encoder_token_ids"].tolist() == [[4, 9, 5, 7, 8, 1]]


def test_postprocess(pre):
    ids, mask = np.array([[0, 4, 5, 1, 6]]), np.array([[1, 1, 1, 1, 0]])
    assert pre.generate_postprocess({"decoder_token_ids": ids, "decoder_padding_mask": mask}) == ["the brown"]
    row = {"decoder_token_ids": [0, 11, 4, 127], "decoder_padding_mask": [1, 1, 1, 1]}
    assert pre.generate_postprocess(row) == "the"


def test_the_encoder_alone():
    alone = T5Preprocessor(T5Tokenizer(words()), sequence_length=6)
    inputs, labels = alone(["the fox", "the quick brown fox is"], [1, 2], sequence_length=4)
    assert inputs["token_ids"].tolist() == [[4, 7, 1, 0], [4, 9, 5, 1]]
    assert inputs["padding_mask"].tolist() == [[True, True, True, False], [True] * 4]
    assert labels == [1, 2]
    bare = T5Preprocessor(alone.tokenizer, add_start_token=True, add_end_token=False)
    again = T5Preprocessor.from_config(bare.get_config())
    assert again.get_config() == bare.get_config()
    assert bare("the fox", sequence_length=4)["token_ids"].tolist() == [1, 4, 7, 0]
