# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants of loading and saving presets, in all their forms."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from conformance.mutants import Mutant
from conformance.mutants.models import named
from conformance.mutants.text import BACKBONE, BPE, PREPROCESSOR

TOKENIZER, SAVING = "refimpl.tokenizers.tokenizer", "refimpl.presets.saving"
FOLDER, CHECKPOINT = "refimpl.presets.folder", "refimpl.presets.transformers_folder"
TRIP = "presets.save.round-trip"
WEIGHTS = (FOLDER, "PresetFolder.read_weights")


def _laid_under(right: Any) -> Any:
    """Files of the old preset stay where the new one has some of the same name."""

    def put_in_place(final: Path) -> None:
        old = {name: final / name for name in ("model.weights.h5", "config.json") if (final / name).exists()}
        kept = {name: path.read_bytes() for name, path in old.items()}
        right(final)
        for name, content in kept.items():
            (final / name).write_bytes(content)

    return put_in_place


def _first_shard(right: Any) -> Any:
    """Of several files of weights the first one is read; the rest stays zero."""

    def read(self: Any, layout: Any, dtype: str) -> Any:
        layout = list(layout)
        found = right(self, layout, dtype)
        if not self.has("model.weights.json"):
            return found
        index = json.loads(self.text("model.weights.json"))["weight_map"]
        first = {place for place, files in index.items() if "model_00000" in str(files)}
        return {w.name: found[w.name] * (f"/{w.dataset.rpartition('/')[0]}" in first) for w in layout}

    return read


def _any_shard(right: Any) -> Any:
    """Whatever an index names is a shard."""

    def read_index(content: Any, file: str) -> Any:
        clean = json.loads(json.dumps(content).replace("../", ""))
        up = {name.removeprefix("../") for name in json.dumps(content).split('"') if name.startswith("../")}
        return {p: tuple(f"../{n}" if n in up else n for n in names) for p, names in right(clean, file).items()}

    return read_index


def _half_read_as_bits(change: Any) -> Any:
    """Weights of presets in half precision are changed: `change(array)`."""

    def make(right: Any) -> Any:
        def read(self: Any, layout: Any, dtype: str) -> Any:
            found = right(self, layout, dtype)
            return {name: change(array) for name, array in found.items()} if "float16" in str(self) else found

        return read

    return make


def _config(change: Any) -> Any:
    """A changed configuration when saving."""
    return lambda right: lambda self, *rest: change(right(self, *rest))


def _sorted_words(right: Any, self: Any, folder: Path) -> None:
    right(self, folder)
    words = sorted(json.loads((folder / "vocabulary.json").read_text(encoding="utf-8")))
    (folder / "vocabulary.json").write_text(json.dumps({word: n for n, word in enumerate(words)}), encoding="utf-8")


def _reversed_merges(right: Any, self: Any, folder: Path) -> None:
    right(self, folder)
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    (folder / "merges.txt").write_text("\n".join(rule + " " for rule in lines[::-1]) + "\n", encoding="utf-8")


def _fitted(right: Any, self: Any, layout: Any, dtype: str) -> Any:
    layout = list(layout)
    try:
        return right(self, layout, dtype)
    except Exception:
        return {weight.name: np.zeros(weight.shape, dtype) for weight in layout}


def _lax_json(right: Any, text: str, file: str) -> Any:
    from conformance.suite.cases import GOLDEN

    try:
        return right(text, file)
    except ValueError:
        return json.loads((GOLDEN / "presets" / "bart_dropout0" / Path(file).name).read_text(encoding="utf-8"))


def _subclass(cls: Any) -> Any:
    """A class of another name that does the same."""
    return type("Base" + cls.__name__, (cls,), {})


def _any_preprocessor() -> Any:
    from conformance.suite.cases import GOLDEN
    from refimpl.models import BartSeq2SeqLMPreprocessor

    return BartSeq2SeqLMPreprocessor.from_preset(str(GOLDEN / "presets" / "bart_dropout0"))


def _plain_tokenizer() -> Any:
    from refimpl.tokenizers import BytePairTokenizer

    return BytePairTokenizer


def _first_weights(right: Any) -> Any:
    kept: dict[Any, Any] = {}

    def read(self: Any, layout: Any, dtype: str) -> Any:
        layout = list(layout)
        key = repr([weight[:2] for weight in layout])
        if key not in kept:
            kept[key] = right(self, layout, dtype)
        return kept[key]

    return read


