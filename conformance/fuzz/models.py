"""Writes the preset of a drawn model: KerasHub's folder format, weights by the recipe of golden/README.md."""

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conformance.fuzz import places
from conformance.make.recipe import kind_of, noise
from conformance.suite.cases import GOLDEN

# Whose JSON files are the pattern, and whose pieces are taken where there are no merges; several are chosen from.
PATTERNS = {"bart": ["bart_tiny"], "t5": ["t5_tiny", "t5_gated"], "t5gemma": ["t5gemma_tiny"]}
SPECIALS = ("<s>", "<pad>", "</s>", "<mask>")
BYTES = [chr(n) for n in (*range(33, 127), *range(161, 173), *range(174, 324))]  # GPT-2's 256 letters for bytes


def write_preset(model: dict[str, Any], folder: Path) -> Path:
    """The preset folder of a drawn model (see `strategies.models`)."""
    architecture, pattern = model.get("architecture", "bart"), GOLDEN / "presets" / pattern_of(model)
    sizes = {**model["sizes"], "vocabulary_size": write_vocabulary(model, pattern, folder) + model["spare_ids"]}
    for name in ("config", "task", "preprocessor", "tokenizer", "metadata"):
        content = json.loads((pattern / f"{name}.json").read_text(encoding="utf-8"))
        if name == "config":
            content["config"].update(sizes)
        if name == "task":
            content["config"]["backbone"]["config"].update(sizes)
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    with h5py.File(folder / "model.weights.h5", "w") as file:
        for number, (place, shape) in enumerate(sorted(getattr(places, architecture)(sizes))):
            file[place] = weight(model["weights"], place, number, shape)
        file.create_group("vars")
    return folder


def pattern_of(model: dict[str, Any]) -> str:
    """The name of the preset that lends its files to a drawn model."""
    patterns = PATTERNS[model.get("architecture", "bart")]
    return patterns[model["rotate"] % len(patterns)]


def write_vocabulary(model: dict[str, Any], pattern: Path, folder: Path) -> int:
    """BART's drawn vocabulary and merges, or the pattern's pieces; how many ids there are."""
    target = folder / "assets" / "tokenizer"
    if (pattern / "assets" / "tokenizer" / "vocabulary.spm").exists():
        shutil.copytree(pattern / "assets" / "tokenizer", target)
        return int(json.loads((pattern / "config.json").read_text(encoding="utf-8"))["config"]["vocabulary_size"])
    target.mkdir(parents=True)
    vocabulary = words(model["merges"], model["rotate"])
    (target / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    (target / "merges.txt").write_text(merges, encoding="utf-8")
    return max(len(vocabulary), 1)


def words(merges: list[list[str]], rotate: int) -> dict[str, int]:
    """The vocabulary: special tokens, bytes and what the merges make; `rotate` moves all ids, the special ones too."""
    tokens = list(dict.fromkeys([*SPECIALS, *BYTES, *(left + right for left, right in merges)]))
    return {token: (n + rotate) % len(tokens) for n, token in enumerate(tokens)}


def weight(drawn: dict[str, Any], place: str, number: int, shape: tuple[int, ...]) -> np.ndarray:
    """One weight: noise, scaled and moved by its kind; with some rows of the tables made alike or nearly constant."""
    scale, offset = drawn["scales"][kind_of(place)]
    found = noise(number + drawn["seed"], shape) * scale + offset
    if kind_of(place) in ("table", "position"):
        for row in drawn["flat_rows"]:
            found[row % shape[0]] = 0.5 + found[row % shape[0]] * 2.0**-8
    if kind_of(place) == "table" and drawn["equal_rows"]:
        one, other = drawn["equal_rows"]
        found[one % shape[0]] = found[other % shape[0]]
    return found.astype("float32")
