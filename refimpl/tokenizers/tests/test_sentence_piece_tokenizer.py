"""SentencePiece. Expectations were printed by KerasHub 0.32 with the same model, or are worked by hand."""

import base64
import copy
import pickle

import numpy as np
import pytest

from refimpl import errors
from refimpl.presets.sentence_piece_file import NORMAL, WORD, model_file
from refimpl.tests.pieces import PIECES, T5_FRAME, trained, words
from refimpl.tokenizers import SentencePieceTokenizer, T5Tokenizer, Tokenizer
from refimpl.tokenizers.sentence_piece_model import SentencePieceModel, is_base64

TOK = T5Tokenizer(words())
LONG = model_file([*PIECES, *((f"▁{n}", -3.0, NORMAL) for n in range(150))], WORD, frame={"pad": 0, "eos": 1, "unk": 2})


def test_ids_are_the_models():
    assert TOK("the quick brown fox").tolist() == [4, 9, 5, 7]
    assert TOK(["the earth", "", b"is"]) == [[4, 6], [], [8]]
    assert TOK("  the   ROUND the round ").tolist() == [4, 2, 4, 10]
    assert TOK.get_vocabulary()[:5] == ["<pad>", "</s>", "<unk>", "[MASK]", "▁the"]


def test_control_pieces_in_text_are_text_and_the_users_are_found():
    assert TOK("</s> the").tolist() == [2, 4]
    assert TOK("<pad>").tolist() == [2]
    assert TOK("the [MASK] fox[MASK]").tolist() == [4, 2]  # a model of words knows words only
    assert TOK("<extra_id_0>").tolist() == [2]


def test_detokenize_as_keras_hub():
    assert TOK.detokenize([0, 4, 1, 2, 3]) == "the ⁇ [MASK]"
    assert TOK.detokenize([[4, 9], [], [2]]) == ["the quick", "", " ⁇ "]
    assert TOK.detokenize([]) == ""
    assert TOK.detokenize(4) == "the"


def test_ids_beyond_the_pieces_are_left_out_and_negative_ones_refused():
    """KerasHub ends in an IndexError, although T5's embedding has rows without pieces."""
    assert TOK.detokenize([4, 11, 32127, 9]) == "the quick"
    assert TOK.detokenize(np.array([[11], [4]])) == ["", "the"]
    with pytest.raises(errors.NegativeTokenIdError, match="unknown-id"):
        TOK.detokenize([4, -1])


def test_look_up():
    assert [TOK.token_to_id(t) for t in ("▁the", "zzz", "</s>", "▁fox".encode(), "")] == [4, 2, 1, 7, 2]
    assert (TOK.id_to_token(3), TOK.id_to_token(np.int32(10)), TOK.vocabulary_size()) == ("[MASK]", "▁round", 11)
    for id in (11, -1, True, "a", None):
        with pytest.raises(errors.UnknownTokenError, match=r"look-up|out of vocabulary"):
            TOK.id_to_token(id)
    with pytest.raises(errors.UnknownTokenError, match="sentence-piece.look-up"):
        TOK.token_to_id(3)


def test_special_tokens():
    assert (TOK.start_token, TOK.end_token, TOK.pad_token) == ("</s>", "</s>", "<pad>")
    assert (TOK.start_token_id, TOK.end_token_id, TOK.pad_token_id) == (1, 1, 0)
    assert (set(TOK.special_tokens), set(TOK.special_token_ids)) == ({"</s>", "<pad>"}, {0, 1})
    with pytest.raises(errors.ConfigError, match=r"`'</s>'`.*T5Tokenizer"):
        T5Tokenizer(trained(["a b c"], model_type="CHAR", vocab_size=7, eos_piece="<e>"))


def test_strings_show_what_has_no_piece():
    strings = T5Tokenizer(words(), dtype="string", add_eos=True)
    assert strings("the züg") == ["▁the", "▁züg", "</s>"]
    assert strings(["fox", ""]) == [["▁fox", "</s>"], ["</s>"]]
    assert T5Tokenizer(words(), dtype="string", sequence_length=2)(["fox", "the fox is"]) == [
        ["▁fox", "<pad>"],
        ["▁the", "▁fox"],
    ]


def test_sequence_length_and_frames():
    padded = T5Tokenizer(words(), sequence_length=3, add_eos=True)
    found = padded(["the", "the quick brown fox"])
    assert found.tolist() == [[4, 1, 0], [4, 9, 5]]
    assert (found.dtype, padded("the").shape) == (np.int32, (3,))
    framed = SentencePieceTokenizer(trained(["a b"], model_type="CHAR", vocab_size=6), add_bos=True, add_eos=True)
    assert [framed.id_to_token(i) for i in framed("a")] == ["<s>", "▁", "a", "</s>"]
    with pytest.raises(errors.ConfigError, match=r"bos.*bos-eos"):
        T5Tokenizer(words(), add_bos=True)("the")


def test_kinds_of_proto(tmp_path):
    path = tmp_path / "model.spm"
    path.write_bytes(words())
    for proto in (words(), path, str(path), base64.b64encode(LONG).decode()):
        assert T5Tokenizer(proto)("the").tolist() == [4]
    with pytest.raises(FileNotFoundError, match="nope"):
        T5Tokenizer("nope.spm")
    for wrong in (3, ["a"], {}):
        with pytest.raises(errors.InputTypeError, match="path, or the serialized model"):
            T5Tokenizer(wrong)
    for wrong in (b"", b"garbage", words()[:-9], words() + b"\x0a\xff", words().replace(b"fox", b"fo\xff")):
        with pytest.raises(errors.PresetUnreadableError, match="SentencePiece model"):
            T5Tokenizer(wrong)
    with pytest.raises(errors.PresetUnreadableError):
        T5Tokenizer(str(tmp_path))
    with pytest.raises(errors.PresetUnreadableError):
        T5Tokenizer("a\0b")


