"""Tokens that people added to a checkpoint: found in text with their ids, saved, exported, and never lost.

Expected ids are those of transformers 5.23 for the same folders, unless a test says otherwise.
"""

import json
import pickle
import random
import shutil
from pathlib import Path

import pytest

from refimpl.errors import ConfigError, PresetJSONError, TokenIdError
from refimpl.models import BartTokenizer, Seq2SeqLM, T5Tokenizer
from refimpl.presets.tests.folders import edit_json

GOLDEN = Path(__file__).parents[3] / "golden" / "presets"
A, B, SPACE, T5_A, T5_B, T5_SPACE = 67, 68, 223, 21, 61, 5
FLAGS = ("lstrip", "rstrip", "normalized", "single_word")


def token(content, **flags):
    return {"content": content, "special": True, **dict.fromkeys(FLAGS, False), **flags}


def bart(path, config=None, **files):
    """A folder as a slow tokenizer saved it: 287 tokens, `<mask>` among them."""
    path.mkdir()
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(GOLDEN / "bart_transformers" / name, path)
    return written(path, "bart", {"tokenizer_class": "BartTokenizer", "unk_token": "</s>", **(config or {})}, files)


def t5(path, config=None, **files):
    """331 pieces, and no sentinels unless the configuration asks for some."""
    path.mkdir()
    shutil.copy(GOLDEN / "t5_tiny" / "assets" / "tokenizer" / "vocabulary.spm", path / "spiece.model")
    return written(path, "t5", {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, **(config or {})}, files)


def written(path, kind, config, files):
    (path / "config.json").write_text(json.dumps({"model_type": kind}))
    for name, content in {"tokenizer_config": config, **files}.items():
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


def everywhere(cls, folder):
    """The tokenizer of a folder, saved and exported and loaded again."""
    tokenizer = cls.from_preset(folder)
    tokenizer.save_to_preset(folder / "saved")
    tokenizer.export_to_transformers(folder / "exported")
    for name in ("saved", "exported"):
        if name == "exported":
            shutil.copy(folder / "config.json", folder / name)
        yield cls.from_preset(folder / name)
    yield tokenizer


IDS = {"[A]": 287, "[B]": 288}
LISTED = {str(id): token(text) for text, id in IDS.items()}
FORMS = {
    "ids": {"added_tokens": IDS},
    "ids and names": {"added_tokens": IDS, "special_tokens_map": {"additional_special_tokens": list(IDS)}},
    "decoder": {"config": {"added_tokens_decoder": LISTED}},
    "decoder and ids": {"config": {"added_tokens_decoder": LISTED}, "added_tokens": IDS},
    "names": {"special_tokens_map": {"cls_token": "[B]", "sep_token": token("[A]")}},
    "extra": {"config": {"extra_special_tokens": {"one": "[A]", "two": "[B]"}}},
    "additional": {"config": {"additional_special_tokens": ["[A]", "[B]"]}},
    "roles": {"config": {"first_token": "[A]", "second_token": "[B]"}},
}


@pytest.mark.parametrize("form", FORMS)
def test_bart_finds_them_whatever_file_names_them(form, tmp_path):
    for tokenizer in everywhere(BartTokenizer, bart(tmp_path / "t", **FORMS[form])):
        assert tokenizer("a [A] b[B]").tolist() == [A, SPACE, 287, SPACE, B, 288]
        assert tokenizer.detokenize([A, 288]) == "a[B]"


@pytest.mark.parametrize("form", FORMS)
def test_t5_finds_them_whatever_file_names_them(form, tmp_path):
    text = json.dumps(FORMS[form]).replace("287", "331").replace("288", "332")
    for tokenizer in everywhere(T5Tokenizer, t5(tmp_path / "t", **json.loads(text))):
        assert tokenizer("a [A] b[B]").tolist() == [T5_A, 331, T5_SPACE, T5_B, 332]
        assert tokenizer.detokenize([T5_A, 332]) == "a[B]"


