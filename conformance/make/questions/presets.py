# ruff: noqa: E501  (tables read better unbroken)
"""Loading and saving."""

from typing import Any

from conformance.make.questions import ask, load, refused, step
from conformance.make.questions.batches import DROPOUT0, TINY, rows_of

H5 = "model.weights.h5"
WORDS = "assets/tokenizer/vocabulary.json"
SAVED = ["assets/tokenizer/merges.txt", "assets/tokenizer/vocabulary.json", "config.json", "metadata.json", H5,
         "preprocessor.json", "task.json", "tokenizer.json"]  # fmt: skip
SHARDS = ["model.weights.json", "model_00000.weights.h5", "model_00001.weights.h5"]
KEY = "layers/transformer_decoder/_self_attention_layer/key_dense/vars/1"


def questions() -> list[dict[str, Any]]:
    """All questions of the chapter."""
    return classes() + options() + broken() + round_trips() + saved_over() + forms() + unsafe()


def classes() -> list[dict[str, Any]]:
    """The class that the preset's configuration implies."""
    rows = [
        ("task.subclass#seq2seq", "Seq2SeqLM", "BartSeq2SeqLM"), ("task.subclass#itself", "BartSeq2SeqLM", "BartSeq2SeqLM"),
        ("backbone.from-preset#base", "Backbone", "BartBackbone"),
        ("backbone.from-preset#itself", "BartBackbone", "BartBackbone"),
        ("tokenizer.from-preset#base", "Tokenizer", "BartTokenizer"),
        ("tokenizer.from-preset#itself", "BartTokenizer", "BartTokenizer"),
        ("preprocessor.from-preset#base", "Seq2SeqLMPreprocessor", "BartSeq2SeqLMPreprocessor"),
        ("preprocessor.from-preset#itself", "BartSeq2SeqLMPreprocessor", "BartSeq2SeqLMPreprocessor"),
    ]  # fmt: skip
    old = [_set("config.json", ["registered_name"], "keras_nlp>BartBackbone"),
           _set("config.json", ["module"], "keras_nlp.src.models.bart.bart_backbone")]  # fmt: skip
    named = {"exact": {"class": "BartSeq2SeqLM"}}
    return [
        ask("presets.config.registered-name#keras-nlp", "Presets of KerasNLP say keras_nlp; the module is not imported.",
            "Load", load("bart_dropout0", named, old), by="hand"),
        ask("presets.identifier.local#folder", "The path of a folder.", "Load", load("bart_tiny", named), by="hand"),
    ] + [
        ask(f"presets.{id}", f"{cls}.from_preset gives a {found}.", "Load",
            load("bart_dropout0", {"exact": {"class": found}}, **{"class": cls}), by="hand")
        for id, cls, found in rows
    ]  # fmt: skip


def options() -> list[dict[str, Any]]:
    """Keywords of `from_preset`."""
    small = rows_of(DROPOUT0, 0)
    shape = {"shape": {"logits": [1, 8, 287]}}
    return [
        ask("presets.load.load-weights#false", "Random weights: the right number and shapes; the tokenizer works.",
            "Load", load("bart_dropout0", {"exact": ["params"]}, load_weights=False),
            step("logits", shape, inputs=small), step("tokenize", {"exact": {"ids": [261]}}, text=" the"),
            capability="probe"),
        ask("presets.load.load-weights#true", "The saved weights: the saved model's logits.", "Load",
            load("bart_dropout0", load_weights=True), step("logits", {"numeric": ["logits"]}, inputs=small),
            capability="probe", by="transformers"),
        ask("presets.task.from-preset#no-preprocessor", "preprocessor=None gives a task on token dictionaries.", "Load",
            load("bart_dropout0", {"exact": {"class": "BartSeq2SeqLM"}}, preprocessor=None),
            step("logits", shape, inputs=small), capability="probe", by="hand"),
    ]  # fmt: skip


