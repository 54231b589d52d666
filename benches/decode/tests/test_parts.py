"""The parts of decoding by themselves, in sizes of BART-base: `pytest benches/decode/tests/test_parts.py`."""

import numpy as np
import pytest

import refimpl
from refimpl.models import BartBackbone, BartSeq2SeqLM

SIZES = {
    "vocabulary_size": 50265,
    "num_layers": 2,
    "num_heads": 12,
    "hidden_dim": 768,
    "intermediate_dim": 3072,
    "max_sequence_length": 128,
}


@pytest.fixture(scope="module")
def task():
    refimpl.random.set_random_seed(0)
    return BartSeq2SeqLM(BartBackbone(**SIZES), None)


def inputs(batch, source, new):
    ids = np.random.default_rng(0).integers(4, 50_000, (batch, source))
    return {
        "encoder_token_ids": ids,
        "encoder_padding_mask": np.ones(ids.shape, bool),
        "decoder_token_ids": np.ones((batch, new + 2), np.int64),
        "decoder_padding_mask": np.tile(np.arange(new + 2) < 2, (batch, 1)),
    }


@pytest.mark.parametrize("compiled", [True, False], ids=["kernels", "definition"])
@pytest.mark.parametrize("batch", [1, 4, 8, 16, 64])
def test_steps(benchmark, task, batch, compiled):
    """Four steps of two layers and the head."""
    task.compile(sampler="greedy", jit_compile=compiled)
    benchmark(task.generate, inputs(batch, 4, 4), stop_token_ids=None)


@pytest.mark.parametrize("compiled", [True, False], ids=["kernels", "definition"])
@pytest.mark.parametrize("batch", [1, 8])
def test_encoder(benchmark, task, batch, compiled):
    """Two layers over 64 tokens, and one step."""
    task.compile(sampler="greedy", jit_compile=compiled)
    benchmark(task.generate, inputs(batch, 64, 1), stop_token_ids=None)


@pytest.mark.parametrize("compiled", [True, False], ids=["kernels", "definition"])
@pytest.mark.parametrize("name", ["greedy", "top_k", "top_p", "random", "beam", "contrastive"])
def test_samplers(benchmark, task, name, compiled):
    """Four steps with each sampler."""
    task.compile(sampler=name, jit_compile=compiled)
    benchmark(task.generate, inputs(2, 4, 4), stop_token_ids=None)
