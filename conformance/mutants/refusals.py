# ruff: noqa: ARG005, E501  (tables of lambdas read better unbroken)
"""Mutants that take what must be refused, or mind an option otherwise than documented."""

from pathlib import Path
from typing import Any

import numpy as np

from conformance.mutants import Mutant
from conformance.mutants.arithmetic import result
from conformance.mutants.loop import PREPROCESSOR, _length
from conformance.mutants.text import BPE
from conformance.suite.cases import GOLDEN

BACKBONE, BART, TOKENIZER = "refimpl.models.backbone", "refimpl.models.bart.backbone", "refimpl.tokenizers.tokenizer"
LM, TASK, REGISTRY = "refimpl.models.seq_2_seq_lm", "refimpl.models.task", "refimpl.presets.registry"


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _texts(change: Any) -> Any:
    """The static method `_texts(x, needs_decoder)` on a changed dictionary."""
    return lambda right: staticmethod(lambda x, needs_decoder: right.__func__(change(dict(x)), needs_decoder))


def _masks_made_up(right: Any) -> Any:
    def checked(self: Any, inputs: Any) -> Any:
        full = dict(inputs)
        for side in ("encoder", "decoder"):
            full.setdefault(f"{side}_padding_mask", np.ones_like(full[f"{side}_token_ids"], bool))
        return right(self, full)

    return checked


def _rows_cut(right: Any) -> Any:
    def checked(self: Any, inputs: Any) -> Any:
        rows = min(len(value) for value in inputs.values())
        return right(self, {key: np.asarray(value)[:rows] for key, value in inputs.items()})

    return checked


def _width_cut(right: Any) -> Any:
    def preprocess(self: Any, batch: Any, max_length: Any) -> Any:
        found = right(self, batch, max_length)
        if self.preprocessor is not None or not max_length:
            return found
        return {k: np.asarray(v)[:, :max_length] if k.startswith("decoder") else v for k, v in found.items()}

    return preprocess


def _without(name: str) -> Any:
    """Saving that forgets a file."""

    def make(right: Any) -> Any:
        def write(self: Any, folder: Path, *rest: Any) -> None:
            right(self, folder, *rest)
            (folder / name).unlink()

        return write

    return make


def _no_merges(right: Any) -> Any:
    def save(self: Any, folder: Path, *rest: Any) -> None:
        right(self, folder, *rest)
        (folder / "merges.txt").write_text("", encoding="utf-8")

    return save


def _class(change: Any) -> Any:
    """`find_class` with another name."""
    return lambda right: (
        lambda described, file: right({**described, "registered_name": change(described.get("registered_name"))}, file)
    )


