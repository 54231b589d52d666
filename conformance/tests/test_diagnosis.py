"""The first difference: the block that adds an error is told from those that inherit it."""

import numpy as np
import pytest

from conformance.adapters.refimpl import Refimpl
from conformance.mutants import all_mutants
from conformance.mutants.blocks import named
from conformance.suite.cases import read_cases
from conformance.suite.diagnosis import explained, faulty, locate
from conformance.suite.messages import UnsupportedError
from conformance.suite.runner import run

CASE = read_cases("models.trace.blocks#two-layers")[0]
T5_CASE = read_cases("models.trace.blocks#t5-one-layer")[0]
MUTANTS = {mutant.name: mutant for mutant in all_mutants()}


class States(Refimpl):
    """Shows states and logits only."""

    capabilities = ("core", "probe")

    def op_trace(self, **_):
        raise UnsupportedError("no tensors")


class NotFed(Refimpl):
    """Shows tensors, but can't be fed with others."""

    def op_trace(self, inputs, forced=None, chunks=None):
        if forced:
            raise UnsupportedError("no forcing")
        return super().op_trace(inputs, chunks=chunks)


def test_a_right_model_has_no_first_difference():
    assert locate(Refimpl(), CASE) is None
    assert locate(States(), CASE, tensors=False) is None


def check_that_the_block_is_named(case, name, block):
    with MUTANTS[name].active():
        found = locate(Refimpl(jit_compile=False), case)
    assert found.block == block
    assert named(MUTANTS[name], found.block)
    assert "adds the error itself" in found.told


@pytest.mark.parametrize(
    ("name", "block"),
    [("gelu-tanh", "encoder.layer.0.feed_forward"), ("cross-mask-missing", "decoder.layer.0.cross_attention"),
     ("head-untied", "logits"), ("position-offset-2", "encoder.embed"), ("sample-variance", "encoder.embed_norm"),
     ("encoder-mask-missing", "encoder.layer.0.self_attention")],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_the_block_is_named(name, block):
    check_that_the_block_is_named(CASE, name, block)


@pytest.mark.parametrize(
    ("name", "block"),
    [("t5-gelu-tanh", "encoder.layer.0.feed_forward"), ("t5-bucket-sign", "encoder.position_bias"),
     ("t5-bias-in-cross-attention", "decoder.layer.0.cross_attention"), ("t5-own-head-scaled", "logits"),
     ("t5-epsilon-always-1e-6", "encoder.layer.0.self_attention_norm"), ("t5-embeddings-scaled", "encoder.embed"),
     ("t5-no-final-norm-in-the-decoder", "decoder.final_norm")],
)  # fmt: skip
def test_the_block_of_t5_is_named(name, block):
    check_that_the_block_is_named(T5_CASE, name, block)


def test_without_feeding_the_error_is_followed_to_where_it_grows():
    with MUTANTS["cross-mask-missing"].active():
        fed = locate(NotFed(jit_compile=False), CASE)
        states = locate(States(jit_compile=False), CASE, tensors=False)
    assert fed.block == "decoder.layer.0.cross_attention"
    assert "after" in fed.told
    assert states.block == "decoder.layer.1.feed_forward_norm"
    assert "encoder.layer.1.feed_forward_norm" in states.told, "between the two nothing was shown"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "tensor"),
    [("causal-mask-forgets-the-cache", "decoder.layer.0.self_attention"),
     ("t5-bias-of-position-0-in-cached-steps", "decoder.position_bias")],
)  # fmt: skip
def test_a_fault_of_the_cache_is_told_from_one_of_the_model(name, tensor):
    adapter = Refimpl(jit_compile=False)
    with MUTANTS[name].active():
        verdicts = list(run(adapter, read_cases("decoding"), adapter.capabilities))
        told = [v.block for v in explained(adapter, adapter.start(), verdicts) if v.verdict == "fail"]
        assert faulty(adapter, verdicts) == "cache"
    assert told
    assert all(f"over the cache {tensor} is the first to differ" in text for text in told)


def test_faults_without_numbers_are_named_by_chapter_and_topic():
    adapter = Refimpl(jit_compile=False)
    with MUTANTS["text-stripped"].active():
        verdicts = list(run(adapter, read_cases("tokenizers"), adapter.capabilities))
    assert faulty(adapter, verdicts) == "tokenizers.detokenize"


@pytest.mark.filterwarnings("ignore")
def test_weights_of_another_model_are_told_from_coarse_ones():
    with MUTANTS["weights-never-loaded"].active():
        found = locate(Refimpl(jit_compile=False), CASE)
    assert found.block == "presets.load"
    assert "not the preset's weights" in found.told

    class Coarse(Refimpl):
        """Tensors rounded as bfloat16 rounds them."""

        def op_trace(self, **more):
            return {name: coarse(array) for name, array in super().op_trace(**more).items()}

    assert locate(Coarse(jit_compile=False), CASE).block == "encoder.embed"


def coarse(array):
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFF0000)).view(np.float32)
