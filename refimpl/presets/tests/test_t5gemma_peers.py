"""What T5Gemma's folders become in KerasHub and in transformers, and theirs here."""

import numpy as np
import pytest

from refimpl.models import Seq2SeqLM, T5GemmaSeq2SeqLM
from refimpl.models.tests.test_t5gemma import KINDS, wide
from refimpl.tests.tiny import batch

pytestmark = pytest.mark.peers
SIZES = {"encoder_hidden_dim": 12, "decoder_hidden_dim": 8, "cross_attention_hidden_size": 12}  # multiples of heads
BATCH = batch(3, 9, 8, seed=4, size=41)  # beyond the window
NEAR = 3e-4  # of the largest logit: float32, weights that amplify


def in_transformers(folder):
    transformers = pytest.importorskip("transformers")
    return transformers.T5GemmaForConditionalGeneration.from_pretrained(folder, attn_implementation="eager").eval()


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_computes_what_was_exported_and_gives_it_back(kind, tmp_path):
    torch, lm = pytest.importorskip("torch"), wide(**KINDS[kind] | SIZES)
    lm.export_to_transformers(tmp_path / "x")
    model, t = in_transformers(tmp_path / "x"), {key: torch.tensor(value) for key, value in BATCH.items()}
    with torch.no_grad():
        found = model(
            input_ids=t["encoder_token_ids"], attention_mask=t["encoder_padding_mask"].long(),
            decoder_input_ids=t["decoder_token_ids"], decoder_attention_mask=t["decoder_padding_mask"].long(),
        ).logits.numpy()  # fmt: skip
    assert np.abs(found - lm(BATCH)).max() < NEAR * np.abs(found).max()
    model.save_pretrained(tmp_path / "y")
    assert np.array_equal(Seq2SeqLM.from_preset(tmp_path / "y", preprocessor=None)(BATCH), lm(BATCH))


@pytest.mark.parametrize("kind", KINDS)
def test_keras_hub_computes_what_was_saved(kind, tmp_path):
    """Where no layer slides: KerasHub's window is another one."""
    keras_hub = pytest.importorskip("keras_hub")
    lm = wide(**KINDS[kind], sliding_window=40)
    lm.save_to_preset(tmp_path / "p")
    theirs = keras_hub.models.Seq2SeqLM.from_preset(str(tmp_path / "p"), preprocessor=None)
    found = theirs({key: value.astype("int32") for key, value in BATCH.items()})
    found = np.asarray(found.detach() if hasattr(found, "detach") else found)
    assert np.abs(found - lm(BATCH)).max() < NEAR * np.abs(found).max()
    assert all(map(np.array_equal, lm.get_weights(), theirs.get_weights()))


def test_numbers_are_exported_in_the_types_that_transformers_takes(tmp_path):
    lm = wide(**SIZES, query_pre_attn_scalar=4.0, rms_norm_eps=1)
    lm.export_to_transformers(tmp_path / "x")
    config = in_transformers(tmp_path / "x").config.decoder
    assert (type(config.query_pre_attn_scalar), type(config.rms_norm_eps)) == (int, float)
    assert isinstance(Seq2SeqLM.from_preset(tmp_path / "x", preprocessor=None), T5GemmaSeq2SeqLM)
