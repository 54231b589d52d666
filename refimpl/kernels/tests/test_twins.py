"""Every twin gives what its definition gives. Twins are found, not listed: a new one is tested from its first day."""

import importlib

import numpy as np
import pytest

from refimpl.decoding.compiled import compiled_steps
from refimpl.decoding.generate_step import prefill
from refimpl.kernels.architecture import ARCHITECTURES
from refimpl.kernels.samplers import CHOICES
from refimpl.models import BartSeq2SeqLM
from refimpl.tests.tiny import adversarial, batch

# Sizes with remainders in every direction: no vector of sixteen, no group of four or eight is full.
CONFIGS = [
    {"vocabulary_size": 101, "num_layers": 2, "num_heads": 3, "hidden_dim": 50, "intermediate_dim": 77},
    {"vocabulary_size": 64, "num_layers": 1, "num_heads": 2, "hidden_dim": 64, "intermediate_dim": 128},
    {"vocabulary_size": 7, "num_layers": 3, "num_heads": 5, "hidden_dim": 5, "intermediate_dim": 3},
]
TASKS = {("refimpl.models.bart_backbone", "BartBackbone"): BartSeq2SeqLM}


def tasks():
    for module, name in ARCHITECTURES:
        for n, config in enumerate(CONFIGS):
            backbone = getattr(importlib.import_module(module), name)(**config, max_sequence_length=30)
            task = TASKS[module, name](adversarial(backbone, seed=n), None)
            yield pytest.param(task, id=f"{name}-{n}")


def prompts(task, rows=5, seed=0):
    inputs = batch(rows, 9, 17, seed, size=task.backbone.vocabulary_size)
    inputs["encoder_padding_mask"][0, ::2] = False  # holes
    inputs["encoder_padding_mask"][-1] = False  # nothing to attend to
    inputs["decoder_padding_mask"] = np.arange(17) < np.random.default_rng(seed).integers(2, 6, (rows, 1))
    return inputs


@pytest.mark.parametrize("task", list(tasks()))
def test_steps_equal_the_definition(task):
    """Logits and states of prompt and every later column, against the definition in float64."""
    inputs = prompts(task)
    task.compile(sampler="greedy", jit_compile=True)
    checked = task.backbone.checked(inputs)
    steps = compiled_steps(task, checked, 3)
    exact = type(task)(type(task.backbone)(**task.backbone.get_config() | {"dtype": "float64"}), None)
    exact.backbone.weights = {name: w.astype(np.float64) for name, w in task.backbone.weights.items()}
    cache, hidden = prefill(exact, checked, 3)
    plain, plain_hidden = prefill(task, checked, 3)
    assert_near(steps.hidden_states, hidden, plain_hidden)
    table, ids = steps.cache, inputs["decoder_token_ids"]
    for column in range(3, 17):
        logits, states, table = steps.next(ids, table, column)
        truth, cache = one_step(exact, ids, cache, column)
        other, plain = one_step(task, ids, plain, column)
        assert_near(logits, truth[0], other[0])
        assert_near(states, truth[1], other[1])


def one_step(task, ids, cache, column):
    own, other, encoded, mask = cache
    logits, states, own, _ = task.call_decoder_with_cache(
        encoded, mask, ids[:, column - 1 : column], own, column - 1, other, None
    )
    return (logits[:, 0], states[:, 0]), (own, other, encoded, mask)


def assert_near(found, truth, plain):
    """No further from the float64 truth than three times the definition in float32, or some units in the last place."""
    scale = max(1.0, np.abs(truth).max())
    assert np.abs(found - truth).max() <= 3 * np.abs(plain - truth).max() + 2e-6 * scale


@pytest.mark.parametrize("stops", [None, (3, 5, 11, 17)], ids=["run-to-the-end", "stop"])
@pytest.mark.parametrize("task", list(tasks()))
def test_tokens_equal_the_definition(task, stops):
    inputs = prompts(task, seed=1)
    task.compile(sampler="greedy", jit_compile=True)
    found = task.generate(inputs, stop_token_ids=stops)
    task.compile(sampler="greedy", jit_compile=False)
    expected = task.generate(inputs, stop_token_ids=stops)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        assert (found[key] == value).all()


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


@pytest.mark.parametrize("temperature", [0.3, 1.0, 7.0])
@pytest.mark.parametrize(("cls", "choose"), list(sampler_twins()))
def test_sampler_choices_equal_the_definition(cls, choose, temperature):
    rng = np.random.default_rng(0)
    smooth = rng.standard_normal((40, 301)).astype(np.float32) * 3
    tied = np.round(smooth, 1)
    close = np.float32(5) + smooth * np.float32(1e-7)
    odd = smooth.copy()
    odd[:10, 4], odd[10:20, 5], odd[20:30] = np.nan, np.inf, -np.inf
    odd[30:, :] = 0
    for logits in (smooth, tied, close, odd):
        sampler = cls(temperature=temperature)
        with np.errstate(all="ignore"):
            expected = sampler.get_next_token(sampler.compute_probabilities(logits))
            found = choose(cls(temperature=temperature), logits)
        assert (found == expected).all()