def broken() -> list[dict[str, Any]]:
    """A preset with something wrong is refused by name; nothing stays random, nothing stays unread."""
    pieces = "task.json"
    rows: list[tuple[str, str, list[dict[str, Any]], tuple[str, ...], tuple[str, ...]]] = [
        ("folder.missing-file#config", "config.json is missing", [_remove("config.json")],
         ("missing-file", "value"), ("config.json",)),
        ("folder.missing-file#weights", "the weights are missing", [_remove(H5)], ("missing-file", "value"), ()),
        ("folder.missing-file#vocabulary", "the vocabulary is missing", [_remove(WORDS)],
         ("missing-file", "value"), ("vocabulary.json",)),
        ("folder.json#cut-off", "config.json is cut off", [{"change": "truncate", "file": "config.json", "bytes": 40}],
         ("value", "json"), ()),
        ("folder.json#a-list", "config.json holds a list", [{"change": "write", "file": "config.json", "text": "[1]"}],
         ("value", "json"), ("config.json",)),
        ("config.unknown-class#other", "config.json names an unknown class",
         [_set("config.json", ["registered_name"], "keras_hub>NoSuchBackbone"),
          _set("config.json", ["class_name"], "NoSuchBackbone")], ("value", "type"), ("NoSuchBackbone",)),
        ("config.unknown-key#backbone", "config.json has a key that no parameter takes",
         [_set("config.json", ["config", "no_such_key"], 1), _set(pieces, ["config", "backbone", "config", "no_such_key"], 1)],
         ("value", "type"), ("no_such_key",)),
        ("task.config-agrees#layers", "task.json and config.json describe different models",
         [_set(pieces, ["config", "backbone", "config", "intermediate_dim"], 23)], ("value",), ()),
        ("weights.complete#one-missing", "one dataset of the weights is missing",
         [{"change": "remove-dataset", "file": H5, "dataset": KEY}], ("value",), ()),
        ("weights.extra#one-more", "the file holds a dataset that nothing reads",
         [{"change": "add-dataset", "file": H5, "dataset": "layers/transformer_decoder_1/vars/0", "shape": [3]}],
         ("value",), ()),
        ("weights.shape#other-shape", "a dataset has another shape",
         [{"change": "reshape-dataset", "file": H5, "dataset": KEY, "shape": [3, 6]}], ("value",), ()),
        ("weights.unreadable#cut-off", "the weights' file is cut off",
         [{"change": "truncate", "file": H5, "bytes": 5000}], ("value", "os"), ()),
    ]  # fmt: skip
    found = [
        ask(f"presets.{id}", f"Refused, with its name: {about}.", "SilentLoad Load",
            load("bart_dropout0", refused(*kinds, mentions=words), changes), by="hand")
        for id, about, changes, kinds, words in rows
    ]  # fmt: skip
    found.append(
        ask("presets.identifier.unknown#no-folder", "A path that is no folder is refused.", "Load",
            load("no_such_preset", refused("value", "missing-file", mentions=("no_such_preset",))), by="hand")
    )  # fmt: skip
    return found


def round_trips() -> list[dict[str, Any]]:
    """What is saved is what was there."""
    small, again = rows_of(DROPOUT0, 0, 1), {"same_as": {"step": 1, "keys": ["logits"]}}
    return [
        ask("presets.save.files#task", "The files of a saved task.", "Save", load("bart_dropout0"),
            step("save", {"exact": {"files": SAVED}}, path="$scratch/saved"), by="hand"),
        ask("presets.save.round-trip#same-logits", "Saved and loaded again: the same bits.", "Save",
            load("bart_dropout0"), step("logits", None, inputs=small), step("save", None, path="$scratch/saved"),
            load("$scratch/saved", {"exact": {"class": "BartSeq2SeqLM"}}), step("logits", again, inputs=small),
            capability="probe", by="hand"),
        ask("presets.save.round-trip#two-layers-over-another", "A save over an older preset leaves nothing of it.", "Save",
            load("bart_dropout0"), step("save", None, path="$scratch/saved"), load("bart_tiny"),
            step("logits", None, inputs=rows_of(TINY, 1)), step("save", None, path="$scratch/saved"),
            load("$scratch/saved"),
            step("logits", {"same_as": {"step": 3, "keys": ["logits"]}}, inputs=rows_of(TINY, 1)),
            capability="probe", by="hand"),
        ask("presets.save.round-trip#tokenizer", "The tokenizer comes back with its merges and special tokens.", "Save",
            load("bart_scripted"), step("save", None, path="$scratch/saved"), load("$scratch/saved"),
            step("tokenize", {"exact": {"ids": [5, 22, 3, 1, 0]}}, text="</s>qr<s>a<pad>"), by="hand"),
        ask("presets.save.round-trip#tokenizer-alone", "A tokenizer that was saved alone can be loaded.", "Save",
            load("bart_scripted", **{"class": "BartTokenizer"}), step("save", None, path="$scratch/saved"),
            load("$scratch/saved", **{"class": "BartTokenizer"}),
            step("tokenize", {"exact": {"ids": [5, 22, 3]}}, text="</s>qr<s>"), by="hand"),
        ask("presets.save.sequence-lengths#kept", "Sequence lengths are part of the preprocessor: they come back.", "Save",
            load("bart_scripted", encoder_sequence_length=6, decoder_sequence_length=9),
            step("save", None, path="$scratch/saved"),
            load("$scratch/saved", {"exact": {"encoder_sequence_length": 6, "decoder_sequence_length": 9}}), by="hand"),
        ask("presets.preprocessor.default-lengths#small-table", "Default lengths fit the model's position table.", "Load",
            load("bart_scripted", keep=False), step("generate", {"exact": {"text": "abc"}}, inputs="a"), by="hand"),
        ask("presets.save.tokenizer-assets#generates-again", "A saved model generates the same text.", "Save",
            load("bart_scripted", encoder_sequence_length=6, decoder_sequence_length=10),
            step("save", None, path="$scratch/saved"),
            load("$scratch/saved", None, encoder_sequence_length=6, decoder_sequence_length=10),
            step("generate", {"exact": {"text": ["gh", "abc"]}},
                 inputs={"encoder_text": ["a", "b"], "decoder_text": ["g", ""]}), by="hand"),
    ]  # fmt: skip


