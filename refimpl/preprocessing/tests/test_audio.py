"""Recordings: what the converter gives, what the preprocessor makes of it, and what is refused."""

import json
import warnings

import numpy as np
import pytest

import refimpl as keras_hub
from refimpl.errors import (
    AudioLengthWarning,
    ConfigError,
    InputError,
    InputTypeError,
    MissingInputError,
    SequenceLengthError,
)
from refimpl.models.moonshine.preprocessor import LONGEST, WINDOW, MoonshineAudioToTextPreprocessor
from refimpl.models.moonshine.tokenizer import MoonshineTokenizer
from refimpl.tests.pieces import digits

Converter = keras_hub.layers.MoonshineAudioConverter
SOUND = np.sin(0.05 * np.arange(2400) ** 1.1).astype(np.float32)


@pytest.fixture
def tokenizer():
    return MoonshineTokenizer(digits())


@pytest.fixture
def preprocessor(tokenizer):
    return MoonshineAudioToTextPreprocessor(Converter(), tokenizer, decoder_sequence_length=6)


def test_rectangles_and_lists_become_one_shape():
    both = Converter()([SOUND, SOUND[:1700, None]])
    assert both.shape == (2, 2400, 1)
    assert both.dtype == np.float32
    assert not both[1, 1700:].any()
    assert (Converter()(both[..., 0].astype(float)) == both).all()


@pytest.mark.parametrize(
    ("padding", "width"),
    [
        ({}, 2400),
        ({"pad_to_multiple_of": 1000}, 2400),
        ({"padding": "longest", "pad_to_multiple_of": 1000}, 3000),
        ({"padding": "longest", "pad_to_multiple_of": 0}, 2400),
        ({"padding": "max_length"}, 2400),
        ({"padding": "max_length", "max_length": 2001, "pad_to_multiple_of": 10}, 2010),
        ({"padding": "max_length", "max_length": 2400, "pad_to_multiple_of": 7}, 2401),
    ],
)
def test_padding(padding, width):
    padded = Converter(padding_value=0.5)(SOUND[None], **padding)[0, :, 0]
    assert len(padded) == width
    assert (padded[:2400] == SOUND[:width]).all()
    assert (padded[2400:] == 0.5).all()


@pytest.mark.parametrize("given", [-1, 1.5, True, "a", float("nan"), 10**30, [1]])
@pytest.mark.parametrize("name", ["max_length", "pad_to_multiple_of"])
def test_what_is_no_width_is_refused(given, name):
    with pytest.raises(SequenceLengthError, match=name):
        Converter()(SOUND[None], padding="max_length", **{name: given})


@pytest.mark.parametrize("given", [None, "a", [], [0.0, 0.0], 10**400, float("nan"), float("inf"), 1e39])
def test_what_is_no_padding_value_is_refused(given):
    with pytest.raises(ConfigError, match="padding_value"):
        Converter(padding_value=given)


@pytest.mark.parametrize("given", [None, "16000", 0, 16000.0, True])
def test_what_is_no_rate_is_refused(given):
    with pytest.raises(ConfigError, match="sampling_rate"):
        Converter(sampling_rate=given)


@pytest.mark.parametrize("given", [None, "no", 0])
def test_what_is_no_switch_is_refused(given):
    with pytest.raises(ConfigError, match="do_normalize"):
        Converter(do_normalize=given)


def test_a_key_that_no_converter_has_is_refused(preprocessor, tmp_path):
    preprocessor.save_to_preset(tmp_path / "saved")
    with pytest.raises(ConfigError, match="rate"):
        keras_hub.layers.AudioConverter.from_preset(tmp_path / "saved", rate=16_000)


def test_each_recording_of_a_list_is_normalized_by_itself():
    alone = Converter(do_normalize=True)([3 * SOUND[:1700] + 1])
    beside = Converter(do_normalize=True)([SOUND, 3 * SOUND[:1700] + 1], padding="longest")
    assert (beside[1, :1700] == alone[0]).all()
    assert abs(alone.mean()) < 1e-6
    assert abs(alone.std() - 1) < 1e-5


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (SOUND, "mono"),
        (np.stack([SOUND, SOUND], -1)[None], "channels"),
        ((SOUND * 32767).astype(np.int16)[None], "32768"),
        ([SOUND, ["a"]], "floating"),
        ([np.where(SOUND > 0.9, np.nan, SOUND)], "nan at sample"),
        (SOUND[None].astype(float) * 1e300, "inf at sample"),
        (SOUND[None, :0], "empty"),
        ([], "No recording"),
        (None, "mono"),
        ({"audio": SOUND}, "mono"),
    ],
)
def test_what_is_no_recording_is_refused(given, says):
    with pytest.raises((InputError, InputTypeError), match=says):
        Converter()(given)


def test_another_rate_is_refused_with_the_mend():
    with pytest.raises(InputError, match="Resample it to 16000"):
        Converter()(SOUND[None], sampling_rate=44100)


def test_unusual_lengths_warn():
    with pytest.warns(AudioLengthWarning, match="0.1 and 64"):
        Converter()(SOUND[None, :1000])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Converter()(SOUND[None])
        Converter(sampling_rate=1000)([np.ones(100), np.ones(64_000)])  # 0.1 and 64 seconds
    for samples in (99, 64_001):
        with pytest.warns(AudioLengthWarning, match=r"; (0.099 to 0.500|0.500 to 64.001) were") as caught:
            Converter(sampling_rate=1000)([np.ones(samples), np.ones(500)])
        assert caught[0].filename == __file__  # the caller's line


