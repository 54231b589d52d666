"""`generate` on the datasets and tensors of other libraries. Run in an environment that has them: `pytest -m peers`."""

import pytest

from refimpl.tests.tiny import seq2seq

pytestmark = pytest.mark.peers

TEXTS = ["air", "plane at", "", "at"]
PROMPTS = ["", "plane", "at", ""]
BOTH = {"encoder_text": TEXTS, "decoder_text": PROMPTS}


def test_tensorflow_datasets():
    import tensorflow as tf

    lm = seq2seq()
    assert lm.generate(tf.data.Dataset.from_tensor_slices(TEXTS).batch(3)) == lm.generate(TEXTS)
    assert lm.generate(tf.data.Dataset.from_tensor_slices(BOTH).batch(3)) == lm.generate(BOTH)
    with pytest.raises(ValueError, match="batch"):
        lm.generate(tf.data.Dataset.from_tensor_slices(TEXTS))


def test_tensorflow_tensors():
    import tensorflow as tf

    lm = seq2seq()
    assert lm.generate(tf.constant("air")) == lm.generate("air")
    assert lm.generate(tf.constant(TEXTS)) == lm.generate(TEXTS)


def test_torch_data_loaders():
    from torch.utils.data import DataLoader

    lm = seq2seq()
    assert lm.generate(DataLoader(TEXTS, batch_size=3)) == lm.generate(TEXTS)
    rows = [dict(zip(BOTH, row, strict=True)) for row in zip(TEXTS, PROMPTS, strict=True)]
    assert lm.generate(DataLoader(rows, batch_size=3)) == lm.generate(BOTH)


def test_token_dictionaries_of_torch_tensors():
    import torch
    from torch.utils.data import DataLoader

    bare, lm = seq2seq(preprocessor=False), seq2seq()
    tokens = lm.preprocessor.generate_preprocess(TEXTS)
    whole = bare.generate(tokens, stop_token_ids=None)
    rows = [{key: torch.tensor(value[row]) for key, value in tokens.items()} for row in range(len(TEXTS))]
    parts = bare.generate(DataLoader(rows, batch_size=2), stop_token_ids=None)
    assert all((parts[key] == whole[key]).all() for key in whole)
