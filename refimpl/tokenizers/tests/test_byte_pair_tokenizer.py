"""Byte-pair encoding. Expectations are worked by hand from the rules, or seen in KerasHub 0.32 and transformers 5."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl import errors
from refimpl.tests.tiny import MERGES, tokenizer, vocabulary
from refimpl.tokenizers import BytePairTokenizer
from refimpl.tokenizers.added_tokens import AddedTokens
from refimpl.tokenizers.byte_level import SPLIT_PATTERN, byte_to_character
from refimpl.tokenizers.merge import merge_word

TOK = tokenizer()


def test_byte_table_is_gpt2s():
    table = byte_to_character()
    assert len(set(table.values())) == 256
    assert (table[ord(" ")], table[ord("\n")], table[ord("A")], table[0xAD], table[0]) == ("Ġ", "Ċ", "A", "Ń", "Ā")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("it's we'll I'M", ["it", "'s", " we", "'ll", " I", "'", "M"]),
        ("I've you're he'd", ["I", "'ve", " you", "'re", " he", "'d"]),
        ("a  b", ["a", " ", " b"]),
        ("a \n b ", ["a", " \n", " b", " "]),
        ("x1 23,4!!", ["x", "1", " 23", ",", "4", "!!"]),
        ("é٣ ²", ["é", "٣", " ²"]),
    ],
)
def test_split(text, words):
    assert SPLIT_PATTERN.findall(text) == words


def test_merge_order_is_by_rank_then_from_the_left():
    ranks = {("a", "b"): 1, ("b", "c"): 0, ("a", "a"): 2}
    assert merge_word("abc", ranks) == ["a", "bc"]
    assert merge_word("aaa", ranks) == ["aa", "a"]
    assert merge_word("", ranks) == []


def test_merge_of_a_long_word_is_fast_enough():
    assert len(merge_word("ab" * 50_000, {("a", "b"): 0, ("ab", "ab"): 1})) == 25_000


def test_merges_stay_inside_words():
    tok = BytePairTokenizer(vocabulary() | {"aĠ": 900}, ["a Ġ"])
    assert [tok.id_to_token(i) for i in tok("a b")] == ["a", "Ġ", "b"]


def test_special_tokens_in_text_are_found_and_mask_is_text():
    assert TOK("air</s>air").tolist() == [TOK.token_to_id("air"), 2, TOK.token_to_id("air")]
    assert len(TOK("<mask>")) == 6
    assert TOK("<s><pad>").tolist() == [0, 1]


def test_output_types():
    assert TOK(" air").dtype == np.int32
    assert TOK([" air", ""]) == [[TOK.token_to_id("Ġair")], []]
    assert tokenizer(sequence_length=3)([" air"]).tolist() == [[TOK.token_to_id("Ġair"), 1, 1]]
    assert tokenizer(dtype="string")([" airat"]) == [["Ġair", "at"]]
    assert tokenizer(add_prefix_space=True)("air").tolist() == TOK(" air").tolist()


@pytest.mark.parametrize("wrong", [None, 3, ["a", 3], [["a"]], np.array([1]), np.zeros(0), {"a": "b"}])
def test_wrong_input(wrong):
    with pytest.raises(errors.InputTypeError, match=r"Input should be a string"):
        TOK(wrong)


def test_lone_surrogate_and_bad_bytes_are_named():
    with pytest.raises(errors.InputError, match="surrogate"):
        TOK("a\ud800")
    with pytest.raises(errors.InputTypeError, match="UTF-8"):
        TOK(b"\xff")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_round_trip(text):
    assert TOK.detokenize(TOK(text)) == text or any(special in text for special in TOK.special_tokens)


def test_detokenize():
    air = TOK.token_to_id("Ġair")
    assert TOK.detokenize([0, air, 2, 1]) == "<s> air</s><pad>"
    assert TOK.detokenize([[], [air]]) == ["", " air"]
    assert TOK.detokenize([]) == ""
    assert TOK.detokenize(np.array([[air, 10**6]])) == [" air"]
    euro = [TOK.token_to_id(c) for c in ("â", "Ĥ", "¬")]
    assert TOK.detokenize(euro) == "€"
    assert TOK.detokenize(euro[:2]) == "�"
    with pytest.raises(OverflowError):
        TOK.detokenize([-1])
    with pytest.raises(errors.InputTypeError):
        TOK.detokenize("air")


def test_vocabulary_is_checked():
    words = vocabulary()
    with pytest.raises(errors.ConfigError, match="special token `'<pad>'`"):
        type(TOK)({k: v for k, v in words.items() if k != "<pad>"}, MERGES)
    with pytest.raises(errors.ConfigError, match="Merge rule 'xyz a'"):
        type(TOK)(words, ["xyz a"])
    with pytest.raises(errors.ConfigError, match="No vocabulary"):
        BytePairTokenizer()("a")
    for wrong in ({"vocabulary": [1], "merges": []}, {"merges": MERGES}):
        with pytest.raises(errors.ConfigError, match="Vocabulary must be"):
            BytePairTokenizer(**wrong)
    with pytest.raises(errors.ConfigError, match="Merges must be"):
        BytePairTokenizer(words)
    for tokens in ([""], ["<mask>", ""], [3], "<mask>"):
        with pytest.raises(errors.ConfigError, match="unsplittable_tokens"):
            tokenizer(unsplittable_tokens=tokens)
    with pytest.raises(ValueError, match="not in the vocabulary"):
        TOK.token_to_id("zzzz")
    with pytest.raises(ValueError, match="out of vocabulary"):
        TOK.id_to_token(99_999)
    with pytest.raises(errors.ConfigError, match="Output dtype"):
        tokenizer(dtype="float32")


def test_bytes_without_token_are_left_out():
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "a": 3, "b": 4, "ab": 5}
    assert type(TOK)(words, ["a b"])("a?b").tolist() == [3, 4]
    assert type(TOK)(words, ["a b"])("aéb").tolist() == [5]  # one word: what is left stands side by side


def test_keras_hubs_documented_vocabulary_works():
    """The example of `BartSeq2SeqLM`; KerasHub 0.32 itself refuses it, as its merges' parts are no tokens."""
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "Ġafter": 5, "noon": 6, "Ġsun": 7}
    rules = ["Ġ a", "Ġ s", "Ġ n", "e r", "n o", "o n", "Ġs u", "Ġa f", "no on", "Ġsu n", "Ġaf t", "Ġaft er"]
    tok = type(TOK)(words, rules)
    assert tok([" afternoon sun", "noon sun"]) == [[5, 6, 7], [6, 7]]
    assert tok.detokenize([5, 6, 7]) == " afternoon sun"


