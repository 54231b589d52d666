"""Attention weights against those that transformers tells."""

import numpy as np
import pytest

from refimpl.models import Seq2SeqLM
from refimpl.presets.shipped import shipped_preset

pytestmark = pytest.mark.peers


@pytest.mark.parametrize(
    ("preset", "text"), [("bart_g2p_en", "elephant"), ("t5_g2p_en", "spelling to phonemes: grady")]
)
def test_weights_are_those_of_transformers(preset, text, tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    lm = Seq2SeqLM.from_preset(shipped_preset(preset))
    lm.compile(sampler="greedy")
    lm.backbone.export_to_transformers(tmp_path / "model")
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "model", attn_implementation="eager").eval()
    found = lm.explain(text)
    ids = ([[token.id for token in tokens]] for tokens in (found.source, found.target[:-1]))
    source, read = map(torch.tensor, ids)
    with torch.no_grad():
        told = model(input_ids=source, decoder_input_ids=read, output_attentions=True)
    for weights, theirs in zip(
        found.attention, (told.encoder_attentions, told.decoder_attentions, told.cross_attentions), strict=True
    ):
        np.testing.assert_allclose(weights, np.concatenate([layer.numpy() for layer in theirs]), atol=2e-5)
