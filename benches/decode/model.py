"""The models that all engines run: BART-base's and T5-small's sizes with random weights, and the shipped preset."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benches.decode.work import MODELS, words

WORDS = 1000
SIZES = {
    "vocabulary_size": 50265,
    "num_layers": 6,
    "num_heads": 12,
    "hidden_dim": 768,
    "intermediate_dim": 3072,
    "max_sequence_length": 1024,
}
T5_SIZES = {
    "vocabulary_size": 32128,
    "num_layers": 6,
    "num_heads": 8,
    "hidden_dim": 512,
    "intermediate_dim": 2048,
    "key_value_dim": 64,
    "use_gated_activation": False,
}


def make(folder: Path) -> None:
    """Write the preset for refimpl and KerasHub, and a checkpoint for transformers."""
    import refimpl

    models = refimpl.models
    tokenizer = models.BartTokenizer({word: n for n, word in enumerate(words())}, ["w 1"])
    backbone = models.BartBackbone(**SIZES)
    fill(backbone.params)
    write(models.BartSeq2SeqLM(backbone, models.BartSeq2SeqLMPreprocessor(tokenizer)), folder / "base")


def make_t5(folder: Path) -> None:
    """The same of T5, whose decoder starts with the padding token."""
    import refimpl
    from refimpl.presets.sentence_piece_file import CONTROL, NORMAL, UNKNOWN, model_file

    models = refimpl.models
    kinds = [("<pad>", CONTROL), ("</s>", CONTROL), ("<unk>", UNKNOWN)]
    kinds += [(f"w{n}", NORMAL) for n in range(3, T5_SIZES["vocabulary_size"])]
    proto = model_file([(piece, -1.0, kind) for piece, kind in kinds], frame={"unk": 2, "eos": 1, "pad": 0})
    backbone = models.T5Backbone(**T5_SIZES)
    fill(backbone.params)
    write(models.T5Seq2SeqLM(backbone, models.T5Seq2SeqLMPreprocessor(models.T5Tokenizer(proto))), folder / "t5")


def write(task: Any, folder: Path) -> None:
    """As a preset and as a checkpoint."""
    task.save_to_preset(folder / "preset")
    task.export_to_transformers(folder / "transformers")


def make_phonemes(folder: Path) -> None:
    """The shipped preset for all engines, and the token ids of words that it was not trained on."""
    import refimpl
    from refimpl.presets.shipped import shipped_preset

    task = refimpl.models.Seq2SeqLM.from_preset(shipped_preset())
    lines = (Path(shipped_preset()) / "heldout.tsv").read_text().splitlines()[:WORDS]
    batch = task.preprocessor.generate_preprocess([line.split("\t")[0] for line in lines])
    pairs = zip(batch["encoder_token_ids"], batch["encoder_padding_mask"], strict=True)
    write(task, folder / "phonemes")
    (folder / "phonemes" / "sources.json").write_text(json.dumps([ids[mask].tolist() for ids, mask in pairs]))


def fill(weights: dict[str, np.ndarray]) -> None:
    """Draw weights.

    The feed-forward layers outweigh their input, and attention to the source does not: else the model would say one
    token again and again, and equal tokens would prove little.
    """
    rng = np.random.default_rng(0)
    for name, weight in weights.items():
        narrows = "feedforward_output" in name or ("output_projector" in name and "attention" not in name)
        if weight.ndim > 1:
            weight[:] = rng.standard_normal(weight.shape, np.float32) * np.float32(spread(name, weight, narrows))
        if narrows:
            weight[:] -= weight.mean(axis=0)  # the activation's mean would be the same for all tokens


def spread(name: str, weight: np.ndarray, narrows: bool) -> float:
    """The standard deviation of a weight."""
    if name.endswith("embeddings"):
        return 0.3
    output = "output" in name
    inputs = weight.size // weight.shape[-1] if output else weight.shape[0]
    return (6.0 if narrows else 0.2 if output else 1.5) / np.sqrt(inputs)


def convert(folder: Path, unknown: str) -> None:
    """Write CTranslate2's models of a checkpoint; runs where CTranslate2 and transformers are."""
    import ctranslate2

    config = folder / "transformers" / "config.json"
    settings = json.loads(config.read_text())
    if settings["model_type"] == "bart":  # CTranslate2 asks for what transformers 5 leaves out
        config.write_text(json.dumps(settings | {"normalize_before": False, "normalize_embedding": True}))
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
        convert(arguments.folder / arguments.model, "<pad>" if arguments.model == "phonemes" else "<unk>")
    else:
        {"base": make, "t5": make_t5, "phonemes": make_phonemes}[arguments.model](arguments.folder)
