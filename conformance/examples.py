"""The calls that the documentation of `Seq2SeqLM` and `BartSeq2SeqLM` shows, under KerasHub and under refimpl.

    KERAS_BACKEND=jax python -m conformance.examples [PRESET_FOLDER]

Without a folder KerasHub makes a small preset with random weights, in a temporary one. Each example is run twice as it
stands, once with `import keras_hub`, once with `import refimpl as keras_hub`; only the name "bart_base_en" is replaced
by a local folder, as nothing is downloaded here. Printed is a row an example: what both gave, and whether it was the
same. Needs the peers' environment.
"""

import importlib
import json
import sys
import tempfile
import textwrap
from typing import Any

import numpy as np

EXAMPLES = {
    "generate, one text": """
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler=keras_hub.samplers.TopKSampler(k=5, seed=7))
        result = lm.generate("The quick brown fox", max_length=20)
    """,
    "generate, a batch": """
        lm = keras_hub.models.Seq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler=keras_hub.samplers.TopKSampler(k=5, seed=7))
        result = lm.generate(["The quick brown fox", "The whale"], max_length=20)
    """,
    "sampler by name": """
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler="greedy")
        result = lm.generate("The quick brown fox", max_length=20)
    """,
    "sampler as an object": """
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler=keras_hub.samplers.BeamSampler(num_beams=2))
        result = lm.generate("The quick brown fox", max_length=20)
    """,
    "a prompt for the decoder": """
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en")
        lm.compile(sampler="greedy")
        result = lm.generate({"encoder_text": "The quick brown fox", "decoder_text": "The fast"}, max_length=20)
    """,
    "generate without preprocessing": """
        prompt = {
            "encoder_token_ids": np.array([[0, 33, 21, 62, 23, 2, 1, 1]]),
            "encoder_padding_mask": np.array([[1, 1, 1, 1, 1, 1, 0, 0]]),
            "decoder_token_ids": np.array([[2, 0, 33, 17, 1, 1, 1]]),
            "decoder_padding_mask": np.array([[1, 1, 1, 1, 0, 0, 0]]),
        }
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en", preprocessor=None)
        lm.compile(sampler="greedy")
        result = lm.generate(prompt, stop_token_ids=None)
    """,
    "fit on a batch of texts": """
        features = {
            "encoder_text": ["The quick fox jumped.", "I forgot my homework."],
            "decoder_text": ["The fast hazel fox leapt.", "I forgot my assignment."],
        }
        backbone = keras_hub.models.BartBackbone.from_preset("bart_base_en", dropout=0.0)
        lm = keras_hub.models.BartSeq2SeqLM.from_preset("bart_base_en", backbone=backbone)
        lm.preprocessor.encoder_sequence_length = lm.preprocessor.decoder_sequence_length = 24
        result = lm.fit(x=features, batch_size=2, verbose=0).history
    """,
    "fit without preprocessing": """
        x = {
            "encoder_token_ids": np.array([[0, 33, 29, 2, 1]] * 2),
            "encoder_padding_mask": np.array([[1, 1, 1, 1, 0]] * 2),
            "decoder_token_ids": np.array([[2, 0, 33, 17, 2]] * 2),
            "decoder_padding_mask": np.array([[1, 1, 1, 1, 1]] * 2),
        }
        y = np.array([[0, 33, 17, 2, 1]] * 2)
        weights = np.array([[1, 1, 1, 1, 0]] * 2)
        backbone = keras_hub.models.BartBackbone.from_preset("bart_base_en", dropout=0.0)
        lm = keras_hub.models.BartSeq2SeqLM(backbone=backbone)
        result = lm.fit(x=x, y=y, sample_weight=weights, batch_size=2, verbose=0).history
    """,
    "a vocabulary and a backbone of one's own": """
        words = {"<s>": 0, "<pad>": 1, "</s>": 2, "Ġafter": 5, "noon": 6, "Ġsun": 7}
        merges = ["Ġ a", "Ġ s", "Ġ n", "e r", "n o", "o n", "Ġs u", "Ġa f", "no on", "Ġsu n", "Ġaf t", "Ġaft er"]
        preprocessor = keras_hub.models.BartSeq2SeqLMPreprocessor(
            tokenizer=keras_hub.models.BartTokenizer(vocabulary=words, merges=merges),
            encoder_sequence_length=16,
            decoder_sequence_length=16,
        )
        backbone = keras_hub.models.BartBackbone(
            vocabulary_size=50,
            num_layers=2,
            num_heads=4,
            hidden_dim=16,
            intermediate_dim=32,
            max_sequence_length=16,
        )
        lm = keras_hub.models.BartSeq2SeqLM(backbone=backbone, preprocessor=preprocessor)
        lm.fit(x={"encoder_text": [" afternoon sun"], "decoder_text": ["noon sun"]}, batch_size=2, verbose=0)
        result = "fitted"
    """,
}
# Examples that KerasHub 0.32 itself can't run, with the reason.
BROKEN = {"a vocabulary and a backbone of one's own": "its tokenizer refuses merges whose parts are no tokens"}


def make_preset(folder: str) -> str:
    """A small BART with 1,024 positions, as bart_base_en has, made and saved by KerasHub."""
    keras_hub = importlib.import_module("keras_hub")
    bytes_ = [chr(n) for n in (*range(33, 127), *range(161, 173), *range(174, 324))]
    words = {token: n for n, token in enumerate(["<s>", "<pad>", "</s>", "<mask>", *bytes_, "Ġt", "he", "Ġthe"])}
    tokenizer = keras_hub.models.BartTokenizer(words, ["Ġ t", "h e", "Ġt he"])
    backbone = keras_hub.models.BartBackbone(len(words), 2, 3, 24, 40)
    generator = np.random.default_rng(1)
    for weight in backbone.weights:
        weight.assign(generator.standard_normal(weight.shape) * 0.5 + ("gamma" in weight.path))
    lm = keras_hub.models.BartSeq2SeqLM(backbone, keras_hub.models.BartSeq2SeqLMPreprocessor(tokenizer))
    lm.save_to_preset(folder)
    return folder


def run(code: str, library: str, preset: str) -> Any:
    """What an example leaves in `result`, or its error."""
    names: dict[str, Any] = {"keras_hub": importlib.import_module(library), "np": np}
    try:
        exec(textwrap.dedent(code).replace('"bart_base_en"', repr(preset)), names)
    except Exception as error:
        return f"{type(error).__name__}: {error!s:.80}"
    return plain(names["result"])


def plain(value: Any) -> Any:
    """A result as JSON can hold it; integers and truth values alike, floats to five digits."""
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return np.asarray(value, int).tolist()
    return float(f"{float(value):.5g}") if isinstance(value, (float, np.floating)) else value


def main(preset: str | None = None) -> int:
    """Run and compare all examples; returns 1 if one differs that is not known to."""
    unexpected = 0
    preset = preset or make_preset(tempfile.mkdtemp())
    for title, code in EXAMPLES.items():
        theirs, ours = run(code, "keras_hub", preset), run(code, "refimpl", preset)
        same = theirs == ours
        expected = same != (title in BROKEN)
        unexpected += not expected
        verdict = "same" if same else f"differs, as known: {BROKEN[title]}" if expected else "DIFFERS"
        print(f"{title}: {verdict}\n  keras_hub {json.dumps(theirs):.300}\n  refimpl   {json.dumps(ours):.300}")
    print(f"{len(EXAMPLES) - unexpected} passed, {unexpected} failed")
    return int(bool(unexpected))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
