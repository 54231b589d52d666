"""The numbers of an explanation are the model's."""

import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

import refimpl
from refimpl.cli import main
from refimpl.errors import InputError, MissingInputError
from refimpl.explain.beam_tree import drawn, tree
from refimpl.explain.page import PARTS, in_script
from refimpl.models import Seq2SeqLM, T5GemmaBackbone, T5GemmaSeq2SeqLM
from refimpl.presets.shipped import shipped_preset
from refimpl.samplers import BeamSampler, ContrastiveSampler, RandomSampler, Sampler, TopKSampler
from refimpl.tests import speech
from refimpl.tests.tiny import adversarial, batch, seq2seq, t5

SAMPLERS = {
    "greedy": "greedy",
    "beam": BeamSampler(3),
    "all beams": BeamSampler(3, return_all_beams=True),
    "contrastive": ContrastiveSampler(4, 0.6),
    "random": RandomSampler(seed=3, temperature=2.0),
    "top_k": TopKSampler(4, seed=1),
    "top_p": "top_p",
}


def t5gemma():
    sizes = {
        "vocabulary_size": 41, "encoder_hidden_dim": 12, "encoder_intermediate_dim": 20, "encoder_num_layers": 3,
        "encoder_num_attention_heads": 4, "encoder_num_key_value_heads": 2, "encoder_head_dim": 6,
        "encoder_layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "decoder_hidden_dim": 12, "decoder_intermediate_dim": 20, "decoder_num_layers": 3,
        "decoder_num_attention_heads": 4, "decoder_num_key_value_heads": 2, "decoder_head_dim": 6,
        "decoder_layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "sliding_window": 3,
    }  # fmt: skip
    lm = T5GemmaSeq2SeqLM(adversarial(T5GemmaBackbone(**sizes)))
    lm.compile(sampler="greedy")
    return lm


MODELS = {"bart": lambda: seq2seq(preprocessor=False), "t5": t5, "t5gemma": t5gemma}


def one_row(prompt=3, source=7, target=10):
    rows = batch(1, source, target, seed=5, size=41)
    rows["encoder_padding_mask"] = np.arange(source)[None] < source - 1
    rows["decoder_padding_mask"] = np.arange(target)[None] < prompt
    return rows


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_ids_are_those_of_generate_and_its_draws_stay(make, sampler):
    lm, rows = make(), one_row()
    lm.compile(sampler=sampler)
    found = lm.explain(rows, stop_token_ids=None)
    ids = lm.generate(rows, stop_token_ids=None)["decoder_token_ids"][0]
    assert [token.id for token in found.target] == (ids[0] if ids.ndim > 1 else ids).tolist()
    assert [token.id for token in found.source] == rows["encoder_token_ids"][0, :6].tolist()
    for step, token in zip(found.steps, found.target[found.prompt :], strict=True):
        assert [candidate.token.id for candidate in step if candidate.taken] == [token.id]


@pytest.mark.parametrize("prompt", [0, 1, 4])
@pytest.mark.parametrize("sampler", ["greedy", "beam", "contrastive"])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_attention_is_that_of_a_pass_over_all(make, sampler, prompt):
    lm, rows = make(), one_row(prompt)
    lm.compile(sampler=sampler)
    found = lm.explain(rows, stop_token_ids=None)
    read = [token.id for token in found.target[:-1]]
    whole = rows | {"decoder_token_ids": np.array([read]), "decoder_padding_mask": np.ones((1, len(read)), bool)}
    seen = []
    token = refimpl.autograd.attention.watcher.set(lambda weights: seen.append(weights[0]))
    lm(whole)
    refimpl.autograd.attention.watcher.reset(token)
    layers = len(found.attention.encoder)
    wanted = np.stack(seen[:layers])[..., :6, :6], np.stack(seen[layers::2]), np.stack(seen[layers + 1 :: 2])[..., :6]
    for weights, right in zip(found.attention, wanted, strict=True):
        assert weights.shape == right.shape
        np.testing.assert_allclose(weights, right, atol=2e-6)
        np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-6)


class Told(Sampler):
    """A user's sampler, which keeps what it was asked."""

    asked = []

    def get_next_token(self, probabilities):
        self.asked.append(probabilities.copy())
        return probabilities.argsort(axis=-1)[:, -7]  # none of the five likeliest

    def get_distribution(self, probabilities):
        return np.square(probabilities)


def test_probabilities_are_what_the_sampler_was_given():
    lm = seq2seq()
    Told.asked.clear()
    lm.compile(sampler=Told(temperature=0.5))
    found = lm.explain("air plane", stop_token_ids=None)
    assert len(found.steps) == len(Told.asked) > 3
    for step, probabilities in zip(found.steps, Told.asked, strict=True):
        assert len(step) == 6
        for candidate in step:
            assert candidate.chance == np.square(probabilities[0, candidate.token.id])
    lm.compile(sampler=Told())
    Told.asked.clear()
    for step, probabilities in zip(lm.explain("air plane").steps, Told.asked, strict=True):
        assert [c.probability for c in step] == [probabilities[0, c.token.id] for c in step]
        assert step[0].probability == probabilities.max()


