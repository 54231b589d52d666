"""Wrong arguments of every kind: what is not taken is refused by a named error of one line, with its mend."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from refimpl import samplers
from refimpl.errors import ConfigError, RefimplError, SequenceLengthError, WeightsError
from refimpl.models import BartBackbone, BartSeq2SeqLM, BartSeq2SeqLMPreprocessor, BartTokenizer
from refimpl.tests import tiny

WRONG = [
    *(
        None,
        True,
        0,
        -1,
        2**70,
        -(2**70),
        1.5,
        float("nan"),
        "",
        "x",
        b"\xff",
        "\ud800",
        "\0",
        1j,
        object(),
        object,
        int,
    ),
    *([], [[]], [None], [1], ["a"], ["a", 1], [["a"]], ("a",), {}, {"a": 1}, {1: 2}, {"a"}, range(3), [1, [2]]),
    *([[1, [2]]], [[1], [2, 3]], [-1], [2**70], {"encoder_text": 1}, {"encoder_text": "a", "decoder_text": ["a", "b"]}),
    *({"encoder_text": None}, {"encoder_text": []}, np.array(3), np.array("a"), np.array(["a"]), np.array([1.5])),
    *(np.array([None]), np.zeros((2, 3, 4)), Path("x")),
]
SIZES = {"vocabulary_size": 30, "num_layers": 1, "num_heads": 2, "hidden_dim": 4, "intermediate_dim": 4}
TEXTS = {"encoder_text": ["a"], "decoder_text": ["b"]}
OUTPUT = {"decoder_token_ids": [[0, 5]], "decoder_padding_mask": [[1, 1]]}


LM = tiny.seq2seq()  # for calls that leave it as it is


def with_attribute(holder, name, value):
    lm = tiny.seq2seq()
    setattr(lm if holder == "task" else lm.preprocessor, name, value)
    return lm.generate("a")


def tokenizer_with(**changes):
    return BartTokenizer(**{"vocabulary": tiny.vocabulary(), "merges": tiny.MERGES} | changes).tokenize(["a plane"])


CALLS = {
    "backbone-size": lambda v: BartBackbone(**SIZES | {"hidden_dim": v}),
    "backbone-dtype": lambda v: BartBackbone(**SIZES, dtype=v),
    "backbone-config": BartBackbone.from_config,
    "backbone-weights": lambda v: tiny.backbone().set_weights(v),
    "backbone-weight": lambda v: tiny.backbone().set_weights([v] * len(tiny.backbone().params)),
    "tokenizer-vocabulary": lambda v: tokenizer_with(vocabulary=v),
    "tokenizer-merges": lambda v: tokenizer_with(merges=v),
    "tokenizer-length": lambda v: tokenizer_with(sequence_length=v),
    "tokenizer-unsplittable": lambda v: tokenizer_with(unsplittable_tokens=v),
    "tokenizer-config": BartTokenizer.from_config,
    "tokenize": lambda v: tiny.tokenizer().tokenize(v),
    "detokenize": lambda v: tiny.tokenizer().detokenize(v),
    "token-to-id": lambda v: tiny.tokenizer().token_to_id(v),
    "id-to-token": lambda v: tiny.tokenizer().id_to_token(v),
    "preprocessor-tokenizer": BartSeq2SeqLMPreprocessor,
    "preprocessor-texts": LM.preprocessor,
    "preprocessor-output": LM.preprocessor.generate_postprocess,
    "preprocessor-ids": lambda v: LM.preprocessor.generate_postprocess(OUTPUT | {"decoder_token_ids": v}),
    "preprocessor-length": lambda v: LM.preprocessor(TEXTS, sequence_length=v),
    "set-encoder-length": lambda v: with_attribute("preprocessor", "encoder_sequence_length", v),
    "set-length": lambda v: with_attribute("preprocessor", "sequence_length", v),
    "set-preprocessor": lambda v: with_attribute("task", "preprocessor", v),
    "set-backbone": lambda v: with_attribute("task", "backbone", v),
    "set-sampler": lambda v: with_attribute("task", "sampler", v),
    "task-backbone": BartSeq2SeqLM,
    "compile-sampler": lambda v: tiny.seq2seq().compile(sampler=v),
    "compile-metrics": lambda v: tiny.seq2seq().compile(metrics=v),
    "call": LM,
    "generate": lambda v: LM.generate(v, max_length=4),
    "generate-length": lambda v: LM.generate("a", max_length=v),
    "generate-stop": lambda v: LM.generate("a", stop_token_ids=v),
    "generate-assistant": lambda v: LM.generate("a", assistant_model=v),
    "stream": lambda v: list(LM.stream(v, max_length=4)),
    "sampler-config": samplers.TopKSampler.from_config,
    "sampler-speculative": samplers.SpeculativeSampler.from_config,
    "sampler-serialize": samplers.serialize,
    "sampler-deserialize": samplers.deserialize,
}


def refusal(call, value):
    """The named error of a call, or None; any other error goes on."""
    try:
        call(value)
    except RefimplError as error:
        return error
    return None


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.filterwarnings("ignore")
def test_what_is_not_taken_is_refused_by_name(call, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    taken = 0
    for value in WRONG:
        error = refusal(call, value)
        taken += error is None
        if error is not None:
            assert len(str(error).splitlines()) == 1
            assert all((error.what, error.must, error.mend, error.clause)), value
    assert taken < len(WRONG) / 2


def test_an_array_in_an_error_does_not_break_its_line():
    with pytest.raises(RefimplError) as caught:
        tiny.seq2seq().generate("a", max_length=np.zeros((2, 2)))
    assert "\n" not in str(caught.value)


def test_sampler_attribute_may_be_a_name():
    lm, other = tiny.seq2seq(), tiny.seq2seq()
    lm.sampler = "beam"
    other.compile(sampler="beam")
    assert lm.generate("a plane") == other.generate("a plane")


@pytest.mark.parametrize("choice", ["off", "True", None, 1, [], np.ones(2)])
def test_jit_compile_is_true_false_or_auto(choice):
    lm = tiny.seq2seq()
    with pytest.raises(ConfigError, match="jit_compile=.*task.compile.jit-compile"):
        lm.compile(jit_compile=choice)
    for right in (True, False, np.False_, "auto"):
        lm.compile(jit_compile=right)


@pytest.mark.parametrize("length", [-2, 2.5, "9", True])
def test_lengths_are_whole_numbers_above_0(length):
    """A text was once "cut to -2"."""
    given = {"encoder_text": ["air"], "decoder_text": ["at"]}
    preprocessor = BartSeq2SeqLMPreprocessor(tiny.tokenizer())
    for side in ("encoder", "decoder"):
        name = f"{side}_sequence_length"
        with pytest.raises(SequenceLengthError):
            BartSeq2SeqLMPreprocessor(tiny.tokenizer(), **{name: length})
        for call in (preprocessor, preprocessor.generate_preprocess):
            with pytest.raises(SequenceLengthError):
                call(given, **{name: length})
        setattr(preprocessor, name, length)
        with pytest.raises(SequenceLengthError):
            preprocessor.generate_preprocess(given)
        setattr(preprocessor, name, 9)


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "int32", "uint32", "int64", "uint64", "float32", "bool"])
def test_prompt_type_never_changes_the_tokens(kind):
    """269 tokens do not fit into 8 bits: the output is wider then, where it once overflowed."""
    lm, batch = tiny.seq2seq(preprocessor=False), tiny.batch(3, 4, 9, size=2)
    batch["decoder_padding_mask"] = np.arange(9) < np.array([[1], [2], [3]])
    expected = lm.generate(batch, stop_token_ids=None)["decoder_token_ids"]
    assert expected.max() > 127
    found = lm.generate(batch | {"decoder_token_ids": batch["decoder_token_ids"].astype(kind)}, stop_token_ids=None)[
        "decoder_token_ids"
    ]
    assert np.array_equal(found, expected)
    assert found.dtype == (kind if kind in ("int16", "int32", "uint32", "int64", "uint64") else "int32")


def test_every_list_of_ids_has_a_text():
    """All pairs of a few ids, special and half characters among them."""
    tokenizer = tiny.tokenizer()
    for pair in itertools.product([0, 1, 2, 3, 4, 200, 265, 268, 269, 10**6], repeat=2):
        assert isinstance(tokenizer.detokenize(list(pair)), str)


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize(
    "part", ["token_embedding/embeddings", "transformer_decoder_layer_0/self_attention/query/kernel"]
)
def test_a_weight_of_another_shape_is_refused_by_name(part, jit_compile):
    lm = tiny.seq2seq()
    lm.compile(sampler="greedy", jit_compile=jit_compile)
    lm.preprocessor, inputs = None, tiny.batch(2, 3, 4)
    lm.backbone.params[part] = lm.backbone.params[part][:1].copy()
    for use in (lm, lm.backbone, lambda x: lm.generate(x, stop_token_ids=None)):
        with pytest.raises(WeightsError, match=part):
            use(inputs)
    del lm.backbone.params[part]
    with pytest.raises(WeightsError, match="None"):
        lm(inputs)
