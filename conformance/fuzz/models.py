"""Writes the preset of a drawn model: KerasHub's folder format, weights by the recipe of golden/README.md."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conformance.cases import GOLDEN
from conformance.make.recipe import kind_of, noise

MODEL = GOLDEN / "presets" / "bart_tiny"  # whose JSON files are the pattern
SPECIALS = ("<s>", "<pad>", "</s>", "<mask>")
BYTES = [chr(n) for n in (*range(33, 127), *range(161, 173), *range(174, 324))]  # GPT-2's 256 letters for bytes


def write_preset(model: dict[str, Any], folder: Path) -> Path:
    """The preset folder of a drawn model (see `strategies.models`)."""
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    vocabulary = words(model["merges"], model["rotate"])
    sizes = {**model["sizes"], "vocabulary_size": max(len(vocabulary), 1) + model["spare_ids"]}
    for name in ("config", "task", "preprocessor", "tokenizer", "metadata"):
        content = json.loads((MODEL / f"{name}.json").read_text(encoding="utf-8"))
        if name == "config":
            content["config"].update(sizes)
        if name == "task":
            content["config"]["backbone"]["config"].update(sizes)
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "assets" / "tokenizer" / "vocabulary.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    (folder / "assets" / "tokenizer" / "merges.txt").write_text(merges, encoding="utf-8")
    with h5py.File(folder / "model.weights.h5", "w") as file:
        for number, (place, shape) in enumerate(sorted(places(sizes))):
            file[place] = weight(model["weights"], place, number, shape)
        file.create_group("vars")
    return folder


def words(merges: list[list[str]], rotate: int) -> dict[str, int]:
    """The vocabulary: special tokens, bytes and what the merges make; `rotate` moves all ids, the special ones too."""
    tokens = list(dict.fromkeys([*SPECIALS, *BYTES, *(left + right for left, right in merges)]))
    return {token: (n + rotate) % len(tokens) for n, token in enumerate(tokens)}


def places(sizes: dict[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every dataset of BART and its shape."""
    width, heads, inner = sizes["hidden_dim"], sizes["num_heads"], sizes["intermediate_dim"]
    yield "layers/reversible_embedding/vars/0", (sizes["vocabulary_size"], width)
    for side, end in (("encoder", ""), ("decoder", "_1")):
        yield f"layers/position_embedding{end}/vars/0", (sizes["max_sequence_length"], width)
        yield from _pair(f"layers/layer_normalization{end}", (width,), (width,))
        for n in range(sizes["num_layers"]):
            layer = f"layers/transformer_{side}" + (f"_{n}" if n else "")
            for kind in ("self", "cross") if side == "decoder" else ("self",):
                for part in ("query", "key", "value"):
                    split = (heads, width // heads)
                    yield from _pair(f"{layer}/_{kind}_attention_layer/{part}_dense", (width, *split), split)
                joined = (heads, width // heads, width)
                yield from _pair(f"{layer}/_{kind}_attention_layer/output_dense", joined, (width,))
                yield from _pair(f"{layer}/_{kind}_attention_layer_norm", (width,), (width,))
            yield from _pair(f"{layer}/_feedforward_intermediate_dense", (width, inner), (inner,))
            yield from _pair(f"{layer}/_feedforward_output_dense", (inner, width), (width,))
            yield from _pair(f"{layer}/_feedforward_layer_norm", (width,), (width,))


def _pair(place: str, first: tuple[int, ...], second: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{place}/vars/0", first
    yield f"{place}/vars/1", second


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