def test_training_inputs(preprocessor):
    inputs, labels, weights = preprocessor({"audio": [SOUND, SOUND[:1700]], "text": ["412", "7"]})
    assert inputs["decoder_token_ids"].tolist() == [[1, 7, 4, 5, 2, 0], [1, 10, 2, 0, 0, 0]]
    assert labels.tolist() == [[7, 4, 5, 2, 0, 0], [10, 2, 0, 0, 0, 0]]
    assert weights.sum(axis=1).tolist() == [4, 2]
    assert inputs["encoder_padding_mask"].sum(axis=1).tolist() == [2400, 1700]
    assert inputs["encoder_input_values"].shape == (2, 2400, 1)


def test_prompts(preprocessor):
    both = np.stack([SOUND, SOUND])
    assert preprocessor.generate_preprocess(both)["decoder_token_ids"].tolist() == [[1, 0, 0, 0, 0, 0]] * 2
    prompted = preprocessor.generate_preprocess({"audio": both, "text": "41"}, sequence_length=4)
    assert prompted["decoder_token_ids"].tolist() == [[1, 7, 4, 0]] * 2
    none = preprocessor.generate_preprocess({"audio": both, "text": None})
    assert none["decoder_padding_mask"].sum() == 2
    single = preprocessor.generate_preprocess({"audio": SOUND, "text": "41"})
    assert single["encoder_input_values"].shape == (2400, 1)
    assert single["decoder_token_ids"].shape == (6,)


@pytest.mark.parametrize(("texts", "error"), [(["1", "2", "3"], InputError), ([], InputError)])
def test_prompts_that_do_not_fit_are_refused(preprocessor, texts, error):
    with pytest.raises(error):
        preprocessor.generate_preprocess({"audio": np.stack([SOUND, SOUND]), "text": texts})


def test_missing_keys_are_named(preprocessor):
    with pytest.raises(MissingInputError, match="'audio'"):
        preprocessor.generate_preprocess({"text": "1"})
    with pytest.raises(MissingInputError, match="'text'"):
        preprocessor({"audio": SOUND})


@pytest.mark.parametrize("given", [None, 3.0, "a.wav", {}, [], [None], [{}], np.array(1.0)])
def test_what_is_no_batch_of_recordings_is_refused(preprocessor, given):
    for text in ("1", ["1"]):
        with pytest.raises((InputError, InputTypeError)):
            preprocessor.generate_preprocess({"audio": given, "text": text})
        with pytest.raises((InputError, InputTypeError)):
            preprocessor({"audio": given, "text": text})


def test_silence_within_a_recording_is_no_padding(preprocessor):
    rows = np.stack([SOUND, SOUND, 0 * SOUND])
    rows[0, 500:900] = rows[1, 1700:] = 0
    mask = preprocessor.generate_preprocess(rows)["encoder_padding_mask"]
    assert mask.sum(axis=1).tolist() == [2400, 1700, WINDOW]
    assert mask[0].all()
    assert preprocessor.generate_preprocess([0 * SOUND])["encoder_padding_mask"].all()


@pytest.mark.filterwarnings("ignore::refimpl.errors.AudioLengthWarning")
def test_too_short_and_too_long_is_refused(preprocessor):
    assert preprocessor.generate_preprocess(SOUND[:WINDOW])["encoder_padding_mask"].all()
    with pytest.raises(InputError, match="895"):
        preprocessor.generate_preprocess([SOUND, SOUND[: WINDOW - 1]])
    with pytest.raises(InputError, match="cut long ones"):
        preprocessor.generate_preprocess(np.zeros(LONGEST * 16_000 + 1, np.float32))


def test_a_recording_has_at_most_three_minutes(tokenizer):
    slow = MoonshineAudioToTextPreprocessor(Converter(sampling_rate=10), tokenizer, decoder_sequence_length=6)
    with pytest.warns(AudioLengthWarning):
        assert slow.generate_preprocess(np.ones(1800))["encoder_padding_mask"].all()
    with pytest.raises(InputError, match="at most 1800"):
        slow.generate_preprocess(np.ones(1801))


def test_padding_and_unknown_ids_are_no_text(preprocessor):
    preprocessor.tokenizer.load_extension({"added_tokens": {"<x>": 13}})  # the first id behind the model's pieces
    ids = np.array([[1, 5, 6, 2, 7, 0, 13, 99, -1]])
    assert preprocessor.generate_postprocess({"decoder_token_ids": ids, "decoder_padding_mask": ids < 100}) == ["234"]


def test_a_converter_is_saved_alone(tmp_path):
    Converter(padding_value=0.5).save_to_preset(tmp_path / "c")
    described = json.loads((tmp_path / "c" / "audio_converter.json").read_text())
    assert Converter.from_config(described["config"]).padding_value == 0.5


def test_configuration_and_files(preprocessor, tmp_path):
    config = preprocessor.get_config()
    assert config["audio_converter"]["config"]["sampling_rate"] == 16000
    assert "encoder_sequence_length" not in config
    again = MoonshineAudioToTextPreprocessor.from_config(config | {"tokenizer": preprocessor.tokenizer})
    assert again.get_config() == config
    preprocessor.audio_converter = Converter(do_normalize=True, padding_value=0.5)
    preprocessor.save_to_preset(tmp_path / "saved")
    converter = keras_hub.layers.AudioConverter.from_preset(tmp_path / "saved")
    assert type(converter) is Converter
    assert converter.do_normalize
    assert converter.padding_value == 0.5
    assert (tmp_path / "saved/assets/tokenizer/vocabulary.spm").is_file()
