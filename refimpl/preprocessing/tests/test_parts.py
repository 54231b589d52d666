"""Names, lengths and files that preprocessors, tokenizers and converters keep."""

import numpy as np
import pytest

from refimpl import layers, models
from refimpl.errors import ConfigError, PresetError
from refimpl.preprocessing.arguments import LONGEST, length_of
from refimpl.presets.sentence_piece_file import CONTROL, NORMAL, UNKNOWN, WORD, model_file
from refimpl.tests import speech, tiny
from refimpl.tests.pieces import digits, words


def gemma_words():
    """A model of two words with T5Gemma's frame."""
    pieces = [("<pad>", 0.0, CONTROL), ("<eos>", 0.0, CONTROL), ("<bos>", 0.0, CONTROL), ("<unk>", 0.0, UNKNOWN)]
    pieces += [("▁the", -2.0, NORMAL), ("▁fox", -2.0, NORMAL)]
    return model_file(pieces, WORD, frame={"pad": 0, "eos": 1, "bos": 2, "unk": 3})


def test_the_longest_length_is_taken_and_one_more_is_refused():
    assert length_of(2**20, 7, "sequence_length") == LONGEST == 2**20
    assert tiny.tokenizer(sequence_length=2**20).sequence_length == 2**20
    with pytest.raises(ValueError, match="1048577"):
        tiny.tokenizer(sequence_length=2**20 + 1)
    for given, default in ((2**20 + 1, 7), (None, 2**20 + 1), (None, 0), (0, 0)):
        with pytest.raises(ValueError, match=f"sequence_length={given or default}"):
            length_of(given, default, "sequence_length")


def test_names_and_flags_come_back_from_a_configuration():
    converter, tokenizer = layers.MoonshineAudioConverter(), models.MoonshineTokenizer(digits())
    heard = models.MoonshineAudioToTextPreprocessor(converter, tokenizer, name="heard", trainable=False)
    assert (heard.name, heard.trainable) == ("heard", False)
    plain = tiny.seq2seq().preprocessor
    assert (plain.name, plain.trainable) == ("BartSeq2SeqLMPreprocessor", True)
    assert tiny.seq2seq().name == "BartSeq2SeqLM"
    gemma = models.T5GemmaTokenizer(gemma_words(), sequence_length=9, name="words")
    assert (gemma.sequence_length, gemma.name) == (9, "words")
    assert layers.MoonshineAudioConverter(name="ears").name == "ears"
    for name, expected in (("mine", "mine"), (None, "T5Preprocessor")):
        alone = models.T5Preprocessor(models.T5Tokenizer(words()), name=name)
        assert (alone.name, alone.trainable, alone.sequence_length) == (expected, True, 256)


def test_default_lengths_are_keras_hubs():
    converter, tokenizer = layers.MoonshineAudioConverter(), models.MoonshineTokenizer(digits())
    for preprocessor, length in (
        (models.BartSeq2SeqLMPreprocessor(tiny.tokenizer()), 1024),
        (models.T5Seq2SeqLMPreprocessor(models.T5Tokenizer(words())), 1024),
        (models.T5GemmaSeq2SeqLMPreprocessor(models.T5GemmaTokenizer(gemma_words())), 512),
        (models.MoonshineAudioToTextPreprocessor(converter, tokenizer), 1024),
    ):
        assert preprocessor.decoder_sequence_length == length
        assert preprocessor.encoder_sequence_length == length


def test_a_packer_without_values_only_pads():
    packer = layers.StartEndPacker(3)
    assert (packer.name, layers.StartEndPacker(3, name="mine").name) == ("start_end_packer", "mine")
    for ids, expected in (([5], [5, 0, 0]), ([[5]], [[5, 0, 0]]), ([], [0, 0, 0])):
        assert packer(ids).tolist() == expected
    assert packer(["a"]) == ["a", "", ""]
    with pytest.raises(ConfigError, match="padding_side"):
        layers.StartEndPacker(3, padding_side="left")


def test_silence_and_near_silence_are_numbers():
    """`(x - mean) / sqrt(variance + 1e-7)`, worked by hand."""
    convert = layers.MoonshineAudioConverter(do_normalize=True)
    assert np.isfinite(convert([np.zeros(2000, np.float32)])).all()
    quiet = np.float32([3e-4, -3e-4] * 1000)
    found = np.asarray(convert([quiet]))[0, :, 0]
    np.testing.assert_allclose(found, quiet / np.sqrt(9e-8 + 1e-7), rtol=1e-4)


def test_assets_of_a_preset_are_read_into_a_tokenizer(tmp_path):
    tiny.seq2seq().save_to_preset(tmp_path / "p")
    other = tiny.tokenizer()
    other.load_preset_assets(tmp_path / "p")
    assert other.get_vocabulary() == tiny.tokenizer().get_vocabulary()
    fresh = models.BartTokenizer(vocabulary={"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4}, merges=[])
    fresh.load_preset_assets(tmp_path / "p")
    assert fresh.vocabulary_size() == tiny.tokenizer().vocabulary_size()


def test_a_preprocessor_of_a_class_that_is_not_known_is_refused(tmp_path):
    tiny.seq2seq().save_to_preset(tmp_path / "p")
    file = tmp_path / "p" / "preprocessor.json"
    file.write_text(file.read_text().replace("BartSeq2SeqLMPreprocessor", "Mine"))
    with pytest.raises(PresetError, match="names the class 'keras_hub>Mine'"):
        models.Seq2SeqLMPreprocessor.from_preset(tmp_path / "p")


def test_a_converter_that_is_saved_says_what_it_was(tmp_path):
    speech.task().save_to_preset(tmp_path / "p")
    found = models.MoonshineAudioToTextPreprocessor.from_preset(tmp_path / "p")
    assert found.audio_converter.get_config()["sampling_rate"] == 16_000


def test_parts_that_are_passed_are_taken_and_not_a_presets(tmp_path):
    """Source: keras-hub 0.32.0 preprocessor.py, `_add_missing_kwargs`."""
    tiny.seq2seq().save_to_preset(tmp_path / "p")
    own = tiny.tokenizer(name="own")
    assert models.BartSeq2SeqLMPreprocessor.from_preset(tmp_path / "p", tokenizer=own).tokenizer is own
