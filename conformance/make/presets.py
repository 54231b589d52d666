"""Writes the tiny presets with KerasHub's own `save_to_preset`. Run where KerasHub is installed."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conformance.make import recipe

LETTERS = "abcdefghijklmnop"

MERGES = [
    "Ġ t", "h e", "Ġt he", "i n", "Ġ a", "r e", "a n", "Ġa n", "Ġ Ġ", "ĠĠ Ġ", "1 2", "12 3", "' s", "' S", "' l",
    "'l l", "e Ġ", "n Ġa", "Ã ©", "ð Ł", "ðŁ ĺ", "a .", "! !", "Ċ Ċ", "< s", "in g",
]  # fmt: skip

TINY = {"vocabulary_size": 0, "num_layers": 2, "num_heads": 3, "hidden_dim": 12, "intermediate_dim": 20}
CONFIGS: dict[str, dict[str, Any]] = {
    "bart_tiny": {**TINY, "dropout": 0.1, "max_sequence_length": 17},
    "bart_dropout0": {
        **TINY, "num_layers": 1, "hidden_dim": 15, "intermediate_dim": 22, "dropout": 0.0, "max_sequence_length": 19,
    },
    "bart_scripted": {
        **TINY, "num_layers": 1, "hidden_dim": 24, "intermediate_dim": 29, "dropout": 0.1, "max_sequence_length": 13,
    },
}  # fmt: skip
LENGTHS = {"bart_tiny": (11, 13), "bart_dropout0": (9, 8), "bart_scripted": (6, 10)}
FLAT = (("bart_tiny", 9, 3), ("bart_dropout0", 9, 2))  # preset, token and position of nearly constant sum

# The scripted model says, after each token, the listed one; of several the scores are equal.
SCRIPT = {
    "<s>": ["a"], "a": ["b"], "b": ["c"], "c": ["</s>"], "</s>": ["p"], "p": ["p"], "d": ["e"], "e": ["f"], "f": ["d"],
    "g": ["i", "h"], "h": ["</s>"], "i": ["</s>"], "j": ["</s>"], "k": ["<pad>"], "<pad>": ["l"], "l": ["</s>"],
    "m": ["<s>"], "n": ["o"], "o": ["<mask>"], "<mask>": ["</s>"],
}  # fmt: skip


def byte_characters() -> list[str]:
    """GPT-2's 256 characters for bytes, in the order of GPT-2's table."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(b) for b in shown] + [chr(256 + n) for n in range(256 - len(shown))]


def vocabulary_of(name: str) -> tuple[dict[str, int], list[str]]:
    """Vocabulary and merges of a preset."""
    if name == "bart_scripted":
        tokens = ["<pad>", "a", "b", "<s>", "c", "</s>", "<mask>", *LETTERS[3:], "q", "r", "qr"]
        return {token: id for id, token in enumerate(tokens)}, ["q r"]
    merged = [rule.replace(" ", "") for rule in MERGES]
    tokens = ["<s>", "<pad>", "</s>", *byte_characters(), *merged, "<mask>"]
    tokens += ["unused"] * (len(tokens) % 2 == 0)
    return {token: id for id, token in enumerate(tokens)}, list(MERGES)


def write_presets(target: Path) -> None:
    """Write all presets below `target`."""
    import keras_hub

    for name, config in CONFIGS.items():
        words, merges = vocabulary_of(name)
        models = keras_hub.models
        tokenizer = models.BartTokenizer(words, merges)
        source, spoken = LENGTHS[name]
        preprocessor = models.BartSeq2SeqLMPreprocessor(tokenizer, source, spoken)
        backbone = models.BartBackbone(**{**config, "vocabulary_size": len(words)})
        lm = models.BartSeq2SeqLM(backbone, preprocessor)
        fill(name, backbone, words)
        shutil.rmtree(target / name, ignore_errors=True)
        lm.save_to_preset(str(target / name))


def fill(name: str, backbone: Any, words: dict[str, int]) -> None:
    """Give every weight its values by the recipe."""
    places = places_of(backbone)
    numbers = {place: number for number, place in enumerate(sorted(places))}
    values = {place: recipe.weight(place, numbers[place], tuple(w.shape)) for place, w in places.items()}
    if name == "bart_scripted":
        fill_script(values, words)
    for preset, token, position in FLAT:
        if preset == name:
            tables = [values[f"layers/position_embedding{n}/vars/0"] for n in ("", "_1")]
            recipe.flatten_rows(values["layers/reversible_embedding/vars/0"], tables, token, position)
    for place, variable in places.items():
        variable.assign(values[place].astype("float32"))


def fill_script(values: dict[str, np.ndarray], words: dict[str, int]) -> None:
    """Zero what would disturb the script, and write it into the decoder's feed-forward layer."""
    for place, value in values.items():
        value[...] = 1.0 if recipe.kind_of(place) == "gamma" else 0.0
    follows = {words[token]: [words[t] for t in best] for token, best in SCRIPT.items()}
    table = values["layers/reversible_embedding/vars/0"]
    inner = values["layers/transformer_decoder/_feedforward_intermediate_dense/vars/1"].size
    made = recipe.scripted(len(words), follows, words["p"], table.shape[1], inner)
    table[...] = made["table"]
    values["layers/transformer_decoder/_feedforward_intermediate_dense/vars/0"][...] = made["first"]
    values["layers/transformer_decoder/_feedforward_intermediate_dense/vars/1"][...] = made["first_bias"]
    values["layers/transformer_decoder/_feedforward_output_dense/vars/0"][...] = made["second"]


def places_of(backbone: Any) -> dict[str, Any]:
    """Each weight's variable by its dataset in the saved file, found by saving marked weights."""
    for number, variable in enumerate(backbone.weights):
        variable.assign(np.full(variable.shape, float(number), "float32"))
    found: dict[str, Any] = {}

    def visit(place: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[place] = backbone.weights[int(node[...].flat[0])]

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "marked.weights.h5")
        backbone.save_weights(path)
        with h5py.File(path) as file:
            file.visititems(visit)
    return found


if __name__ == "__main__":
    write_presets(Path("golden/presets"))