MUTANTS = [
    Mutant("anything-is-text", "X17", ("tokenizers.input.types",), ((TOKENIZER, "texts_of", lambda _r: lambda inputs: [str(i) for i in _listed(inputs)]),)),
    Mutant("negative-ids-left-out", "D05", ("tokenizers.detokenize.unknown-id",), ((BPE, "BytePairTokenizer._decode",
        lambda right: lambda self, ids: right(self, [i for i in ids if i >= 0])),)),
    Mutant("unknown-ids-shown", "X11", ("tokenizers.detokenize.unknown-id",), ((BPE, "BytePairTokenizer._decode",
        lambda right: lambda self, ids: right(self, ids) + "?" * sum(i >= 300 for i in ids)),)),
    Mutant("empty-rows-dropped", "X11", ("tokenizers.detokenize.shapes",), ((TOKENIZER, "Tokenizer.detokenize",
        result(lambda out: [text for text in out if text] if isinstance(out, list) else out)),)),
    Mutant("special-token-made-up", "X02", ("tokenizers.vocabulary.special-tokens",), ((BPE, "vocabulary_of", result(lambda words: {"</s>": 2, **words})),)),
    Mutant("bad-merges-skipped", "X17", ("tokenizers.vocabulary.merge-parts",), ((BPE, "ranks_of",
        lambda right: lambda rules, words: right([rule for rule in rules if not rule.startswith("zzzz")], words)),)),
    Mutant("missing-text-made-up", "D03", ("preprocessing.input.keys",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor._texts",
        _texts(lambda x: {"encoder_text": x.get("decoder_text"), "decoder_text": x.get("encoder_text")} | x)),)),
    Mutant("batches-cut-to-one", "B03", ("preprocessing.input.batch-sizes",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor._texts",
        _texts(lambda x: {key: (_listed(value) or [""])[:1] for key, value in x.items()})),)),
    Mutant("masks-made-up", "M04", ("models.inputs.keys",), ((BACKBONE, "Backbone.checked", _masks_made_up),)),
    Mutant("rows-cut", "B03", ("models.inputs.shapes",), ((BACKBONE, "Backbone.checked", _rows_cut),)),
    Mutant("outputs-swapped", "D03", ("models.backbone.outputs",), (("refimpl.models.encoder_decoder", "EncoderDecoder.forward",
        result(lambda out: dict(zip(out, reversed(out.values()), strict=True)))),)),
    Mutant("tied-table-counted-twice", "W09", ("models.backbone.count-params",), ((BACKBONE, "Backbone.count_params", result(lambda n: n + 287 * 12)),)),
    Mutant("positions-clamped", "P17", ("models.bart.position-limit", "generate.max-length.beyond-positions"), (
        (BART, "BartBackbone.check_length", lambda _right: lambda *a: None),
        ("refimpl.autograd.ops", "embed", lambda right: lambda table, ids: right(table, np.minimum(ids, len(table) - 1))))),
    Mutant("numbers-are-texts", "D03", ("generate.input.types",), ((LM, "as_batches",
        lambda right: lambda inputs, takes_text: right(str(inputs) if isinstance(inputs, int) else inputs, takes_text)),)),
    Mutant("default-length-of-five", "P07", ("generate.max-length.default",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess",
        _length(lambda self, n: 5 if n is None else n)),)),
    Mutant("zero-is-one", "D14", ("generate.max-length.zero",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess",
        _length(lambda self, n: 1 if n == 0 else n)),)),
    Mutant("length-made-to-fit", "D14", ("generate.max-length.type",), ((PREPROCESSOR, "Seq2SeqLMPreprocessor.generate_preprocess",
        _length(lambda self, n: n and int(abs(n)))),)),
    Mutant("max-length-cuts-arrays", "D15", ("generate.max-length.no-preprocessor",), ((LM, "Seq2SeqLM._preprocess", _width_cut),)),
    Mutant("default-preset", "W01", ("presets.identifier.unknown",), ((TASK, "open_preset",
        lambda right: lambda preset: right(preset if not isinstance(preset, str) or Path(preset).is_dir() else str(GOLDEN / "presets" / "bart_tiny"))),)),
    Mutant("keras-nlp-unknown", "W11", ("presets.config.registered-name",), tuple(
        (module, "find_class", _class(lambda name: name.replace("keras_nlp", "strange"))) for module in (BACKBONE, TASK, REGISTRY))),
    Mutant("unknown-class-is-bart", "W11", ("presets.config.unknown-class",), tuple(
        (module, "find_class", _class(lambda name: name if "NoSuch" not in name else "keras_hub>BartBackbone")) for module in (BACKBONE, TASK, PREPROCESSOR, REGISTRY))),
    Mutant("weights-never-loaded", "W01", ("presets.load.load-weights",), (("refimpl.presets.folder", "PresetFolder.read_weights",
        lambda _right: lambda self, layout, dtype: {weight.name: np.zeros(weight.shape, dtype) for weight in layout}),)),
    Mutant("task-json-not-saved", "W03", ("presets.save.files",), ((TASK, "Task.write_preset_files", _without("task.json")),)),
    Mutant("merges-not-saved", "W03", ("presets.save.tokenizer-assets", "presets.save.round-trip"), ((BPE, "BytePairTokenizer.save_assets", _no_merges),)),
]  # fmt: skip
