"""All samplers at work on a model."""

import numpy as np
import pytest

from refimpl import errors, samplers
from refimpl.models import BartBackbone, BartSeq2SeqLM
from refimpl.tests.tiny import backbone, batch, seq2seq


def recipe_model(dropout):
    """Weights from a formula, numbered in the order of the datasets' names."""
    model = BartBackbone(10, 2, 2, 4, 6, dropout=dropout, max_sequence_length=8)
    for k, name in enumerate(weight.name for weight in sorted(model.layout(model.config), key=lambda w: w.dataset)):
        i = np.arange(model.params[name].size)
        values = 0.6 * np.sin(0.37 * (i + 1) ** 2 + 1.3 * k + 0.5)
        model.params[name] = values.astype(np.float32).reshape(model.params[name].shape)
    return BartSeq2SeqLM(model, None)


def recipe_inputs(ragged=False):
    prompt = np.array([[2, 0, 1, 1, 1, 1, 1]] * 2, np.int32)
    mask = np.array([[1, 1, 0, 0, 0, 0, 0]] * 2)
    if ragged:
        prompt[1], mask[1] = [2, 0, 4, 9, 1, 1, 1], [1, 1, 1, 1, 0, 0, 0]
    return {
        "encoder_token_ids": np.array([[0, 5, 6, 2, 1], [0, 7, 2, 1, 1]], np.int32),
        "encoder_padding_mask": np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]]),
        "decoder_token_ids": prompt,
        "decoder_padding_mask": mask,
    }


# KerasHub 0.32.0: greedy, beam and contrastive on PyTorch and JAX alike, the seeded ones on JAX.
ONES = [[2, 0, 1, 1, 1, 1, 1], [2, 0, 1, 1, 1, 1, 1]]
GOLDEN = [
    (samplers.GreedySampler(), False, ONES),
    (samplers.GreedySampler(), True, [ONES[0], [2, 0, 4, 9, 1, 1, 1]]),
    (samplers.BeamSampler(num_beams=3), False, ONES),
    (samplers.ContrastiveSampler(k=3, alpha=0.6), False, ONES),
    (samplers.TopKSampler(k=4, seed=11), False, [[2, 0, 1, 1, 7, 5, 3], [2, 0, 3, 3, 5, 7, 1]]),
    (samplers.RandomSampler(seed=11, temperature=0.7), False, [[2, 0, 7, 0, 1, 1, 3], [2, 0, 7, 5, 0, 0, 5]]),
    (samplers.TopPSampler(p=0.6, seed=11), False, [[2, 0, 8, 1, 7, 5, 8], [2, 0, 3, 1, 1, 1, 1]]),
]


@pytest.mark.parametrize(("sampler", "ragged", "expected"), GOLDEN)
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_what_keras_hub_generates(sampler, ragged, expected, dropout):
    lm = recipe_model(dropout)
    lm.compile(sampler=samplers.get(samplers.serialize(sampler)))
    out = lm.generate(recipe_inputs(ragged), stop_token_ids=None)
    assert out["decoder_token_ids"].tolist() == expected
    assert out["decoder_padding_mask"].all()


def test_the_default_is_top_k_of_5():
    lm = BartSeq2SeqLM(backbone(), None)
    assert lm.sampler.get_config() == {"temperature": 1.0, "k": 5, "seed": None}
    with pytest.raises(errors.SamplerNameError):
        lm.compile(sampler="top-k")


TEXTS = ["air", "plane at", {"encoder_text": ["air", "at"], "decoder_text": ["plane", ""]}]


@pytest.mark.parametrize("texts", TEXTS)
def test_all_beams_come_out_of_generate(texts):
    lm = seq2seq()
    lm.compile(sampler=samplers.BeamSampler(3))
    best = lm.generate(texts)
    lm.compile(sampler=samplers.BeamSampler(3, return_all_beams=True))
    beams, scores = lm.generate(texts)
    if isinstance(best, str):
        best, beams, scores = [best], [beams], scores[None]
    assert [row[0] for row in beams] == best
    assert all(len(row) == 3 and all(isinstance(text, str) for text in row) for row in beams)
    assert scores.shape == (len(best), 3)
    assert (np.diff(scores) <= 0).all()


def test_all_beams_of_several_batches():
    lm = seq2seq()
    lm.compile(sampler=samplers.BeamSampler(2, return_all_beams=True))
    whole, parts = lm.generate(["air", "at", "plane"]), lm.generate(iter([["air", "at"], ["plane"]]))
    assert parts.texts == whole.texts
    assert (parts.log_probs == whole.log_probs).all()
    prompted = {"encoder_text": ["air"], "decoder_text": ["plane"]}
    full, stripped = lm.generate(prompted).texts, lm.generate(prompted, strip_prompt=True).texts
    assert full == [["plane" + text for text in stripped[0]]]


def test_a_stream_has_one_text():
    lm = seq2seq()
    lm.compile(sampler=samplers.BeamSampler(2))
    assert "".join(lm.stream("air")) == lm.generate("air")
    lm.compile(sampler=samplers.BeamSampler(2, return_all_beams=True))
    with pytest.raises(errors.InputError, match=r"generate.stream.one-text"):
        next(lm.stream("air"))


