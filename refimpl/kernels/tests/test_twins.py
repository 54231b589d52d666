"""Every twin gives what its definition gives. Twins are found, not listed: a new one is tested from its first day."""

import importlib

import numpy as np
import pytest

from refimpl.decoding.compiled import compiled_steps
from refimpl.decoding.steps import prefill
from refimpl.decoding.stream import stream_step
from refimpl.kernels.eligibility import RECORDS
from refimpl.kernels.samplers import CHOICES, best_beams
from refimpl.models import BartSeq2SeqLM, MoonshineAudioToText, T5GemmaSeq2SeqLM, T5Seq2SeqLM
from refimpl.random import gumbel
from refimpl.random.draws import gumbel_at
from refimpl.samplers import (
    BeamSampler,
    ContrastiveSampler,
    GreedySampler,
    RandomSampler,
    TopKSampler,
    TopPSampler,
)
from refimpl.tests.tiny import adversarial, batch, sounding

# Sizes with remainders in every direction: no vector of sixteen, no group of four or eight is full.
CONFIGS = [
    {"vocabulary_size": 101, "num_layers": 2, "num_heads": 3, "hidden_dim": 50, "intermediate_dim": 77},
    {"vocabulary_size": 64, "num_layers": 1, "num_heads": 2, "hidden_dim": 64, "intermediate_dim": 128},
    {"vocabulary_size": 7, "num_layers": 3, "num_heads": 5, "hidden_dim": 5, "intermediate_dim": 3},
]
TASKS = {
    ("refimpl.models.bart.backbone", "BartBackbone"): BartSeq2SeqLM,
    ("refimpl.models.t5.backbone", "T5Backbone"): T5Seq2SeqLM,
    ("refimpl.models.t5gemma.backbone", "T5GemmaBackbone"): T5GemmaSeq2SeqLM,
    ("refimpl.models.moonshine.backbone", "MoonshineBackbone"): MoonshineAudioToText,
}
# What an architecture has beside the sizes, one for each of them: every activation, plain and gated, both heads.
KINDS = {
    "BartBackbone": [{"max_sequence_length": 30}] * 3,
    "T5Backbone": [
        {"key_value_dim": 13, "use_gated_activation": False},
        {"activation": "gelu_approximate", "tie_embedding_weights": False},
        {"key_value_dim": 3, "activation": "silu", "tie_embedding_weights": False, "use_gated_activation": False},
    ],
    "T5GemmaBackbone": [
        {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
        {"tie_word_embeddings": False, "attention_bias": True, "hidden_activation": "silu"},
        {"query_pre_attn_scalar": 8.0, "hidden_activation": "gelu"},
    ],
    "MoonshineBackbone": [
        {"attention_bias": True},
        {"encoder_use_swiglu_activation": True, "decoder_use_swiglu_activation": False, "rope_theta": 300.0},
        {"partial_rotary_factor": 1.0},
    ],
}


def t5gemma(config, n):
    """Sides of different sizes, several heads a key, a window that is shorter than the sequences."""
    sides = {"vocabulary_size": config["vocabulary_size"], "sliding_window": 2 + n}
    for side, extra in (("encoder", 1), ("decoder", 0)):
        kinds = ["sliding_attention", "full_attention"] * 2
        heads = {"num_key_value_heads": config["num_heads"], "num_attention_heads": config["num_heads"] * (2 - extra)}
        sizes = {"num_layers": config["num_layers"], "head_dim": 6, "layer_types": kinds} | heads
        sizes |= {key: config[key] + extra for key in ("hidden_dim", "intermediate_dim")}
        sides |= {f"{side}_{key}": value for key, value in sizes.items()}
    return sides


def moonshine(config, n):
    """Sides of different heads, made wide enough for pairs to turn; of an odd width in the second."""
    width = dict.fromkeys(("filter_dim", "hidden_dim", "intermediate_dim"), config["hidden_dim"])
    layers = {f"{side}_num_layers": config["num_layers"] for side in ("encoder", "decoder")}
    heads = {"encoder_num_heads": config["num_heads"], "decoder_num_heads": max(1, config["num_heads"] - n)}
    fixed = {"vocabulary_size": config["vocabulary_size"], "pad_head_dim_to_multiple_of": 2 + n % 2}
    return width | layers | heads | fixed | {"feedforward_expansion_factor": 2 + n}


SIZES = {"T5GemmaBackbone": t5gemma, "MoonshineBackbone": moonshine}


def tasks():
    for module, name in RECORDS:
        for n, config in enumerate(CONFIGS):
            sizes = SIZES[name](config, n) if name in SIZES else config
            backbone = getattr(importlib.import_module(module), name)(**sizes, **KINDS[name][n])
            task = TASKS[module, name](adversarial(backbone, seed=n), None)
            yield pytest.param(task, id=f"{name}-{n}")


def prompts(task, rows=5, seed=0):
    inputs = batch(rows, 9, 17, seed, size=task.backbone.vocabulary_size)
    inputs["encoder_padding_mask"][0, ::2] = False  # holes
    inputs["encoder_padding_mask"][-1] = False  # nothing to attend to
    inputs["decoder_padding_mask"] = np.arange(17) < np.random.default_rng(seed).integers(2, 6, (rows, 1))
    return inputs if task.backbone.inert_padding else sounding(inputs)


@pytest.mark.parametrize("task", list(tasks()))
def test_steps_equal_the_definition(task):
    """Logits and states of prompt and every later column, against the definition in float64."""
    inputs = prompts(task)
    task.compile(sampler="contrastive", jit_compile=True)  # which looks at the prompt's states
    checked = task.backbone.checked(inputs)
    steps = compiled_steps(task, checked, 3)
    exact = type(task)(type(task.backbone)(**task.backbone.get_config() | {"dtype": "float64"}), None)
    exact.backbone.params = {name: w.astype(np.float64) for name, w in task.backbone.params.items()}
    cache, hidden = prefill(exact, checked, 3)
    plain, plain_hidden = prefill(task, checked, 3)
    assert_near(steps.hidden_states, hidden, plain_hidden)
    table, ids = steps.cache, inputs["decoder_token_ids"]
    found, truths, others = [], [], []
    for column in range(3, 17):
        logits, states, table = steps.next(ids, table, column)
        truth, cache = one_step(exact, ids, cache, column)
        other, plain = one_step(task, ids, plain, column)
        for columns, values in ((found, (logits, states)), (truths, truth), (others, other)):
            columns.append(values)
    for values in zip(*(zip(*columns, strict=True) for columns in (found, truths, others)), strict=True):
        assert_near(*map(np.array, values))  # of all columns together: the noise of a single one is a single draw


def one_step(task, ids, cache, column):
    own, other, encoded, mask = cache
    logits, states, own, _ = task.call_decoder_with_cache(
        encoded, mask, ids[:, column - 1 : column], own, column - 1, other, None
    )
    return (logits[:, 0], states[:, 0]), (own, other, encoded, mask)


def assert_near(found, truth, plain):
    """The error of all columns together: three times that of the definition in float32, or some last units.

    The worst number of a tiny model is a single draw, and may lie further off.
    """
    scale = 2e-6 * max(1.0, np.abs(truth).max())
    error, usual = found - truth, plain - truth
    assert np.sqrt(np.square(error).mean()) <= 3 * np.sqrt(np.square(usual).mean()) + scale
    assert np.abs(error).max() <= 10 * np.abs(usual).max() + scale


@pytest.mark.parametrize("stops", [None, (3, 5, 11, 17), "no source"], ids=["run-to-the-end", "stop", "no-source"])
@pytest.mark.parametrize("task", list(tasks()))
def test_tokens_equal_the_definition(task, stops):
    inputs = prompts(task, seed=1)
    if stops == "no source":
        inputs["encoder_padding_mask"][:], stops = False, None
    task.compile(sampler="greedy", jit_compile=True)
    found = task.generate(inputs, stop_token_ids=stops)
    task.compile(sampler="greedy", jit_compile=False)
    expected = task.generate(inputs, stop_token_ids=stops)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        assert (found[key] == value).all()


@pytest.mark.parametrize("task", list(tasks()))
def test_drawn_tokens_equal_the_definition(task):
    """Greedy tokens of these weights are one over and over; here there are several."""
    inputs, found = prompts(task, seed=1), []
    for compiled in (True, False):
        task.compile(sampler=RandomSampler(seed=3, temperature=3.0), jit_compile=compiled)
        found.append(task.generate(inputs, stop_token_ids=None)["decoder_token_ids"])
    assert (found[0] == found[1]).all()
    assert min(len(set(row)) for row in found[0][:, 6:].tolist()) >= 3


def test_several_columns_in_one_pass():
    task = next(tasks()).values[0]
    inputs = prompts(task)
    task.compile(sampler="greedy", jit_compile=True)
    ids = inputs["decoder_token_ids"]
    steps = compiled_steps(task, task.backbone.checked(inputs), 2)
    together, _ = steps.verify_next(ids, steps.cache, 2, 4)
    table = steps.cache
    for n in range(5):
        logits, _, table = steps.next(ids, table, 2 + n)
        assert (logits == together[:, n]).all()  # to the last bit


def sampler_twins():
    for (module, name), choose in CHOICES.items():
        yield pytest.param(getattr(importlib.import_module(module), name), choose, id=name)


def odd_logits(rows=40, size=301):
    rng = np.random.default_rng(0)
    smooth = rng.standard_normal((rows, size)).astype(np.float32) * 3
    odd = smooth.copy()
    odd[:10, 1], odd[10:20, 2], odd[20:30] = np.nan, np.inf, -np.inf
    odd[30:, :] = 0
    return {
        "smooth": smooth,
        "tied": np.round(smooth, 1),
        "close": 5 + smooth * np.float32(1e-7),
        "sharp": smooth * 60,
        "odd": odd,
    }


@pytest.mark.filterwarnings("ignore::refimpl.errors.NotANumberWarning")
@pytest.mark.parametrize(
    "temperature", [0.0, 0.3, *(pytest.param(t, marks=pytest.mark.slow) for t in (1e-30, 1.0, 7.0))]
)
@pytest.mark.parametrize("kind", odd_logits())
@pytest.mark.parametrize(("cls", "choose"), list(sampler_twins()))
def test_sampler_choices_equal_the_definition(cls, choose, kind, temperature):
    """Also for some rows of a batch: they get the noise that they have in the whole batch."""
    logits = odd_logits()[kind]
    more = [{}] if cls.__name__ == "GreedySampler" else [{"seed": 3}]
    if cls.__name__ == "TopPSampler":
        more = [{"seed": 3, "p": p, "k": k} for p in (0.0, 0.1, 0.7, 0.99, 1.0) for k in (None, 1, 30)]
    for arguments in more:
        whole, some = cls(temperature=temperature, **arguments), cls(temperature=temperature, **arguments)
        rows = np.array([1, 5, 14, 22, 33, 39])
        for _ in range(3):
            with np.errstate(all="ignore"):
                expected = whole.get_next_token(whole.compute_probabilities(logits))
                assert (choose(some, logits[rows], rows) == expected[rows]).all()


def test_noise_at_places_is_the_stream():
    key = np.array([7, 3], np.uint32)
    counters = np.array([[0, 5], [999, 17]], np.uint64)
    assert (gumbel_at(key, counters) == gumbel(key, (1000,))[counters.astype(int)]).all()


@pytest.mark.parametrize("kind", ["smooth", "tied", "close", "sharp"])
@pytest.mark.parametrize(("beams", "size"), [(1, 301), (4, 301), (4, 4), (5, 3)])
def test_beam_ranks_equal_the_definition(beams, size, kind):
    sampler = BeamSampler(num_beams=beams)
    probabilities = sampler.compute_probabilities(odd_logits(40, size)[kind])
    rows = 40 // beams
    first = np.tile(np.where(np.arange(beams) == 0, np.float32(0), np.float32(-1e9)), (rows, 1))
    later = -np.random.default_rng(1).random((rows, beams)).astype(np.float32) * 300
    for scores in (first, later, np.round(later / 100)):
        expected = sampler._best(probabilities[: rows * beams], scores)
        found = best_beams(sampler, probabilities[: rows * beams], scores)
        for value, right in zip(found, expected, strict=True):
            assert value.dtype == right.dtype
            assert (value == right).all()


SAMPLERS = {
    "greedy": GreedySampler,
    "random": lambda: RandomSampler(seed=1),
    "top_k": lambda: TopKSampler(k=3, seed=1),
    "top_p": lambda: TopPSampler(p=0.6, seed=1),
    "beam": lambda: BeamSampler(num_beams=3),
    "all_beams": lambda: BeamSampler(num_beams=3, return_all_beams=True),
    "contrastive": lambda: ContrastiveSampler(k=3),
}


@pytest.mark.parametrize("stops", [None, (3, 5, 11, 17)], ids=["run-to-the-end", "stop"])
@pytest.mark.parametrize("name", SAMPLERS)
def test_all_samplers_give_the_definitions_tokens(name, stops):
    task = next(tasks()).values[0]
    inputs = prompts(task, seed=4)
    found = []
    for compiled in (True, False):
        task.compile(sampler=SAMPLERS[name](), jit_compile=compiled)
        once = task.generate(inputs, stop_token_ids=stops)
        found.append((once, task.generate(inputs, stop_token_ids=stops)))  # the seed goes on
    for twin, definition in zip(*found, strict=True):
        for key in ("decoder_token_ids", "decoder_padding_mask"):
            assert (twin[key] == definition[key]).all()


def test_an_assistant_gives_the_definitions_tokens():
    task, inputs = next(tasks()).values[0], prompts(next(tasks()).values[0], seed=4)
    found = []
    for compiled in (True, False):
        task.compile(sampler="greedy", jit_compile=compiled)
        found.append(task.generate(inputs, stop_token_ids=None, assistant_model=task)["decoder_token_ids"])
    assert (found[0] == found[1]).all()


def test_a_stream_gives_what_generate_gives():
    task = next(tasks()).values[0]
    inputs = prompts(task, seed=4)
    task.compile(sampler="greedy", jit_compile=True)
    *_, last = stream_step(task, inputs, (3, 5, 11))
    whole = task.generate(inputs, stop_token_ids=(3, 5, 11))
    mask = whole["decoder_padding_mask"] & last["decoder_padding_mask"]
    assert (last["decoder_token_ids"] == whole["decoder_token_ids"])[mask].all()
