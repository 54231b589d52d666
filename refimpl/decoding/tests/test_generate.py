"""Generation: length, stop tokens, prompts. The model's own full pass is the check on its cached one."""

import sys

import numpy as np
import pytest

from refimpl import errors, samplers
from refimpl.decoding.generate_step import prompt_of
from refimpl.decoding.steps import prefill
from refimpl.decoding.stop import output_mask, resolve_stop_token_ids
from refimpl.decoding.trim import trim
from refimpl.models import BartSeq2SeqLM
from refimpl.tests.tiny import batch, seq2seq

LM = seq2seq()
BARE = seq2seq(preprocessor=False)


def prompt(rows=3, width=9, lengths=(2, 4, 3)):
    inputs = batch(rows, 6, width, seed=2)
    inputs["decoder_padding_mask"] = np.arange(width) < np.array(lengths)[:, None]
    return inputs


def test_greedy_is_the_argmax_of_the_full_pass():
    inputs = prompt()
    out = BARE.generate(inputs, stop_token_ids=None)
    ids = out["decoder_token_ids"]
    full = BARE(inputs | {"decoder_token_ids": ids, "decoder_padding_mask": np.ones_like(ids)})
    for row, length in enumerate((2, 4, 3)):
        assert (ids[row, :length] == inputs["decoder_token_ids"][row, :length]).all()
        assert (ids[row, length:] == full[row, length - 1 : -1].argmax(-1)).all()
    assert out["decoder_padding_mask"].all()


def test_a_row_generates_the_same_alone():
    inputs = prompt()
    together = BARE.generate(inputs, stop_token_ids=None)["decoder_token_ids"]
    for row in range(3):
        alone = {key: value[row : row + 1] for key, value in inputs.items()}
        assert (BARE.generate(alone, stop_token_ids=None)["decoder_token_ids"][0] == together[row]).all()


def test_a_batch_is_looked_at_once(monkeypatch):
    seen = []
    right = type(BARE.backbone).checked
    monkeypatch.setattr(type(BARE.backbone), "checked", lambda self, x: seen.append(len(x)) or right(self, x))
    for kind in (np.int16, np.int64):
        inputs = prompt()
        inputs["decoder_token_ids"] = inputs["decoder_token_ids"].astype(kind)
        assert BARE.generate(inputs, stop_token_ids=None)["decoder_token_ids"].dtype == kind
    assert seen == [4, 4]


def test_stop_tokens_end_the_mask_but_not_in_the_prompt():
    inputs = prompt()
    free = BARE.generate(inputs, stop_token_ids=None)["decoder_token_ids"]
    stop = int(free[0, 4])
    inputs["decoder_token_ids"][0, 1] = stop  # what the prompt holds does not count
    free = BARE.generate(inputs, stop_token_ids=None)["decoder_token_ids"]
    assert stop in free[0, 2:].tolist()
    mask = BARE.generate(inputs, stop_token_ids=[stop])["decoder_padding_mask"]
    first = 2 + free[0, 2:].tolist().index(stop)
    assert mask[0].tolist() == [True] * (first + 1) + [False] * (8 - first)


def test_output_mask_by_hand():
    ids = np.array([[7, 0, 7, 3, 7], [7, 0, 1, 1, 1], [7, 7, 7, 7, 7]])
    is_prompt = np.array([[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    expected = [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]]
    assert output_mask(ids, is_prompt, 5, (7,)).tolist() == expected
    assert output_mask(ids, is_prompt, 5, None).all()
    assert output_mask(ids, is_prompt, 2, (7,)).all()  # a 7 behind what was generated is padding
    assert output_mask(ids, is_prompt, 5, (3, 1)).tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1] * 5]


@pytest.mark.parametrize("wrong", [3, [], (), "stop", [1.5], [[1, 2]], {1}, [True], np.zeros((1, 1), int)])
def test_wrong_stop_tokens(wrong):
    with pytest.raises(errors.StopTokenIdsError):
        LM.generate("a", stop_token_ids=wrong)


def test_stop_tokens_of_every_kind():
    assert resolve_stop_token_ids("auto", LM.preprocessor) == (2,)
    assert resolve_stop_token_ids([3, np.int64(4)], None) == (3, 4)
    assert resolve_stop_token_ids(np.array([5]), None) == (5,)
    with pytest.raises(errors.NoPreprocessorError):
        BARE.generate(prompt())