def test_all_beams_as_token_ids():
    lm = seq2seq(preprocessor=False)
    inputs = batch(2, 5, 9) | {"decoder_padding_mask": np.arange(9) < np.array([[2], [2]])}
    lm.compile(sampler=samplers.BeamSampler(4, return_all_beams=True))
    out = lm.generate(inputs, stop_token_ids=(5, 6, 7))
    assert out["decoder_token_ids"].shape == out["decoder_padding_mask"].shape == (2, 4, 9)
    assert out["beam_log_probs"].shape == (2, 4)
    lm.compile(sampler=samplers.BeamSampler(4))
    best = lm.generate(inputs, stop_token_ids=(5, 6, 7))
    for key in best:
        assert (out[key][:, 0] == best[key]).all()
    said = np.isin(out["decoder_token_ids"], (5, 6, 7)) & (np.arange(9) >= 2)
    assert (out["decoder_padding_mask"] == (np.cumsum(said, axis=-1) - said == 0)).all()


def test_beam_scores_are_the_models():
    lm = seq2seq(preprocessor=False)
    inputs = batch(2, 5, 9) | {"decoder_padding_mask": np.arange(9) < np.array([[2], [2]])}
    lm.compile(sampler=samplers.BeamSampler(3, return_all_beams=True))
    out = lm.generate(inputs, stop_token_ids=None)
    for beam in range(3):
        ids = out["decoder_token_ids"][:, beam]
        logits = lm(inputs | {"decoder_token_ids": ids, "decoder_padding_mask": np.ones_like(ids)}).astype(np.float64)
        logp = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        score = np.take_along_axis(logp[:, 1:-1], ids[:, 2:, None], axis=-1).sum(axis=(1, 2))
        assert out["beam_log_probs"][:, beam] == pytest.approx(score, rel=1e-5)


# -- a model that drafts -----------------------------------------------------------------------------------------------
ASSISTANTS = [
    {"seed": 0},  # the target itself: everything is accepted
    {"seed": 5, "num_layers": 1, "hidden_dim": 6, "num_heads": 2},  # another opinion
]


@pytest.mark.parametrize("changes", ASSISTANTS)
@pytest.mark.parametrize("stop", [None, (30, 41, 44), (7,)])
@pytest.mark.parametrize("lengths", [(3, 3, 3), (1, 4, 2)])
def test_an_assistant_changes_nothing_but_the_time(changes, stop, lengths):
    lm, assistant = seq2seq(preprocessor=False), seq2seq(preprocessor=False, **changes)
    inputs = batch(3, 6, 15, seed=2) | {"decoder_padding_mask": np.arange(15) < np.array(lengths)[:, None]}
    alone = lm.generate(inputs, stop_token_ids=stop)
    drafted = lm.generate(inputs, stop_token_ids=stop, assistant_model=assistant)
    lm.compile(sampler=samplers.SpeculativeSampler(2))
    again = lm.generate(inputs, stop_token_ids=stop, assistant_model=assistant)
    for key in alone:
        assert (alone[key] == drafted[key]).all()
        assert (alone[key] == again[key]).all()


def test_an_assistant_that_agrees_saves_passes(monkeypatch):
    lm, assistant = seq2seq(), seq2seq()
    counts = []
    run = lm.call_decoder_with_cache
    monkeypatch.setattr(lm, "call_decoder_with_cache", lambda **kwargs: counts.append(1) or run(**kwargs))
    alone, passes = lm.generate("air"), len(counts)
    assert lm.generate("air", assistant_model=assistant) == alone
    assert len(counts) - passes < passes / 2


def test_an_assistant_for_a_drawing_sampler():
    lm, assistant = seq2seq(preprocessor=False), seq2seq(preprocessor=False, seed=5)
    inputs = batch(3, 6, 15, seed=2) | {"decoder_padding_mask": np.arange(15) < 2}
    inputs["decoder_padding_mask"] = np.tile(inputs["decoder_padding_mask"], (3, 1))
    lm.compile(sampler=samplers.TopKSampler(k=1))
    greedy = lm.generate(inputs, stop_token_ids=None)["decoder_token_ids"]
    assert (lm.generate(inputs, stop_token_ids=None, assistant_model=assistant)["decoder_token_ids"] == greedy).all()
    lm.compile(sampler=samplers.RandomSampler(seed=1))
    drawn = [lm.generate(inputs, None, None, assistant_model=assistant)["decoder_token_ids"] for _ in range(2)]
    assert (drawn[0] != drawn[1]).any()


def test_a_task_without_a_sampler_takes_the_default(monkeypatch):
    """Source: KerasHub's `compile(sampler="top_k")`."""
    lm = seq2seq(preprocessor=False)
    lm.sampler = None
    monkeypatch.setattr(lm, "generate_step", lambda inputs, _: inputs)
    lm.generate(batch(1, 2, 3), stop_token_ids=None)
    assert type(lm.sampler) is samplers.TopKSampler


def test_an_assistant_that_does_not_fit():
    lm = seq2seq()
    with pytest.raises(errors.InputError, match=r"generate.assistant.vocabulary"):
        lm.generate("air", assistant_model=seq2seq(preprocessor=False, vocabulary_size=50))
    with pytest.raises(errors.InputTypeError, match="must be a Seq2SeqLM"):
        lm.generate("air", assistant_model="small")
    lm.compile(sampler="beam")
    with pytest.raises(errors.ConfigError, match=r"samplers.speculative.base"):
        lm.generate("air", assistant_model=seq2seq())
    lm.compile(sampler="speculative")
    with pytest.raises(errors.InputError, match="assistant_model"):
        lm.generate("air")
