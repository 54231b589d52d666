"""Moonshine's folders: KerasHub's and transformers', both ways."""

import io
import json

import numpy as np
import pytest
import sentencepiece

from refimpl import errors
from refimpl.models import AudioToText, MoonshineAudioToText, MoonshineTokenizer, Seq2SeqLM
from refimpl.models.moonshine.preprocessor import MoonshineAudioToTextPreprocessor
from refimpl.models.moonshine.transformers import FAMILY
from refimpl.models.tests.test_moonshine import KINDS, noise, wide
from refimpl.preprocessing.audio_converter import MoonshineAudioConverter
from refimpl.presets.folder import PresetFolder
from refimpl.presets.sentence_piece_bpe import proto_of_bpe

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "twelve", "twenty", "thirty", "hundred", "and"]


def tokenizer():
    """BPE with bytes for what it has no piece for, as Llama's."""
    lines, model = [" ".join(WORDS[n:] + WORDS[: n + 3]) for n in range(len(WORDS))], io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=320, model_type="bpe", byte_fallback=True,
        pad_id=-1, remove_extra_whitespaces=False, normalization_rule_name="identity", minloglevel=2,
    )  # fmt: skip
    return MoonshineTokenizer(model.getvalue())


def speaking(**changes):
    tokens = tokenizer()
    pre = MoonshineAudioToTextPreprocessor(MoonshineAudioConverter(), tokens, decoder_sequence_length=9)
    bare = wide(vocabulary_size=tokens.vocabulary_size(), encoder_num_heads=2, **changes)
    lm = MoonshineAudioToText(bare.backbone, pre)
    lm.compile(sampler="greedy")
    return lm


@pytest.mark.parametrize("kind", KINDS)
def test_a_preset_comes_back(kind, tmp_path):
    lm, inputs = wide(**KINDS[kind]), noise()
    lm.save_to_preset(tmp_path)
    for found in (AudioToText.from_preset(tmp_path), Seq2SeqLM.from_preset(tmp_path)):
        assert type(found) is MoonshineAudioToText
        assert np.array_equal(found(inputs), lm(inputs))
    assert json.loads((tmp_path / "metadata.json").read_text())["tasks"] == ["AudioToText"]


def test_a_type_may_be_a_name_and_is_not_written(tmp_path):
    """KerasHub writes a name, which it can't read; and can't read a policy either, so that none is written."""
    lm, inputs = wide(), noise()
    lm.save_to_preset(tmp_path)
    for name in ("config.json", "task.json"):
        content = json.loads((tmp_path / name).read_text())
        config = content["config"] if name == "config.json" else content["config"]["backbone"]["config"]
        assert config["dtype"] is None
        config["dtype"] = "float32"
        (tmp_path / name).write_text(json.dumps(content))
    assert np.array_equal(Seq2SeqLM.from_preset(tmp_path)(inputs), lm(inputs))


@pytest.mark.parametrize("wider", [{}, {"pad_head_dim_to_multiple_of": 4}])
def test_a_checkpoint_comes_back(wider, tmp_path):
    lm, inputs = wide("float64", encoder_num_heads=2, **wider), noise()
    lm.export_to_transformers(tmp_path)
    found = Seq2SeqLM.from_preset(tmp_path, preprocessor=None, dtype="float64")
    assert np.array_equal(found(inputs), lm(inputs))
    assert found.backbone.intermediate_dim == 36  # the width that is used


@pytest.mark.parametrize("change", [{"attention_bias": True}, {"encoder_use_swiglu_activation": True}, {}])
def test_what_transformers_has_no_word_for_is_not_exported(change, tmp_path):
    with pytest.raises(errors.ConfigError, match=next(iter(change), "encoder_num_heads")):
        wide(**change | ({"encoder_num_heads": 2} if change else {})).export_to_transformers(tmp_path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"encoder_num_attention_heads": 4}, "as many heads on both sides"),
        ({"decoder_num_key_value_heads": 4}, "a key and a value for each head"),
        ({"intermediate_size": 300}, "multiple of hidden_size"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "not scaled"),
        ({"partial_rotary_factor": 0.2}, "even number"),
        ({"encoder_hidden_act": "relu"}, "encoder_hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"hidden_size": "288"}, "multiple of hidden_size"),
        ({"hidden_size": 0}, "multiple of hidden_size"),
        ({"intermediate_size": 0}, "multiple of hidden_size"),
        ({"intermediate_size": -1152}, "multiple of hidden_size"),
        ({"intermediate_size": 1152.0}, "multiple of hidden_size"),
        ({"rope_scaling": {"type": "linear"}}, "not scaled"),
        ({"partial_rotary_factor": 0}, "even number"),
        ({"partial_rotary_factor": 1.5}, "even number"),
        ({"partial_rotary_factor": True}, "even number"),
        ({"head_dim": 34}, "head_dim"),
        ({"rope_parameters": "default"}, "not scaled"),
        ({"head_dim": "36"}, "head_dim"),
    ],
)
def test_checkpoints_that_keras_hub_has_no_number_for_are_refused(change, match):
    with pytest.raises(errors.ConfigError, match=match):
        FAMILY.backbone_config({"model_type": "moonshine"} | change, "config.json")