def saved_over() -> list[dict[str, Any]]:
    """Saves over other saves, and what was there before."""
    inputs = rows_of(DROPOUT0, 0, 1)
    again = {"same_as": {"step": 1, "keys": ["logits"]}}
    key = "layers/transformer_encoder/_feedforward_output_dense/vars/0"
    other = [{"change": "scale-dataset", "file": H5, "dataset": key, "factor": 3}]
    over = [load("bart_tiny"), step("save", None, path="$scratch/saved")]
    return [
        ask("presets.save.round-trip#one-layer-over-two", "A smaller model over a larger one: nothing of the larger is left.",
            "Save", load("bart_dropout0"), step("logits", None, inputs=inputs), *over, load("bart_dropout0"),
            step("save", None, path="$scratch/saved"), load("$scratch/saved"), step("logits", again, inputs=inputs),
            capability="probe", by="hand"),
        ask("presets.save.round-trip#twice", "Saved, changed and saved again: the second save counts.", "Save",
            load("bart_dropout0", None, other), step("logits", None, inputs=inputs), load("bart_dropout0"),
            step("save", None, path="$scratch/saved"), load("bart_dropout0", None, other),
            step("save", None, path="$scratch/saved"), load("$scratch/saved"), step("logits", again, inputs=inputs),
            capability="probe", by="hand"),
        ask("presets.save.shards#over-one-file", "Shards saved over a preset in one file are what is loaded.", "Save",
            load("bart_dropout0", None, other), step("logits", None, inputs=inputs), load("bart_dropout0"),
            step("save", None, path="$scratch/saved"), load("bart_dropout0", None, other),
            step("save", None, path="$scratch/saved", max_shard_size=3e-5), load("$scratch/saved"),
            step("logits", again, inputs=inputs), capability="formats", by="hand"),
        ask("presets.save.shards#names", "The files of a preset in shards.", "Save", load("bart_dropout0"),
            step("save", {"exact": {"files": sorted([*(f for f in SAVED if f != H5), *SHARDS])}}, path="$scratch/saved",
                 max_shard_size=3e-5), capability="formats", by="hand"),
        ask("presets.load.load-weights#changed-between", "Two folders of one configuration and other weights, in turn.", "Load",
            load("bart_dropout0"), step("logits", {"numeric": ["logits"]}, inputs=inputs),
            load("bart_dropout0", None, other), step("logits", {"numeric": ["logits"]}, inputs=inputs),
            capability="probe", by="transformers"),
    ]  # fmt: skip


