"""SentencePiece of refimpl beside KerasHub's and transformers', on models trained here and on adversarial texts."""

import json
import unicodedata
from pathlib import Path

import pytest

from conformance.tests.adversarial_texts import texts
from refimpl.models import T5Tokenizer
from refimpl.tests.pieces import T5_FRAME, trained

LICENSE = Path(__file__).parents[2] / "LICENSE"
TEXTS = texts(3000)
MODELS = {
    "unigram": {"model_type": "unigram", "vocab_size": 300, "normalization_rule_name": "nmt_nfkc"},
    "user": {"model_type": "unigram", "vocab_size": 300, "user_defined_symbols": ["[MASK]", "<b>"]},
    "folded": {"model_type": "unigram", "vocab_size": 300, "normalization_rule_name": "nmt_nfkc_cf"},
    "bytes": {"model_type": "unigram", "vocab_size": 560, "byte_fallback": True},
    "bpe": {"model_type": "bpe", "vocab_size": 560, "byte_fallback": True, "normalization_rule_name": "identity"},
    "spaces": {"model_type": "bpe", "vocab_size": 300, "remove_extra_whitespaces": False, "add_dummy_prefix": False},
    "char": {"model_type": "char", "vocab_size": 100},
    "word": {"model_type": "word", "vocab_size": 200},
}


def model(name):
    lines = [line for line in LICENSE.read_text(encoding="utf-8").splitlines() if line.strip()]
    return trained(
        [*lines, *["naïve café 日本 привет 3.50 <b>"] * 3], hard_vocab_limit=False, **MODELS[name], **T5_FRAME
    )


@pytest.mark.peers
@pytest.mark.parametrize("name", MODELS)
def test_keras_hub_gives_the_same(name):
    keras_hub = pytest.importorskip("keras_hub")
    proto = model(name)
    ours, theirs = T5Tokenizer(proto), keras_hub.models.T5Tokenizer(proto)
    ids = ours(TEXTS)
    assert ids == theirs(TEXTS)
    assert ours.detokenize(ids) == theirs.detokenize(ids)
    strings = keras_hub.models.T5Tokenizer(proto, dtype="string")
    assert T5Tokenizer(proto, dtype="string")(TEXTS) == strings(TEXTS)


@pytest.mark.peers
def test_transformers_gives_the_same_but_for_what_it_reads_otherwise(tmp_path):
    """transformers 5 has tables of its own: it splits at control characters, keeps U+2581, and normalizes by grapheme.

    (A grapheme of several characters is looked up as a whole: tokenizers, issue 2116.)
    """
    hub = pytest.importorskip("transformers")
    proto = model("unigram")
    (tmp_path / "spiece.model").write_bytes(proto)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 100}))
    theirs, ours = hub.T5Tokenizer.from_pretrained(str(tmp_path)), T5Tokenizer(proto)
    sentinels = {f"<extra_id_{n}>": ours.vocabulary_size() + 99 - n for n in range(100)}
    ours.load_extension({"added_tokens": {"</s>": 1, "<unk>": 2, "<pad>": 0, **sentinels}})
    plain = [text for text in TEXTS if not _read_otherwise(text)]
    assert len(plain) > 1000
    for text in plain:
        assert ours(text).tolist() == theirs(text, add_special_tokens=False)["input_ids"], ascii(text)


def _read_otherwise(text):
    """Control and format characters, U+2581, and marks that join what is before them."""
    kinds = {unicodedata.category(c) for c in text if c not in "\t\n\r"}
    joining = any("\u1100" <= c <= "\u11ff" or "\ufe00" <= c <= "\ufe0f" for c in text)
    return joining or "\u2581" in text or bool(kinds & {"Mn", "Mc", "Me", "Cf", "Co", "Cn", "Cc"})