def test_sentinels_stand_before_them(tmp_path):
    folder = t5(tmp_path / "t", {"extra_ids": 3, "sep_token": "[S]"}, added_tokens={"[A]": 334})
    for tokenizer in everywhere(T5Tokenizer, folder):
        assert tokenizer("a <extra_id_0>[A][S]<extra_id_2>").tolist() == [T5_A, 333, 334, 335, 331]


def test_ids_that_leave_a_gap_are_kept(tmp_path):
    """transformers 5.23 counts through and gives 331; the model was trained with the id in the file.

    The export fills the gap, so that transformers gives 346 too.
    """
    for tokenizer in everywhere(T5Tokenizer, t5(tmp_path / "t", added_tokens={"[A]": 346, "\n": 345})):
        assert tokenizer("a [A]\nb").tolist() == [T5_A, 346, 345, T5_SPACE, T5_B]
    assert len(json.loads((tmp_path / "t/exported/tokenizer_config.json").read_text())["added_tokens_decoder"]) == 19


FLAGGED = {
    "287": token("[L]", lstrip=True),
    "288": token("[R]", rstrip=True),
    "289": token("word", single_word=True),
    "290": token("\n"),
}


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a  [L] b", [A, 287, SPACE, B]),
        ("a [R]  b", [A, SPACE, 288, B]),
        ("[R]\n a", [288, 290, 263]),  # " a" is one token
        ("[R] [L][R]", [288, 287, 288]),
        ("word b", [289, SPACE, B]),
        ("a\u00a0[L]", [A, 287]),
        ("", []),
    ],
)
def test_flags_of_bart(text, ids, tmp_path):
    for tokenizer in everywhere(BartTokenizer, bart(tmp_path / "t", {"added_tokens_decoder": FLAGGED})):
        assert tokenizer(text).tolist() == ids
        assert not {289} & set(tokenizer("words sword word_ wordword éword").tolist())


def test_flags_of_t5(tmp_path):
    listed = {"331": token("[N]", normalized=True), "332": token("[E]"), "333": token("ab", rstrip=True)}
    for tokenizer in everywhere(T5Tokenizer, t5(tmp_path / "t", {"added_tokens_decoder": listed})):
        assert tokenizer("a［N］b").tolist() == [T5_A, 331, T5_SPACE, T5_B]  # wide brackets, which the model folds
        assert 332 not in tokenizer("a［E］b").tolist()
        assert tokenizer("ab  ab").tolist() == [333, 333]
        assert pickle.loads(pickle.dumps(tokenizer))("a［N］").tolist() == [T5_A, 331]


def test_a_line_break_is_one_whatever_the_model_makes_of_it(tmp_path):
    """In transformers 5.23 each space becomes this token, as its normalizer folds both; slow tokenizers did not."""
    for tokenizer in everywhere(T5Tokenizer, t5(tmp_path / "t", added_tokens={"\n": 331})):
        assert tokenizer("a\nb").tolist() == [T5_A, 331, T5_SPACE, T5_B]
        assert 331 not in tokenizer("a b").tolist()


def test_tokens_that_are_not_special_stay_so(tmp_path):
    """transformers leaves special tokens out of decoded text, and must not leave out the others."""
    folder = bart(tmp_path / "t", {"added_tokens_decoder": {"287": token("[A]", special=False, normalized=True)}})
    BartTokenizer.from_preset(folder).export_to_transformers(tmp_path / "x")
    (added,) = (t for t in json.loads((tmp_path / "x/tokenizer.json").read_text())["added_tokens"] if t["id"] == 287)
    assert added == {"id": 287, **token("[A]", special=False, normalized=True)}


