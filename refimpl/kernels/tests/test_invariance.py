"""A row's logits are the same to the last bit alone, in any batch, beside any padding, with any threads."""

import numpy as np
import pytest

from refimpl.decoding import compiled
from refimpl.kernels import decoder_steps, thread_pool
from refimpl.models import BartBackbone, BartSeq2SeqLM, T5Backbone, T5GemmaBackbone, T5GemmaSeq2SeqLM, T5Seq2SeqLM
from refimpl.samplers import TopKSampler
from refimpl.tests.tiny import adversarial, batch

SIZES = {"vocabulary_size": 203, "num_layers": 2, "num_heads": 3, "hidden_dim": 75, "intermediate_dim": 130}


T5 = SIZES | {"key_value_dim": 21, "activation": "gelu"}
SIDE = {
    "hidden_dim": 75, "intermediate_dim": 130, "num_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 3,
    "head_dim": 14, "layer_types": ["sliding_attention", "full_attention"],
}  # fmt: skip
GEMMA = {f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in SIDE.items()}
GEMMA |= {"vocabulary_size": 203, "sliding_window": 3, "attn_logit_softcapping": 9.0}
MODELS = {
    "bart": lambda: BartSeq2SeqLM(BartBackbone(**SIZES, max_sequence_length=30)),
    "t5": lambda: T5Seq2SeqLM(T5Backbone(**T5)),
    "t5-own-head": lambda: T5Seq2SeqLM(T5Backbone(**T5, tie_embedding_weights=False)),
    "t5gemma": lambda: T5GemmaSeq2SeqLM(T5GemmaBackbone(**GEMMA)),
}


@pytest.fixture(params=MODELS)
def task(request):
    lm = MODELS[request.param]()
    adversarial(lm.backbone)
    lm.compile(sampler="greedy", jit_compile=True)
    return lm


def logits(task, inputs, threads=1, monkeypatch=None):
    """Logits of the columns 2 to 9, (8, B, V)."""
    if monkeypatch is not None:
        monkeypatch.setattr(thread_pool, "WORTH_A_THREAD", 1)
        monkeypatch.setattr(decoder_steps, "ThreadPool", lambda: thread_pool.ThreadPool(threads))
    steps = compiled.compiled_steps(task, task.backbone.checked(inputs), 2)
    table, found = steps.cache, []
    for column in range(2, 10):
        values, _, table = steps.next(inputs["decoder_token_ids"], table, column)
        found.append(values)
    return np.array(found)


def rows_of(inputs, rows):
    return {key: value[rows] for key, value in inputs.items()}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 16, 33])
def test_any_batch(task, size):
    inputs = batch(33, 7, 10, size=203)
    whole = logits(task, inputs)
    assert np.array_equal(logits(task, rows_of(inputs, slice(0, size))), whole[:, :size])
    back = np.arange(32, 32 - size, -1)
    assert np.array_equal(logits(task, rows_of(inputs, back)), whole[:, back])


def test_any_padding(task):
    inputs = batch(5, 7, 10, size=203)
    wide = dict(inputs)
    wide["encoder_token_ids"] = np.pad(inputs["encoder_token_ids"], ((0, 0), (0, 13)), constant_values=9)
    wide["encoder_padding_mask"] = np.pad(inputs["encoder_padding_mask"], ((0, 0), (0, 13)))
    longer = np.pad(inputs["decoder_token_ids"], ((0, 0), (0, 11)), constant_values=9)
    wide["decoder_token_ids"], wide["decoder_padding_mask"] = longer, longer >= 0
    poisoned = dict(inputs)
    poisoned["encoder_token_ids"] = np.where(inputs["encoder_padding_mask"], inputs["encoder_token_ids"], 77)
    expected = logits(task, inputs)
    assert np.array_equal(logits(task, wide), expected)
    assert np.array_equal(logits(task, poisoned), expected)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_any_number_of_threads(task, threads, monkeypatch):
    inputs = batch(6, 7, 10, size=203)
    expected = logits(task, inputs)
    assert np.array_equal(logits(task, inputs, threads, monkeypatch), expected)


@pytest.mark.parametrize("sampler", ["greedy", TopKSampler(k=1)], ids=["greedy", "top-k"])
def test_finished_rows_are_not_computed(task, monkeypatch, sampler):
    """Once a row has stopped, steps have one row less; the other rows' tokens do not change."""
    inputs = batch(6, 7, 20, size=203)
    inputs["decoder_padding_mask"] = np.broadcast_to(np.arange(20) < 2, (6, 20))
    free = task.generate(inputs, stop_token_ids=None)["decoder_token_ids"]
    stop = int(free[2, 5])
    task.compile(sampler=sampler)
    seen, run = [], decoder_steps.DecoderSteps._run

    def counted(self, prompt, *rest):
        seen.append(len(prompt))
        return run(self, prompt, *rest)

    monkeypatch.setattr(decoder_steps.DecoderSteps, "_run", counted)
    out = task.generate(inputs, stop_token_ids=[stop])
    mask = out["decoder_padding_mask"]
    assert 0 < mask[:, -1].sum() < 6 or not mask[:, -1].any()
    assert seen[1:] == [n for n in mask[:, 2:].sum(axis=0).tolist() if n]
    assert (out["decoder_token_ids"] == np.where(mask, free, inputs["decoder_token_ids"])).all()