def test_beams_carry_the_scores_of_generate():
    lm = Seq2SeqLM.from_preset(shipped_preset())
    lm.compile(sampler=BeamSampler(4, return_all_beams=True))
    texts, scores = lm.generate("elephant")
    found = lm.explain("elephant")
    assert found.output == texts[0]
    np.testing.assert_allclose(sorted((beam.score for beam in found.beams[-1]), reverse=True), scores, rtol=1e-5)
    text = "\n".join(drawn(tree(found.beams)))
    assert text.count("*") == 1
    assert f"{scores[0]:.2f} *" in text


def test_the_cache_has_the_sizes_of_the_model():
    lm = seq2seq()
    cache = lm.explain("air").cache
    assert cache.numbers * cache.columns == lm._initialize_cache(np.zeros((1, 9), int), np.zeros((1, 11), int))[0].size


def test_nothing_is_left_on_the_model():
    lm = seq2seq()
    lm.generate("air")
    before = {key: id(value) for key, value in vars(lm).items()}, set(vars(lm.backbone))
    lm.explain("air")
    assert before == ({key: id(value) for key, value in vars(lm).items()}, set(vars(lm.backbone)))


def test_attention_weights_gives_the_arrays_alone():
    lm = Seq2SeqLM.from_preset(shipped_preset("t5_g2p_en"))
    lm.compile(sampler="greedy")
    encoder, decoder, cross = lm.attention_weights("spelling to phonemes: grady")
    found = lm.explain("spelling to phonemes: grady")
    assert found.output == lm.generate("spelling to phonemes: grady")
    source, read = len(found.source), len(found.target) - 1
    assert [x.shape for x in (encoder, decoder, cross)] == [
        (2, 4, source, source), (2, 4, read, read), (2, 4, read, source)
    ]  # fmt: skip
    assert (cross == found.attention.cross).all()


def test_inputs_are_checked_as_those_of_generate():
    rows = one_row()
    del rows["decoder_padding_mask"]
    with pytest.raises(MissingInputError):
        seq2seq(preprocessor=False).explain(rows, stop_token_ids=None)
    assert Page(seq2seq().explain("").page()).links == []


def test_one_text_at_a_time():
    with pytest.raises(InputError, match="2 texts"):
        seq2seq().explain(["air", "plane"])


class Page(HTMLParser):
    """The scripts of a page, and everything that it would fetch."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.links, self._in_script = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self._in_script = tag == "script"
        self.links += [value for key, value in attrs if key in ("src", "href")]

    def handle_data(self, data):
        if self._in_script:
            self.scripts.append(data)
        self._in_script = False


def test_the_page_has_the_numbers_and_no_text_becomes_code():
    lm = Seq2SeqLM.from_preset(shipped_preset())
    found = lm.explain("</script><b>{{ data }}&\u2028")
    page = Page(found.page())
    assert page.links == []
    assert len(page.scripts) == 2
    data = json.loads(page.scripts[0])
    assert [token[0] for token in data["target"]] == [token.id for token in found.target]
    for kind, weights in found.attention._asdict().items():
        np.testing.assert_allclose(np.array(data["attention"][kind]) / PARTS, weights, atol=0.51 / PARTS)
    assert [[row[2] for row in step] for step in data["steps"]] == [[c.probability for c in s] for s in found.steps]
    assert "<b>" not in found.page()
    assert "&lt;" in found.picture(step=0)
    assert not re.search("[<>&]", in_script(["</script>", "<!--", "&"]))


def test_plain_text_has_every_token_and_on_request_every_head():
    found = Seq2SeqLM.from_preset(shipped_preset()).explain("elephant", max_length=8)
    text = str(found)
    for token in found.source + found.target:
        assert f"{token.text}:{token.id}" in text
    assert "encoder, mean of all layers and heads" in text
    assert found.text(every_head=True).count("cross, layer ") == 8


def test_a_model_without_layers_and_a_prompt_that_fills_all():
    lm = seq2seq(preprocessor=False, num_layers=0)
    assert lm.explain(one_row(), stop_token_ids=None).attention.encoder.shape[0] == 0
    found = seq2seq(preprocessor=False).explain(one_row(prompt=10), stop_token_ids=None)
    assert found.steps == []
    assert found.attention.decoder.shape == (2, 3, 9, 9)
    assert "<text" in found.page()


def test_ids_that_the_tokenizer_lacks_are_their_own_names():
    lm = speech.task()  # 16 ids, of which its tokenizer knows 13
    found = lm.explain(speech.SOUND)
    names = {token.id: token.text for step in found.steps for token in [c.token for c in step]}
    assert found.output == lm.generate(speech.SOUND)
    assert any(id > 12 for id in names)
    assert all(text == str(id) for id, text in names.items() if id > 12)


def test_the_command(tmp_path, capsys):
    assert main(["explain", "elephant"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("elephant -> EH L AH F AH N T\n")
    assert main(["explain", "elephant", "--out", str(tmp_path / "page.html"), "--sampler", "beam"]) == 0
    assert "BeamSampler" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert main(["explain", "elephant", "--out", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")
    assert main(["explain", "elephant", "--out", str(tmp_path / "no" / "page.html")]) == 1
    assert "could not be written" in capsys.readouterr().err


def test_the_command_takes_the_first_line_of_standard_input(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"elephant\nhorse\n")))
    assert main(["explain", "--heads"]) == 0
    assert capsys.readouterr().out.startswith("elephant -> EH L AH F AH N T\n")