@pytest.mark.parametrize(("length", "is_model"), [(2048, False), (2052, True)])
def test_text_of_more_than_2048_characters_is_a_model(length, is_model):
    assert is_base64("A" * length) is is_model
    assert not is_base64("-" * length)


def test_normalizing_leaves_the_spaces():
    assert SentencePieceModel(trained(["a b"], model_type="CHAR", vocab_size=6)).normalize(" ﬁ  x ") == " fi  x "


def test_without_a_model_it_says_so():
    empty = SentencePieceTokenizer()
    for use in (empty, empty.detokenize, empty.id_to_token, empty.token_to_id):
        with pytest.raises(errors.ConfigError, match="No vocabulary has been set"):
            use([1] if use == empty.detokenize else "a")
    assert T5Tokenizer(None).end_token_id is None


def test_texts_that_are_none():
    for wrong in (3, None, [["a"]], ["a", 1]):
        with pytest.raises(errors.InputTypeError, match="tokenizers.input.types"):
            TOK(wrong)
    with pytest.raises(errors.InputError, match="surrogate"):
        TOK("a\ud800")


def test_round_trips(tmp_path):
    tok = T5Tokenizer(words(), add_eos=True)
    for other in (pickle.loads(pickle.dumps(tok)), copy.deepcopy(tok)):
        assert other("the fox").tolist() == [4, 7, 1]
    tok.save_to_preset(tmp_path / "p")
    assert (tmp_path / "p/assets/tokenizer/vocabulary.spm").read_bytes() == words()
    loaded = Tokenizer.from_preset(tmp_path / "p")
    assert (type(loaded), loaded.proto, loaded.add_eos) == (T5Tokenizer, words(), True)
    assert loaded.get_config() == tok.get_config()
    assert loaded.get_config()["proto"] is None


def test_a_configuration_names_no_file(tmp_path):
    """A stranger's tokenizer.json must not make us read other files."""
    (tmp_path / "model.spm").write_bytes(words())
    for proto in (str(tmp_path / "model.spm"), ["x"]):
        with pytest.raises(errors.UnsafePresetError, match="no-path-in-config"):
            T5Tokenizer.from_config(TOK.get_config() | {"proto": proto})
    for proto in (words(), base64.b64encode(LONG).decode()):
        assert T5Tokenizer.from_config({"proto": proto})("the").tolist() == [4]
    assert T5Tokenizer.from_config(TOK.get_config()).proto is None


def test_added_tokens_are_found_in_text(tmp_path):
    """By the rule that text between them is a text of its own.

    Thousands of texts were compared with transformers 4.57 (slow) and 5.23 on unigram models, which they need.
    """
    tok = T5Tokenizer(words())
    tok.load_extension({"added_tokens": {"<extra_id_0>": 110, "<extra_id_1>": 109, "</s>": 1}})
    assert tok("the<extra_id_0>fox <extra_id_1> </s>").tolist() == [4, 110, 7, 109, 1]
    assert tok.detokenize([4, 110, 7, 109, 111]) == "the<extra_id_0> fox<extra_id_1>"
    assert tok.detokenize([110, 7, 3, 109, 3, 7]) == "<extra_id_0> fox[MASK]<extra_id_1>[MASK] fox"
    assert (tok.token_to_id("<extra_id_1>"), tok.id_to_token(110)) == (109, "<extra_id_0>")
    tok.save_to_preset(tmp_path / "p")
    assert T5Tokenizer.from_preset(tmp_path / "p")("<extra_id_0>").tolist() == [110]
    assert T5Tokenizer(words(), dtype="string")("<extra_id_0>") == ["▁<extra_id_0>"]


def test_added_tokens_that_are_pieces_stay_what_they_are():
    tok = T5Tokenizer(words())
    tok.load_extension({"added_tokens": {"<pad>": 0, "</s>": 1}})
    assert tok("the<pad></s>").tolist() == [4, 0, 1]
    assert tok.detokenize([4, 1, 0, 7]) == "the fox"  # the model's control pieces are no text


def test_added_tokens_with_ids_that_can_not_be_are_left_out():
    tok = T5Tokenizer(words())
    for wrong in (-1, True, 1.0, "12"):
        tok.load_extension({"added_tokens": {"<x>": wrong}})
        assert tok("<x>").tolist() == [2]
    tok.load_extension({"added_tokens": ["<x>"]})
    assert tok("<x>").tolist() == [2]


@pytest.mark.parametrize("kind", ["UNIGRAM", "BPE"])
def test_byte_fallback_loses_nothing(kind):
    text = ["the quick brown fox jumps over the lazy dog", "naïve 12 the"]
    options = {"vocab_size": 300, "byte_fallback": True, "hard_vocab_limit": False, **T5_FRAME}
    proto = trained(text, model_type=kind, normalization_rule_name="identity", **options)
    tok = T5Tokenizer(proto)
    for given in ("the 😀 fox", "日本 dog\u0301"):
        assert tok.detokenize(tok(given)) == given
    first = tok("😀").tolist()
    assert "\ufffd" in tok.detokenize(first[:-1])