def test_an_older_preset_of_ours(tmp_path):
    BartTokenizer.from_preset(bart(tmp_path / "t", {"added_tokens_decoder": FLAGGED})).save_to_preset(tmp_path / "p")
    edit_json(tmp_path / "p/tokenizer.json", lambda c: c.update(refimpl={"lstrip_tokens": ["[L]"]}))
    assert BartTokenizer.from_preset(tmp_path / "p")("a [L]").tolist() == [A, 287]


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"config": {"added_tokens_decoder": {"287": token("[A]")}}, "added_tokens": {"[A]": 288}}, ConfigError),
        ({"added_tokens": {"[A]": 287, "[B]": 287}}, ConfigError),
        ({"added_tokens": {"a": 300}}, ConfigError),  # which the vocabulary has
        ({"added_tokens": {"[A]": "287"}}, PresetJSONError),
        ({"added_tokens": {"[A]": -1}}, PresetJSONError),
        ({"added_tokens": {"[A]": 2**40}}, PresetJSONError),
        ({"vocab": {"[A]": [1]}, "added_tokens": {"[A]": 1}}, ConfigError),
        ({"config": {"added_tokens_decoder": {"9" * 5000: token("[A]")}}}, PresetJSONError),
        ({"config": {"added_tokens_decoder": []}}, PresetJSONError),
        ({"config": {"added_tokens_decoder": {"x": token("[A]")}}}, PresetJSONError),
        ({"config": {"added_tokens_decoder": {"287": "[A]", "288": 3}}}, PresetJSONError),
        ({"config": {"additional_special_tokens": "[A]"}}, PresetJSONError),
        ({"config": {"additional_special_tokens": [""]}}, PresetJSONError),
    ],
)
def test_files_that_contradict_each_other(files, error, tmp_path):
    with pytest.raises(error):
        BartTokenizer.from_preset(bart(tmp_path / "t", **files))


def test_a_token_in_the_place_of_a_piece_is_not_exported(tmp_path):
    tokenizer = T5Tokenizer.from_preset(t5(tmp_path / "t", added_tokens={"[A]": T5_B}))
    assert tokenizer("a[A]").tolist() == [T5_A, T5_B]
    with pytest.raises(ConfigError, match=r"\[A\]"):
        tokenizer.export_to_transformers(tmp_path / "x")


def test_a_token_beyond_the_table_is_refused_when_it_is_used(tmp_path):
    """huggingface/transformers#4568: bart-large-cnn's table has one row fewer than its tokenizer has tokens."""
    shutil.copytree(GOLDEN / "bart_transformers", tmp_path / "t")
    (tmp_path / "t/added_tokens.json").write_text(json.dumps({"[A]": 287}))
    lm = Seq2SeqLM.from_preset(tmp_path / "t")
    lm.save_to_preset(tmp_path / "k")
    lm.export_to_transformers(tmp_path / "x")
    for name in ("t", "k", "x"):
        lm = Seq2SeqLM.from_preset(tmp_path / name)
        assert isinstance(lm.generate("a", max_length=5), str)
        with pytest.raises(TokenIdError, match="287"):
            lm.generate("a [A]", max_length=5)


@pytest.mark.peers
@pytest.mark.parametrize("seed", range(8))
def test_transformers_gives_the_same_ids_before_and_after_an_export(seed, tmp_path):
    hub = pytest.importorskip("transformers")
    rng = random.Random(seed)
    words = ["[A]", "word", "[B] x", "né", "]]", "<e>"]
    letters = [*words, *words, " ", "  ", "a", "b", "_", "\t", " the", "d", "é", "[", "\u00a0"]
    texts = ["".join(rng.choices(letters, k=rng.randrange(1, 9))) for _ in range(60)]
    for cls, make, first in ((BartTokenizer, bart, 287), (T5Tokenizer, t5, 331)):
        flags = [{flag: rng.random() < 0.4 for flag in (*FLAGS, "special")} for _ in words]
        listed = {str(first + n): token(word, **flags[n]) for n, word in enumerate(words)}
        folder = make(tmp_path / cls.__name__, {"added_tokens_decoder": listed, "mask_token": None})
        ours = list(everywhere(cls, folder))
        hub.AutoTokenizer.from_pretrained(folder).save_pretrained(folder / "json")  # as transformers 5 saves it
        shutil.copy(folder / "config.json", folder / "json")
        ours.append(cls.from_preset(folder / "json"))
        for place in (folder, folder / "exported", folder / "json"):
            theirs = hub.AutoTokenizer.from_pretrained(place)
            for text in texts:
                wanted = theirs(text, add_special_tokens=False)["input_ids"]
                assert all(tokenizer(text).tolist() == wanted for tokenizer in ours), (place.name, text)