def forms() -> list[dict[str, Any]]:
    """`bart_dropout0` in other forms computes what it computes itself, bit for bit."""
    inputs, again = rows_of(DROPOUT0, 0, 2), {"same_as": {"step": 1, "keys": ["logits"]}}

    def form(clause: str, about: str, preset: str, changed: Any = None) -> dict[str, Any]:
        """The form after the plain preset, of which `changed` says how its numbers are rounded."""
        return ask(f"presets.{clause}", about, "Load", load("bart_dropout0", None, changed),
                   step("logits", None, inputs=inputs), load(preset), step("logits", again, inputs=inputs),
                   step("tokenize", {"exact": {"ids": [261, 74]}}, text=" theh"), capability="formats", by="hand")  # fmt: skip

    def rounded(to: str) -> list[dict[str, Any]]:
        """The numbers that a saved half-precision preset holds."""
        return [{"change": "round", "file": H5, "to": to}]

    return [
        form("weights.sharded#two-files", "Weights in two files, as KerasHub writes them.", "bart_sharded"),
        form("load.dtype#saved-in-float16", "Saved in float16, computed in float32.", "bart_float16", rounded("float16")),
        form("load.dtype#saved-in-bfloat16", "Saved in bfloat16, computed in float32.", "bart_bfloat16",
             rounded("bfloat16")),
        form("transformers.weights#bart", "A folder of transformers: BART's weights under other names.",
             "bart_transformers"),
        ask("presets.transformers.config#bart", "The configuration of transformers 5, which has no num_hidden_layers.",
            "Load", load("bart_transformers", {"exact": {"class": "BartSeq2SeqLM", "params": 9359}}),
            capability="formats", by="hand"),
        *(ask(f"presets.transformers.refused#{slug}", f"{about} is refused by name.", "SilentLoad",
              load("bart_transformers", refused("value", "type", "not-implemented", mentions=(key,)),
                   [_set("config.json", ["num_hidden_layers"], 1), _set("config.json", [key], value)]),
              capability="formats", by="hand")
          for slug, about, key, value in (
              ("scaled", "An embedding scale", "scale_embedding", True),
              ("activation", "Another activation", "activation_function", "relu"),
              ("deeper", "A deeper decoder", "decoder_layers", 2))),
        ask("presets.transformers.model-type#unknown", "A checkpoint of another model is refused by name.", "SilentLoad",
            load("bart_transformers", refused("value", "type", mentions=("nosuchmodel",)),
                 [_set("config.json", ["model_type"], "nosuchmodel")]), capability="formats", by="hand"),
        ask("presets.weights.sharded#one-shard-missing", "A shard that is not there is named.", "SilentLoad",
            load("bart_sharded", refused("missing-file", "value", mentions=("model_00001",)),
                 [_remove("model_00001.weights.h5")]), capability="formats", by="hand"),
    ]  # fmt: skip


def unsafe() -> list[dict[str, Any]]:
    """Presets that reach for what is not theirs."""

    def index(name: str) -> list[dict[str, Any]]:
        """An index that names this file for one weight."""
        return [_set("model.weights.json", ["weight_map", "/layers/position_embedding/vars"], name)]

    second = "model_00001.weights.h5"
    rows = [
        ("folder.stays-inside#up", "A shard above the preset's folder",
         [{"change": "replace", "file": "model.weights.json", "old": second, "new": f"../{second}"},
          {"change": "move", "file": second, "to": f"../{second}"}]),
        ("folder.stays-inside#absolute", "A shard by its absolute path", index("/etc/hostname")),
        ("folder.json#deep", "JSON so deep that a parser runs out of stack",
         [{"change": "write", "file": "config.json", "text": "[" * 100_000}]),
        ("config.sizes#terabytes", "A configuration of terabytes",
         [_set("config.json", ["config", "vocabulary_size"], 2**40), _set("task.json", ["config", "backbone", "config", "vocabulary_size"], 2**40)]),
    ]  # fmt: skip
    return [
        ask(f"presets.{id}", f"{about} is refused.", "BadInput",
            load("bart_sharded", refused("value", "os", "missing-file", "json"), changes), capability="safe-loading", by="hand")
        for id, about, changes in rows
    ]  # fmt: skip


def _remove(file: str) -> dict[str, Any]:
    return {"change": "remove-file", "file": file}


def _set(file: str, keys: list[str], value: Any) -> dict[str, Any]:
    return {"change": "set", "file": file, "keys": keys, "value": value}
