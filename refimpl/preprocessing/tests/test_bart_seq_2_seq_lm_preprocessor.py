"""Packing. The arrays were printed by KerasHub 0.32 (JAX) with the same vocabulary."""

import numpy as np
import pytest

from refimpl import errors
from refimpl.models import BartSeq2SeqLMPreprocessor, BartTokenizer
from refimpl.preprocessing.start_end_packer import pack

WORDS = {"<s>": 0, "<pad>": 1, "</s>": 2, "<mask>": 3, "a": 4, "i": 5, "Ġair": 6, "plane": 7, "Ġat": 8}
LETTERS = {c: 10 + n for n, c in enumerate(["Ġ", "r", "p", "l", "n", "e", "t", "ai", "Ġai", "pl", "an", "plan", "Ġa"])}
MERGES = ["Ġ a", "Ġa t", "Ġa i", "Ġai r", "a i", "p l", "a n", "pl an", "plan e"]


@pytest.fixture
def pre():
    tok = BartTokenizer(WORDS | LETTERS, MERGES)
    return BartSeq2SeqLMPreprocessor(tok, encoder_sequence_length=6, decoder_sequence_length=5)


def test_training_rows(pre):
    x, y, w = pre({"encoder_text": [" airplane at", " air"], "decoder_text": [" air", " airplane at"]})
    assert x["encoder_token_ids"].tolist() == [[0, 6, 7, 8, 2, 1], [0, 6, 2, 1, 1, 1]]
    assert x["encoder_padding_mask"].tolist() == [[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]]
    assert x["decoder_token_ids"].tolist() == [[2, 0, 6, 2, 1], [2, 0, 6, 7, 8]]
    assert x["decoder_padding_mask"].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]
    assert y.tolist() == [[0, 6, 2, 1, 1], [0, 6, 7, 8, 2]]
    assert w.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert (y.dtype, w.dtype) == (np.int32, bool)


def test_too_long_and_empty_rows(pre):
    long = " airplane at air" * 4
    with pytest.warns(errors.TruncationWarning, match="cut to 6"):
        x, y, _ = pre({"encoder_text": [long, ""], "decoder_text": [long, ""]})
    assert x["encoder_token_ids"].tolist() == [[0, 6, 7, 8, 6, 2], [0, 2, 1, 1, 1, 1]]
    assert x["decoder_token_ids"].tolist() == [[2, 0, 6, 7, 8], [2, 0, 2, 1, 1]]
    assert y.tolist() == [[0, 6, 7, 8, 2], [0, 2, 1, 1, 1]]


@pytest.mark.filterwarnings("error")
def test_rows_that_just_fit_are_not_cut(pre):
    x, y, _ = pre({"encoder_text": [" airplane at air"], "decoder_text": [" airplane at"]})
    assert x["encoder_token_ids"].tolist() == [[0, 6, 7, 8, 6, 2]]
    assert y.tolist() == [[0, 6, 7, 8, 2]]


def test_prompts(pre):
    out = pre.generate_preprocess({"encoder_text": [" airplane at"], "decoder_text": [" air"]})
    assert out["decoder_token_ids"].tolist() == [[2, 0, 6, 1, 1]]
    assert out["decoder_padding_mask"].tolist() == [[1, 1, 1, 0, 0]]
    assert pre.generate_preprocess([" air"], sequence_length=3)["decoder_token_ids"].tolist() == [[2, 0, 1]]
    assert pre.generate_preprocess([" air"], sequence_length=0)["decoder_token_ids"].shape == (1, 5)
    assert pre.generate_preprocess(" air")["decoder_token_ids"].tolist() == [2, 0, 1, 1, 1]


def test_max_length_one_is_one_column(pre):
    """KerasHub gives two columns here, or more: a divergence."""
    with pytest.warns(errors.TruncationWarning):
        assert pre.generate_preprocess([" air"], sequence_length=1)["decoder_token_ids"].tolist() == [[2]]


def test_postprocess(pre):
    ids, mask = np.array([[2, 0, 6, 7, 2, 6]]), np.array([[1, 1, 1, 1, 1, 0]])
    assert pre.generate_postprocess({"decoder_token_ids": ids, "decoder_padding_mask": mask}) == [" airplane"]
    with pytest.raises(errors.InputError, match="of one shape"):
        pre.generate_postprocess({"decoder_token_ids": ids, "decoder_padding_mask": mask[0]})


@pytest.mark.parametrize(
    ("x", "error"),
    [
        ({"encoder_text": ["a"]}, KeyError),
        ("a", KeyError),
        ({"encoder_text": ["a"], "decoder_text": ["a", "b"]}, ValueError),
        ({"encoder_text": [], "decoder_text": []}, ValueError),
        ({"encoder_text": None, "decoder_text": ["a"]}, ValueError),
    ],
)
def test_wrong_input(pre, x, error):
    with pytest.raises(error) as caught:
        pre(x)
    assert isinstance(caught.value, errors.RefimplError)


@pytest.mark.parametrize("length", [-1, 2.5, "7", True])
def test_wrong_length(pre, length):
    with pytest.raises(errors.SequenceLengthError):
        pre.generate_preprocess([" air"], sequence_length=length)


def test_a_row_without_room_keeps_its_frame():
    ids, is_token = pack([[7, 8]], 2, [0], [2], 1)
    assert (ids.tolist(), is_token.tolist()) == ([[0, 2]], [[True, True]])
    assert pack([[7, 8]], 1, [0], [2], 1)[0].tolist() == [[0]]


def test_only_lengths_that_nobody_chose_are_cut_to_the_positions(pre):
    pre.fit_to_positions(3)
    assert (pre.encoder_sequence_length, pre.decoder_sequence_length) == (6, 5)
    free = BartSeq2SeqLMPreprocessor(pre.tokenizer, decoder_sequence_length=5)
    free.fit_to_positions(3)
    assert (free.encoder_sequence_length, free.decoder_sequence_length) == (3, 5)
