"""The first difference: the block that adds an error is told from those that inherit it."""

from dataclasses import replace

import numpy as np
import pytest

from conformance.adapters.refimpl import Refimpl
from conformance.mutants import all_mutants
from conformance.mutants.blocks import named
from conformance.suite.cases import read_cases
from conformance.suite.diagnosis import explained, faulty, locate
from conformance.suite.messages import UnsupportedError
from conformance.suite.patches import patched
from conformance.suite.runner import Verdict, run

CASE = read_cases("models.trace.blocks#two-layers")[0]
T5_CASE = read_cases("models.trace.blocks#t5-one-layer")[0]
MOONSHINE_CASE = read_cases("models.trace.blocks#moonshine")[0]
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


def test_the_block_of_moonshine_is_named():
    with MUTANTS["moonshine-norm-of-each-frame"].active():
        assert locate(Refimpl(jit_compile=False), MOONSHINE_CASE).block == "encoder.stem.norm"


@pytest.mark.parametrize(
    ("case", "module", "path", "block"),
    [(CASE, "bart.backbone", "BartBackbone.feed_forward", "encoder.layer.0.feed_forward"),
     (CASE, "bart.backbone", "BartBackbone.embed", "encoder.embed"),
     (CASE, "bart.backbone", "BartBackbone.head", "logits"),
     (CASE, "attention", "Attention.keys_values", "encoder.layer.0.self_attention"),
     (CASE, "encoder_decoder", "may_attend_past", "decoder.embed"),
     (CASE, "backbone", "require_shapes", "models.inputs"),
     (T5_CASE, "t5.backbone", "relative_bias", "encoder.position_bias"),
     (MOONSHINE_CASE, "moonshine.backbone", "MoonshineBackbone.group_norm", "encoder.stem.norm")],
)  # fmt: skip
def test_where_a_pass_ends_with_an_error_is_named(case, module, path, block):
    def raising(_):
        def fails(*_, **__):
            raise TypeError("one argument is missing")

        return fails

    with patched([(f"refimpl.models.{module}", path, raising)], "test"):
        found = locate(Refimpl(jit_compile=False), case)
    assert found.block == block
    assert "one argument is missing" in found.told


@pytest.mark.parametrize(
    ("chapter", "wrong", "named"),
    [("samplers", ("beam",), "samplers.beam"), ("samplers", ("random", "top-k", "top-p"), "samplers.top-p"),
     ("samplers", ("random", "greedy"), "samplers.loop"),
     ("tokenizers", ("t5", "t5gemma", "sentence-piece"), "tokenizers.sentence-piece")],
)  # fmt: skip
def test_what_several_fail_is_in_what_they_share(chapter, wrong, named):
    cases = [case for case in read_cases(chapter) if case.clause.count(".")]
    bad = {case.id for case in cases if case.clause.split(".")[1] in wrong}
    assert faulty(None, [Verdict(case, "fail" if case.id in bad else "pass") for case in cases]) == named


def test_what_can_not_be_loaded_is_named_although_refusals_fail_too():
    load, refusal = (
        read_cases("tokenizers.input.types#list"),
        read_cases("tokenizers.vocabulary.special-tokens#missing"),
    )
    verdicts = [Verdict(load[0], "error", "step 0 (load): no file"), Verdict(refusal[0], "fail", "error of kind type")]
    assert faulty(None, verdicts) == "presets.load"
    assert faulty(None, verdicts[1:]) == "tokenizers.vocabulary"


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


def test_what_fails_in_generate_only_is_no_fault_of_samplers():
    cases = read_cases("samplers.beam") + read_cases("generate.stop")
    through = {case.id for case in cases if {"generate"} & {step["op"] for step in case.steps}}
    told = dict.fromkeys(through, "step 1 (generate): other text")
    verdicts = [Verdict(case, "fail" if case.id in through else "pass", told.get(case.id, "")) for case in cases]
    assert faulty(None, verdicts) == "generate.stop"
    assert faulty(None, [v for v in verdicts if v.case.chapter == "samplers"]) == "samplers.beam"
    assert faulty(None, [replace(v, verdict="fail") for v in verdicts]) == "samplers.beam"