def test_a_prefix_space_is_added_where_there_is_a_text_without_one():
    tok = tokenizer(add_prefix_space=True)
    texts = ["air", " air", "  air", ""]
    assert [[tok.id_to_token(i) for i in ids] for ids in tok(texts)] == [["Ġair"], ["Ġair"], ["Ġ", "Ġair"], []]


def test_of_two_unsplittable_tokens_the_longer_one_is_found():
    words = vocabulary() | {"<x>": 900, "<x>y": 901}
    for order in (["<x>", "<x>y"], ["<x>y", "<x>"]):
        tok = BytePairTokenizer(words, MERGES, unsplittable_tokens=order)
        assert tok("a<x>yb<x>").tolist() == [words["a"], 901, words["b"], 900]


def test_an_unsplittable_token_that_is_no_token_is_text():
    tok = BytePairTokenizer(vocabulary(), MERGES, unsplittable_tokens=["<zz>"])
    assert tok("a<zz>b").tolist() == TOK("a<zz>b").tolist()
    assert tok.detokenize(tok("a<zz>b")) == "a<zz>b"


def test_a_token_that_is_normalized_is_found_in_what_the_text_becomes():
    """By transformers' rules: the text is normalized between the other tokens, and so is the token."""
    found = AddedTokens(["B", "<X>"], {"B": frozenset({"normalized"})}, str.lower).split("AB<X>b")
    assert list(found) == [("a", False), ("B", True), ("<X>", True), ("B", True)]


def test_each_byte_has_a_character_of_its_own():
    assert sorted(byte_to_character()) == list(range(256))
    assert len(set(byte_to_character().values())) == 256


def test_a_token_of_other_characters_is_text_as_it_stands():
    assert BytePairTokenizer({"a": 0, "日 本": 1}, []).detokenize([0, 1]) == "a日 本"


def test_a_vocabulary_needs_no_token_0():
    assert BytePairTokenizer({"a": 1, "b": 2}, [], dtype="string")("ab") == ["a", "b"]
    with pytest.raises(errors.ConfigError, match="different whole numbers"):
        BytePairTokenizer({"a": 1, "b": 1}, [])


def test_a_token_that_must_be_a_word_stands_alone():
    """transformers' `single_word`: no letter, digit or underscore may touch it."""
    found = AddedTokens(["<x>"], {"<x>": frozenset({"single_word"})}).split("<x> <x>,b<x> <x>c <x>")
    assert list(found) == [
        ("<x>", True), (" ", False), ("<x>", True), (",b<x> <x>c ", False), ("<x>", True),
    ]  # fmt: skip


def test_a_sequence_length_keeps_the_beginning():
    a, b = TOK.token_to_id("a"), TOK.token_to_id("b")
    assert tokenizer(sequence_length=2)(["abc", "a"]).tolist() == [[a, b], [a, 1]]
    assert tokenizer(sequence_length=0)(["ab", "a"]) == [[a, b], [a]]  # 0 is none, as in KerasHub
