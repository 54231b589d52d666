"""Copies of a task, and several threads with one: all give what the task gives."""

import copy
import itertools
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from refimpl.models import BartTokenizer
from refimpl.tests import tiny

TEXTS = ["a plane", "", "at air"]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda lm: pickle.loads(pickle.dumps(lm))])
@pytest.mark.parametrize("used", [True, False])
def test_a_copy_generates_the_same(duplicate, used):
    lm = tiny.seq2seq()
    expected = tiny.seq2seq().generate(TEXTS)
    if used:
        lm.generate(TEXTS)
    assert duplicate(lm).generate(TEXTS) == expected


def test_a_copied_tokenizer_has_a_cache_of_its_own():
    tokenizer = tiny.tokenizer()
    tokenizer.tokenize("a plane")
    double = copy.deepcopy(tokenizer)
    double.vocabulary["a"] = 4711
    assert double.tokenize("a") == [4711]
    assert 4711 not in tokenizer.tokenize("a")


def test_a_tokenizer_without_vocabulary_can_be_copied():
    assert copy.deepcopy(BartTokenizer()).vocabulary is None


@pytest.mark.parametrize("jit_compile", [True, False])
def test_threads_share_a_task(jit_compile):
    lm = tiny.seq2seq()
    lm.compile(sampler="greedy", jit_compile=jit_compile)
    expected = lm.generate(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lm.generate, [TEXTS] * 16)) == [expected] * 16


def test_streams_may_be_mixed_and_left():
    lm = tiny.seq2seq()
    left, right = lm.stream("a plane"), lm.stream("at")
    texts = ["", ""]
    for pieces in itertools.zip_longest(left, right, fillvalue=""):
        texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
        abandoned = lm.stream("air")
        next(abandoned)
        abandoned.close()
    assert texts == lm.generate(["a plane", "at"])
