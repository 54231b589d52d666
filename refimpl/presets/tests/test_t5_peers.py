"""What T5's folders become in KerasHub and in transformers, and theirs here."""

from pathlib import Path

import numpy as np
import pytest

from refimpl.models import Seq2SeqLM, T5Seq2SeqLM
from refimpl.tests.tiny import batch, t5_backbone

pytestmark = pytest.mark.peers
GOLDEN = Path(__file__).parents[3] / "golden" / "presets"
KINDS = {
    "1.0": {"use_gated_activation": False},
    "1.1": {"activation": "gelu_approximate", "tie_embedding_weights": False},
    "exact": {"activation": "gelu", "tie_embedding_weights": False, "key_value_dim": None},
    "silu": {"activation": "silu"},
}
BATCH = batch(3, 150, 140, seed=4, size=41)  # beyond the maximal distance


def transformers_logits(folder):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    model = transformers.T5ForConditionalGeneration.from_pretrained(folder).eval()
    t = {key: torch.tensor(value) for key, value in BATCH.items()}
    with torch.no_grad():
        return model(
            input_ids=t["encoder_token_ids"],
            attention_mask=t["encoder_padding_mask"].long(),
            decoder_input_ids=t["decoder_token_ids"],
        ).logits.numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_computes_what_was_exported(kind, tmp_path):
    lm = T5Seq2SeqLM(t5_backbone(**KINDS[kind]))
    lm.export_to_transformers(tmp_path / "x")
    logits = lm(BATCH)
    assert (
        np.abs(transformers_logits(tmp_path / "x") - logits).max() < 3e-4 * np.abs(logits).max()
    )  # float32, weights that amplify


@pytest.mark.parametrize("kind", KINDS)
def test_what_transformers_saves_comes_back(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    lm = T5Seq2SeqLM(t5_backbone(**KINDS[kind]))
    lm.export_to_transformers(tmp_path / "x")
    transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "x").save_pretrained(tmp_path / "y")
    back = Seq2SeqLM.from_preset(tmp_path / "y", preprocessor=None)
    assert np.array_equal(back(BATCH), lm(BATCH))


@pytest.mark.parametrize("kind", KINDS)
def test_keras_hub_computes_what_was_saved(kind, tmp_path):
    keras_hub = pytest.importorskip("keras_hub")
    lm = T5Seq2SeqLM(t5_backbone(**KINDS[kind]))
    lm.backbone.save_to_preset(tmp_path / "p")
    theirs = keras_hub.models.T5Seq2SeqLM(keras_hub.models.T5Backbone.from_preset(str(tmp_path / "p")))
    logits = lm(BATCH)
    found = theirs({key: value.astype("int32") for key, value in BATCH.items()})
    found = np.asarray(found.detach() if hasattr(found, "detach") else found)
    assert np.abs(found - logits).max() < 3e-4 * np.abs(logits).max()  # float32, weights that amplify
    assert len(theirs.weights) == len(lm.backbone.params)
    for ours, other in zip(lm.get_weights(), theirs.get_weights(), strict=True):
        assert np.array_equal(ours, other)


def test_tokenizers_and_greedy_text_of_an_export(tmp_path):
    transformers = pytest.importorskip("transformers")
    lm = Seq2SeqLM.from_preset(GOLDEN / "t5_tiny")
    lm.compile(sampler="greedy")
    lm.preprocessor.decoder_sequence_length = 12
    lm.export_to_transformers(tmp_path / "x")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "x")
    texts = ["the cat sat", "a \u00e9 \ufb01 2", "  spaced   out\n", "no such \u4e16"]
    for text in texts:
        assert tokenizer(text)["input_ids"] == [*lm.preprocessor.tokenizer(text).tolist(), 1], text
    model = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "x").eval()
    for text in texts:
        ids = model.generate(**tokenizer(text, return_tensors="pt"))[0]
        ours = lm.preprocessor.generate_preprocess([text])
        found = lm.generate_step(ours, (1,))["decoder_token_ids"][0]
        assert found[: len(ids)].tolist() == ids.tolist()
    tokenizer.save_pretrained(tmp_path / "y")
    model.save_pretrained(tmp_path / "y")
    again = Seq2SeqLM.from_preset(tmp_path / "y")
    for text in texts:
        assert again.preprocessor.tokenizer(text).tolist() == lm.preprocessor.tokenizer(text).tolist(), text