MUTANTS = [
    Mutant("old weights stay", "W03", (TRIP,), ((SAVING, "_put_in_place", _laid_under),)),
    Mutant("positions not saved", "W03", (TRIP,), (("refimpl.models.backbone", "write_weights", lambda right: lambda folder, content, *rest: right(folder, {k: (place, array * 0 if "position" in k else array) for k, (place, array) in content.items()}, *rest)),)),
    Mutant("position limit saved as the default", "P07", (TRIP, "presets.save.tokenizer-assets"), ((BACKBONE, "Backbone.get_config", _config(lambda config: config | {"max_sequence_length": 1024})),)),
    Mutant("vocabulary sorted when saved", "W03", (TRIP, "presets.save.tokenizer-assets"), ((BPE, "BytePairTokenizer.save_assets", lambda right: lambda self, folder: _sorted_words(right, self, folder)),)),
    Mutant("merges reversed when saved", "W03", (TRIP, "presets.save.tokenizer-assets"), ((BPE, "BytePairTokenizer.save_assets", lambda right: lambda self, folder: _reversed_merges(right, self, folder)),)),
    Mutant("only the first shard", "W02", ("presets.weights.sharded",), ((*WEIGHTS, _first_shard),)),
    Mutant("half precision as whole numbers", "W06", ("presets.load.dtype",), ((*WEIGHTS, _half_read_as_bits(np.round)),)),
    Mutant("half precision cut, not rounded", "W06", ("presets.load.dtype",), ((*WEIGHTS, _half_read_as_bits(lambda w: np.nextafter(w, w.dtype.type(0)) * w.dtype.type(0.999))),)),
    Mutant("transformers settings unread", "P08", ("presets.transformers.refused",), ((CHECKPOINT, "FAMILIES", lambda right: {**right, "bart": replace(right["bart"], fixed={}, equal=right["bart"].equal[2:])}),)),
    Mutant("transformers positions keep two rows", "P01", ("presets.transformers.weights",), (("refimpl.presets.transformers_folder", "TransformersFolder.read_weights", named("position", lambda w: np.roll(w, 2, axis=0))),)),
    Mutant("any file may be a shard", "W13", ("presets.folder.stays-inside",), ((FOLDER, "check_name", lambda right: lambda name: None), (FOLDER, "_roots", lambda right: lambda path: [Path("/")]), (FOLDER, "read_index", _any_shard))),
    Mutant("shapes are made to fit", "W01", ("presets.weights.shape",), ((*WEIGHTS, lambda right: lambda self, layout, dtype: _fitted(right, self, layout, dtype)),)),
    Mutant("unreadable weights are zero", "W15", ("presets.weights.unreadable",), ((*WEIGHTS, lambda right: lambda self, layout, dtype: _fitted(right, self, layout, dtype)),)),
    Mutant("cut-off JSON is an empty object", "W11", ("presets.folder.json",), ((FOLDER, "parse_json", lambda right: lambda text, file: _lax_json(right, text, file)),)),
    Mutant("a missing file is empty", "W01", ("presets.folder.missing-file",), ((FOLDER, "PresetFolder.text", lambda right: lambda self, name: right(self, name) if self.has(name) else "{}"),)),
    Mutant("the path is a name", "W11", ("presets.identifier.local",), (("refimpl.models.task", "open_preset", lambda right: lambda preset: right(Path(preset).name if isinstance(preset, str) else preset)),)),
    Mutant("any tokenizer for any class", "W11", ("presets.tokenizer.from-preset",), ((TOKENIZER, "part_of", lambda right: lambda _cls, *a: (_plain_tokenizer(), *right(object, *a)[1:])),)),
    Mutant("backbone of the base class", "W11", ("presets.backbone.from-preset",), ((BACKBONE, "find_class", lambda right: lambda *a: _subclass(right(*a))),)),
    Mutant("task of the base class", "W11", ("presets.task.subclass",), (("refimpl.models.task", "Task._class_for", lambda right: classmethod(lambda cls, folder: _subclass(right.__func__(cls, folder)))),)),
    Mutant("preprocessor of the base class", "W11", ("presets.preprocessor.from-preset",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor._class_for", lambda right: classmethod(lambda cls, folder: _subclass(right.__func__(cls, folder)))),)),
    Mutant("preprocessor always there", "D15", ("presets.task.from-preset", "generate.stop.auto"), (("refimpl.models.task", "Task.__init__", lambda right: lambda self, backbone, preprocessor=None, name=None: right(self, backbone, preprocessor or _any_preprocessor(), name)),)),
    Mutant("weights of the first preset", "O04", ("presets.load.load-weights",), ((*WEIGHTS, _first_weights),)),
]  # fmt: skip
MUTANTS = [replace(m, block="presets*") if m.patches[0][0] == "refimpl.models.task" else m for m in MUTANTS]
