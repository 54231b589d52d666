"""What Moonshine's folders become in KerasHub and in transformers, and theirs here."""

import numpy as np
import pytest

from refimpl.models import AudioToText, Seq2SeqLM
from refimpl.models.tests.test_moonshine import KINDS, noise, wide
from refimpl.models.tests.test_moonshine_presets import speaking

pytestmark = pytest.mark.peers
SIZES = {"encoder_num_heads": 2}  # as many as the decoder has
# transformers' angles are float32 in a model of doubles too; a model of wide heads turns an odd number there.
SAID = [SIZES, SIZES | {"pad_head_dim_to_multiple_of": 4}, SIZES | {"partial_rotary_factor": 1, "rope_theta": 300}]
FULL = noise(rows=2) | {"encoder_padding_mask": np.ones((2, 3000), bool)}  # transformers counts other frames


@pytest.mark.parametrize("sizes", SAID)
def test_transformers_computes_what_was_exported_and_gives_it_back(sizes, tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    lm = wide("float64", **sizes)
    lm.export_to_transformers(tmp_path / "x")
    loaded = transformers.MoonshineForConditionalGeneration.from_pretrained(tmp_path / "x", dtype=torch.float64).eval()
    with torch.no_grad():
        found = loaded(
            input_values=torch.tensor(FULL["encoder_input_values"][..., 0]),
            decoder_input_ids=torch.tensor(FULL["decoder_token_ids"]),
        ).logits.numpy()  # fmt: skip
    assert np.abs(found - lm(FULL)).max() < 1e-5 * np.abs(found).max()
    loaded.save_pretrained(tmp_path / "y")
    back = Seq2SeqLM.from_preset(tmp_path / "y", preprocessor=None, dtype="float64")
    assert np.array_equal(back(FULL), lm(FULL))


def test_transformers_writes_the_same_text(tmp_path):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    lm, sound = speaking(dtype="float64"), np.random.default_rng(0).uniform(-0.5, 0.5, 4000).astype(np.float32)
    lm.export_to_transformers(tmp_path)
    processor = transformers.AutoProcessor.from_pretrained(tmp_path)
    loaded = transformers.MoonshineForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float64).eval()
    given = processor(sound, sampling_rate=16000, return_tensors="pt")
    found = loaded.generate(given.input_values.double(), attention_mask=given.attention_mask)[0].tolist()
    tokens = lm.preprocessor.generate_preprocess({"audio": [sound]})
    ours = lm.generate_step(tokens, stop_token_ids=(lm.preprocessor.tokenizer.end_token_id,))
    assert ours["decoder_token_ids"][0].tolist() == found
    processor.tokenizer.save_pretrained(tmp_path / "json")
    (tmp_path / "tokenizer.model").unlink()
    (tmp_path / "json" / "tokenizer.json").rename(tmp_path / "tokenizer.json")
    back = AudioToText.from_preset(tmp_path).preprocessor.tokenizer
    for text in ("twenty three", "one  hundred", "hÿ"):
        theirs = processor.tokenizer(text, add_special_tokens=False).input_ids
        assert list(back(text)) == list(lm.preprocessor.tokenizer(text)) == theirs


@pytest.mark.parametrize("kind", KINDS)
def test_keras_hub_computes_what_was_saved(kind, tmp_path):
    keras_hub = pytest.importorskip("keras_hub")
    lm, inputs = wide(**KINDS[kind]), noise()
    lm.save_to_preset(tmp_path / "p")
    theirs = keras_hub.models.Seq2SeqLM.from_preset(str(tmp_path / "p"), preprocessor=None)
    found = theirs({k: v.astype("float32") if v.dtype.kind == "f" else v for k, v in inputs.items()})
    found = np.asarray(found.detach() if hasattr(found, "detach") else found)
    assert np.abs(found - lm(inputs)).max() < 3e-5 * np.abs(found).max()
    assert all(map(np.array_equal, lm.get_weights(), theirs.get_weights()))
    theirs.save_to_preset(str(tmp_path / "q"))  # with a type that KerasHub can't read
    assert np.array_equal(Seq2SeqLM.from_preset(tmp_path / "q", preprocessor=None)(inputs), lm(inputs))