def test_the_released_configuration_is_read():
    """What the checkpoints of 2025 say: rotations at the top level, padded heads, which change no number."""
    given = {"partial_rotary_factor": 0.9, "pad_head_dim_to_multiple_of": 8, "max_position_embeddings": 194}
    found = FAMILY.backbone_config(given | {"rope_theta": 10000.0, "rope_scaling": None}, "config.json")
    expected = {"feedforward_expansion_factor": 4, "pad_head_dim_to_multiple_of": None, "partial_rotary_factor": 0.9}
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"partial_rotary_factor": 1}, {"partial_rotary_factor": 1}),
        ({"head_dim": 36}, {"pad_head_dim_to_multiple_of": None}),
        ({"head_dim": 40}, {"pad_head_dim_to_multiple_of": 40}),
        ({"hidden_size": 8, "intermediate_size": 8, "head_dim": 2}, {"feedforward_expansion_factor": 1}),
        ({"rope_parameters": {"rope_theta": 5.0, "rope_type": "default"}}, {"rope_theta": 5.0}),
    ],
)
def test_numbers_at_the_edges_are_read(change, expected):
    found = FAMILY.backbone_config({"partial_rotary_factor": 1.0} | change, "config.json")
    assert {key: found[key] for key in expected} == expected


def test_recordings_are_written_down_from_every_folder(tmp_path):
    lm, rng = speaking(), np.random.default_rng(0)
    sound = [rng.uniform(-0.5, 0.5, n) for n in (2000, 3000)]
    texts = lm.generate(sound)
    lm.save_to_preset(tmp_path / "preset")
    lm.export_to_transformers(tmp_path / "checkpoint")
    for folder in ("preset", "checkpoint"):
        found = AudioToText.from_preset(tmp_path / folder)
        found.compile(sampler="greedy")
        assert found.generate(sound, max_length=9) == texts
        assert [*found.generate([sound[1]], max_length=9)] == [*lm.generate({"audio": [sound[1]]})]
    assert "".join(lm.stream(sound[1])) == lm.generate(sound[1])


def test_bpe_is_read_from_json_alone(tmp_path):
    tokens = tokenizer()
    vocabulary = {tokens.id_to_token(id): id for id in range(tokens.vocabulary_size())}
    merges = []
    for piece in vocabulary:  # SentencePiece's ids are in the order of its merges
        halves = [(piece[:n], piece[n:]) for n in range(1, len(piece))]
        merges += [f"{a} {b}" for a, b in halves if a in vocabulary and b in vocabulary and not piece.startswith("<")]
    added = [{"content": piece, "id": n, "special": True} for n, piece in enumerate(("<unk>", "<s>", "</s>"))]
    space = "\N{LOWER ONE EIGHTH BLOCK}"
    steps = [{"type": "Prepend", "prepend": space}, {"type": "Replace", "content": space}]
    content = {
        "model": {"type": "BPE", "vocab": vocabulary, "merges": merges, "byte_fallback": True, "unk_token": "<unk>"},
        "added_tokens": added, "normalizer": {"type": "Sequence", "normalizers": steps},
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    found = MoonshineTokenizer(proto_of_bpe(PresetFolder(tmp_path)))
    for text in ("twenty three", "one  hundred", "hÿ"):
        assert list(found(text)) == list(tokens(text))
    assert found.start_token_id == 1
    for broken, error in (
        (content | {"normalizer": {"normalizers": steps[::-1]}}, errors.PresetJSONError),
        (content | {"normalizer": None, "pre_tokenizer": {"type": "ByteLevel", "replacement": ""}}, errors.ConfigError),
        (content | {"model": {"type": "BPE"}}, errors.PresetJSONError),
    ):
        (tmp_path / "tokenizer.json").write_text(json.dumps(broken))
        with pytest.raises(error):
            proto_of_bpe(PresetFolder(tmp_path))


def test_built_in_names_are_there():
    assert {name: entry["metadata"]["params"] for name, entry in AudioToText.presets.items()} == {
        "moonshine_tiny_en": 27092736, "moonshine_base_en": 61513920,
    }  # fmt: skip


def test_how_a_recording_is_written_down_is_explained():
    lm, sound = speaking(), np.random.default_rng(0).uniform(-0.5, 0.5, 2000)
    found = lm.explain(sound)
    assert found.input == "0.12 seconds of sound"
    assert found.output == lm.generate(sound)
    weights = found.attention
    assert [x.shape for x in (weights.encoder, weights.decoder, weights.cross)] == [
        (2, 2, 3, 3), (3, 2, 8, 8), (3, 2, 8, 3),
    ]  # fmt: skip
