"""The models that all engines run: BART-base's sizes with random weights, and the shipped phoneme preset."""

import argparse
import json
from pathlib import Path

import numpy as np
from work import words

MODELS = "base", "phonemes"
WORDS = 1000
SIZES = {
    "vocabulary_size": 50265,
    "num_layers": 6,
    "num_heads": 12,
    "hidden_dim": 768,
    "intermediate_dim": 3072,
    "max_sequence_length": 1024,
}


def make(folder: Path) -> None:
    """Write the preset for refimpl and KerasHub, and a checkpoint for transformers."""
    import refimpl

    models = refimpl.models
    tokenizer = models.BartTokenizer({word: n for n, word in enumerate(words())}, ["w 1"])
    backbone = models.BartBackbone(**SIZES)
    rng = np.random.default_rng(0)
    for name, weight in backbone.weights.items():
        if weight.ndim > 1:
            weight[:] = rng.standard_normal(weight.shape, np.float32) * np.float32(spread(name, weight))
        if "feedforward_output" in name:
            weight[:] -= weight.mean(axis=0)  # gelu's mean would be the same for all tokens
    task = models.BartSeq2SeqLM(backbone, models.BartSeq2SeqLMPreprocessor(tokenizer))
    task.save_to_preset(folder / "base" / "preset")
    task.export_to_transformers(folder / "base" / "transformers")


def make_phonemes(folder: Path) -> None:
    """The shipped preset for all engines, and the token ids of words that it was not trained on."""
    import refimpl
    from refimpl.presets.shipped import shipped_preset

    task = refimpl.models.Seq2SeqLM.from_preset(shipped_preset())
    lines = (Path(shipped_preset()) / "heldout.tsv").read_text().splitlines()[:WORDS]
    batch = task.preprocessor.generate_preprocess([line.split("\t")[0] for line in lines])
    pairs = zip(batch["encoder_token_ids"], batch["encoder_padding_mask"], strict=True)
    task.save_to_preset(folder / "phonemes" / "preset")
    task.export_to_transformers(folder / "phonemes" / "transformers")
    (folder / "phonemes" / "sources.json").write_text(json.dumps([ids[mask].tolist() for ids, mask in pairs]))


def spread(name: str, weight: np.ndarray) -> float:
    """The standard deviation of a weight.

    The feed-forward layers outweigh their input, and attention to the source does not: else the model would say one
    token again and again, and equal tokens would prove little.
    """
    if name.endswith("embeddings"):
        return 0.3
    inputs = weight.size // weight.shape[-1] if "output" in name else weight.shape[0]
    gain = 6.0 if "feedforward_output" in name else 0.2 if "attention_output" in name else 1.5
    return gain / np.sqrt(inputs)


def convert(folder: Path, unknown: str) -> None:
    """Write CTranslate2's models of a checkpoint; runs where CTranslate2 and transformers are."""
    import ctranslate2

    config = folder / "transformers" / "config.json"
    settings = json.loads(config.read_text()) | {"normalize_before": False, "normalize_embedding": True}
    config.write_text(json.dumps(settings))  # CTranslate2 asks for what transformers 5 leaves out
    for kind in ("float32", "int8"):
        converter = ctranslate2.converters.TransformersConverter(str(folder / "transformers"))
        converter.convert(str(folder / f"ct2-{kind}"), quantization=kind, force=True)
        config = folder / f"ct2-{kind}" / "config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"unk_token": unknown}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--convert", action="store_true")
    arguments = parser.parse_args()
    if arguments.convert:
        convert(arguments.folder / arguments.model, "<unk>" if arguments.model == "base" else "<pad>")
    else:
        (make if arguments.model == "base" else make_phonemes)(arguments.folder)
