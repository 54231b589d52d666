"""Streaming: joined, it is what `generate` gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl import errors, samplers
from refimpl.decoding.stream import pieces
from refimpl.tests.tiny import seq2seq

LM = seq2seq()
INPUTS = {"encoder_text": ["air", "plane at", ""], "decoder_text": ["", "plane", "at"]}


def joined(stream):
    return ["".join(row) for row in zip(*stream, strict=True)]


@pytest.mark.parametrize("sampler", ["greedy", "beam", "contrastive"])
@pytest.mark.parametrize("stops", ["auto", None, (77, 5)])
@pytest.mark.parametrize("strip", [True, False])
def test_joined_equals_generate(sampler, stops, strip):
    LM.compile(sampler=sampler)
    stream = list(LM.stream(INPUTS, stop_token_ids=stops, strip_prompt=strip))
    assert joined(stream) == LM.generate(INPUTS, stop_token_ids=stops, strip_prompt=strip)
    if sampler == "greedy" and stops is None:
        assert len(stream) > 3


def test_one_text_gives_pieces_of_one_text():
    LM.compile(sampler="greedy")
    assert "".join(LM.stream("air", stop_token_ids=None)) == LM.generate("air", stop_token_ids=None)


def test_seeded_sampling_streams_the_same_text():
    LM.compile(sampler=samplers.TopKSampler(k=4, seed=3))
    streamed = "".join(LM.stream("air"))
    LM.compile(sampler=samplers.TopKSampler(k=4, seed=3))
    assert streamed == LM.generate("air")


@pytest.mark.parametrize("stops", ["auto", None])
def test_without_preprocessor_is_named(stops):
    with pytest.raises(errors.NoPreprocessorError):
        next(seq2seq(preprocessor=False).stream("a", stop_token_ids=stops))


@given(st.binary(max_size=40), st.integers(1, 5))
def test_characters_are_never_split(data, step):
    texts = [[data[:n].decode("utf-8", "replace")] for n in range(0, len(data), step)]
    texts.append([data.decode("utf-8", "replace")])
    stream = list(pieces(iter(texts), 1))
    assert "".join(piece for (piece,) in stream) == texts[-1][0]


def test_an_emoji_comes_whole():
    data = "a🙂b".encode()
    stream = pieces(([data[:n].decode("utf-8", "replace")] for n in range(len(data) + 1)), 1)
    assert [piece for (piece,) in stream] == ["a", "🙂", "b"]