def test_output_has_the_form_of_the_input():
    one = LM.generate("air")
    assert isinstance(one, str)
    assert LM.generate(["air"]) == [one]
    assert LM.generate({"encoder_text": "air", "decoder_text": ""}) == one
    assert LM.generate({"encoder_text": "air", "decoder_text": [""]}) == [one]
    assert LM.generate({"encoder_text": ["air", "at"], "decoder_text": ["plane", ""]})[0].startswith("plane")


def test_the_callers_dictionary_stays_as_it_is():
    inputs = {"encoder_text": "air", "decoder_text": ["plane"]}
    LM.generate(inputs)
    assert inputs == {"encoder_text": "air", "decoder_text": ["plane"]}


def test_max_length_counts_start_tokens_and_prompt():
    text = {"encoder_text": ["air"], "decoder_text": ["planeplane"]}
    assert LM.generate("air", max_length=2) == ""
    with pytest.warns(errors.TruncationWarning):
        assert LM.generate("air", max_length=1) == ""
    with pytest.warns(errors.TruncationWarning):
        assert LM.generate(text, max_length=3) == ["plane"]
    assert LM.generate("air", max_length=0) == LM.generate("air")
    with pytest.raises(errors.SequenceLengthError, match="19 positions"):
        LM.generate("air", max_length=20)
    assert LM.generate("air", max_length=19).startswith(LM.generate("air"))


@pytest.mark.parametrize("wrong", [None, 3, [], [None], {"encoder_text": ["a"], "decoder_text": []}, object()])
def test_wrong_input_is_named(wrong):
    with pytest.raises(errors.RefimplError):
        LM.generate(wrong)


def test_no_row_is_refused():
    with pytest.raises(errors.RefimplError):
        BARE.generate({key: [] for key in prompt()}, stop_token_ids=None)


def test_twice_is_the_same():
    assert LM.generate(["air", "plane at"]) == LM.generate(["air", "plane at"])


def test_the_integer_type_comes_back():
    for dtype in (np.int32, np.int64):
        inputs = prompt() | {"decoder_token_ids": prompt()["decoder_token_ids"].astype(dtype)}
        assert BARE.generate(inputs, stop_token_ids=None)["decoder_token_ids"].dtype == dtype


@pytest.mark.parametrize(("size", "kind"), [(256, "uint8"), (257, "int32")])
def test_a_type_that_holds_the_last_id_is_kept(size, kind):
    assert prompt_of({"decoder_token_ids": np.zeros((1, 2), np.uint8)}, size).dtype == kind


def test_iterables_of_batches():
    alone = [LM.generate(text) for text in ("air", "at", "plane")]
    assert LM.generate(iter([["air", "at"], ["plane"]])) == alone
    assert LM.generate(row for row in [np.array([b"air", b"at"]), ("plane",)]) == alone
    assert LM.generate({"encoder_text": [t]} for t in ("air", "at", "plane")) == alone
    assert LM.generate({"encoder_text": t} for t in ("air", "at", "plane")) == alone
    for wrong in (iter([]), iter(["air"]), iter([3]), {"air"}):
        with pytest.raises(errors.RefimplError):
            LM.generate(wrong)


def test_iterables_of_token_dictionaries():
    whole = BARE.generate(prompt(), stop_token_ids=None)
    rows = ({key: value[row : row + 1] for key, value in prompt().items()} for row in range(3))
    parts = BARE.generate(rows, stop_token_ids=None)
    assert all((parts[key] == whole[key]).all() for key in whole)
    with pytest.raises(errors.InputError, match="widths"):
        BARE.generate(iter([prompt(), prompt(width=8)]), stop_token_ids=None)
    sizes = [prompt(), prompt(2, lengths=(2, 4))]
    assert BARE.generate(iter(sizes), stop_token_ids=None)["decoder_token_ids"].shape == (5, 9)


