"""The shipped T5: what it says, and that KerasHub says the same."""

import numpy as np
import pytest

from conformance.shipped.t5_g2p import TO_PHONEMES, TO_SPELLING, rows
from refimpl.models import Seq2SeqLM
from refimpl.presets.shipped import shipped_preset

FOLDER = shipped_preset("t5_g2p_en")
# What KerasHub 0.32.0 generates from this folder on JAX.
SAID = {
    "spelling to phonemes: dismore": "D IH S M AO R",
    "spelling to phonemes: grady": "G R EY D IY",
    "spelling to phonemes: current's": "K ER AH N T S",
    "phonemes to spelling: G R EY D IY": "grady",
    "phonemes to spelling: K ER AH N T S": "currents",
}


def test_it_says_what_keras_hub_says():
    lm = Seq2SeqLM.from_preset(FOLDER)
    lm.compile(sampler="greedy")
    assert lm.generate(list(SAID)) == list(SAID.values())


@pytest.mark.peers
def test_keras_hub_loads_it_and_gives_the_same():
    keras_hub = pytest.importorskip("keras_hub")
    lengths = {"encoder_sequence_length": 40, "decoder_sequence_length": 36}
    pre = keras_hub.models.T5Seq2SeqLMPreprocessor.from_preset(str(FOLDER), **lengths)
    theirs = keras_hub.models.Seq2SeqLM.from_preset(str(FOLDER), preprocessor=pre)
    ours = Seq2SeqLM.from_preset(FOLDER)
    texts = [TO_PHONEMES + word for word, *_ in rows(FOLDER / "heldout.tsv")[:40]]
    texts += [TO_SPELLING + sound for sound, *_ in rows(FOLDER / "heldout_spellings.tsv")[:40]]
    for lm in (ours, theirs):
        lm.compile(sampler="greedy")
    spoken = ours.generate(texts)
    assert theirs.generate(texts) == spoken
    batch, _, _ = ours.preprocessor({"encoder_text": texts, "decoder_text": spoken})
    ops = pytest.importorskip("keras").ops
    tensors = {key: ops.convert_to_tensor(value) for key, value in batch.items()}
    wanted, found = ops.convert_to_numpy(theirs(tensors)), np.asarray(ours(batch))
    is_token = batch["decoder_padding_mask"]
    assert np.abs(found - wanted)[is_token].max() < 1e-4