def test_what_a_sampler_is_told():
    """KerasHub's own arguments; a sampler of a user's may need each."""
    seen = {}

    class Spied(samplers.GreedySampler):
        def __call__(self, next, prompt, **more):
            seen.update(more)
            return super().__call__(next, prompt, **more)

    lm, inputs = seq2seq(preprocessor=False), prompt()
    lm.compile(sampler=Spied())
    lm.generate(inputs, stop_token_ids=(3, 5))
    assert (seen["index"], seen["stop_token_ids"], seen["model"]) == (2, (3, 5), lm)
    assert np.array_equal(seen["mask"], inputs["decoder_padding_mask"])
    assert seen["hidden_states"].shape == (3, 9, 12)
    assert seen["cache"] is not None


def test_a_generate_step_of_ones_own_need_not_know_of_assistants():
    class Own(BartSeq2SeqLM):
        def generate_step(self, inputs, stop_token_ids=None):
            return super().generate_step(inputs, stop_token_ids)

    own = Own(LM.backbone, LM.preprocessor)
    own.compile(sampler="greedy")
    assert own.generate("air") == LM.generate("air")


def test_tensors_of_a_framework_give_what_they_hold():
    class Tensor:
        def __init__(self, held):
            self.held = np.array(held, dtype=object)

        def numpy(self):
            return self.held

    assert LM.generate(Tensor(b"air")) == LM.generate("air")
    assert LM.generate(Tensor([b"air", b"at"])) == LM.generate(["air", "at"])


def test_strip_prompt():
    inputs = {"encoder_text": ["air", "at"], "decoder_text": ["plane", ""]}
    full, stripped = LM.generate(inputs), LM.generate(inputs, strip_prompt=True)
    assert full == ["plane" + stripped[0], stripped[1]]


def test_progress_is_shown_when_asked(capsys):
    LM.generate(iter([["air"], ["at"]]), verbose=True)
    assert "1/? batches" in capsys.readouterr().err
    LM.generate(["air"])
    assert not capsys.readouterr().err


def test_one_text_of_bytes_gives_one_text():
    assert LM.generate(b"air") == LM.generate("air")


@pytest.mark.parametrize(("is_terminal", "inputs", "shown"), [(True, 2, True), (True, 1, False), (False, 2, False)])
def test_progress_is_shown_on_a_terminal_where_there_are_several_batches(
    is_terminal, inputs, shown, capsys, monkeypatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    LM.generate(iter([["air"]] * inputs) if inputs > 1 else ["air"])
    assert ("generate: done" in capsys.readouterr().err) == shown


def test_trimming_leaves_a_column_where_all_is_padding():
    assert [part.shape for part in trim(np.ones((2, 3), int), np.zeros((2, 3), bool))] == [(2, 1), (2, 1)]


def test_trimming_keeps_gaps_in_the_source():
    ids, mask = trim(np.array([[5, 6, 7, 8]]), np.array([[True, False, True, False]]))
    assert (ids.tolist(), mask.tolist()) == ([[5, 6, 7]], [[True, False, True]])


def test_the_states_of_a_prompt_are_those_of_the_full_pass():
    inputs = batch(2, 6, 7, seed=4)
    _, states = prefill(BARE, BARE.backbone.checked(inputs), 3)
    full = BARE.backbone(inputs)["decoder_sequence_output"]
    assert states[:, :3] == pytest.approx(full[:, :3], rel=1e-4, abs=1e-5)
    assert not states[:, 3:].any()


@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_model_without_layers_generates(jit_compile):
    """Its states are its embeddings: each token depends on the one before and its place alone."""
    lm = seq2seq(preprocessor=False, num_layers=0)
    lm.compile(sampler="greedy", jit_compile=jit_compile)
    inputs = prompt()
    ids = lm.generate(inputs, stop_token_ids=None)["decoder_token_ids"]
    full = lm(inputs | {"decoder_token_ids": ids, "decoder_padding_mask": np.ones_like(ids)})
    assert (ids[:, 4:] == full.argmax(axis=-1)[:, 3:-1]).all()


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("sampler", ["greedy", "random", "beam", "contrastive"])
def test_weights_that_are_no_numbers_make_a_warning(sampler, jit_compile):
    lm = seq2seq(preprocessor=False)
    lm.compile(sampler=sampler, jit_compile=jit_compile)
    lm.backbone.params["token_embedding/embeddings"][0, 0] = np.nan
    with pytest.warns(errors.NotANumberWarning), np.errstate(all="ignore"):
        lm.generate(prompt(), stop_token_ids=None)
