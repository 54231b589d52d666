"""A checkpoint folder of transformers, read as if it were a preset of KerasHub.

Source: keras-hub 0.32.0 utils/transformers/preset_loader.py (which keys stand for which); transformers 5.23
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.errors import PresetError, PresetFileNotFoundError, PresetUnreadableError, WeightsError
from refimpl.presets.added_token_files import CONFIG, Added, added_tokens, flags_to_json, optional_json, tokenizer_json
from refimpl.presets.families import CONVERTER_FILE, CONVERTER_KEYS, FAMILIES
from refimpl.presets.folder import AUDIO_CONVERTER_FILE, CONFIG_FILE, TOKENIZER_ASSETS, TOKENIZER_FILE, PresetFolder
from refimpl.presets.layout import Layout, Weight
from refimpl.presets.safetensors_file import expect, read_header
from refimpl.presets.segments import Maps, Segment, check_total
from refimpl.presets.sentence_piece_bpe import proto_of_bpe
from refimpl.presets.sentence_piece_checkpoint import MODEL_FILE, proto_of_checkpoint, sentence_piece_tokens
from refimpl.presets.shards import read_index
from refimpl.presets.transformers_tokenizer import no_tokenizer, prefix_space, vocabulary_of

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
# Heads of other tasks, which a backbone has no place for.
_OTHER_HEADS = ("classification_head.", "qa_outputs.")
# Weights in other formats, and what transformers must be told to read them.
_FOREIGN = {
    "pytorch_model.bin": "",
    "pytorch_model.bin.index.json": "",
    "tf_model.h5": ", from_tf=True",
    "flax_model.msgpack": ", from_flax=True",
}
_VOCABULARY, _MERGES = f"{TOKENIZER_ASSETS}/vocabulary.json", f"{TOKENIZER_ASSETS}/merges.txt"

Tensors = dict[str, Segment | None]


class TransformersFolder(PresetFolder):
    """Shows `config.json`, `tokenizer.json` and the vocabulary as KerasHub would have saved them.

    Spec: presets.transformers.config, presets.transformers.tokenizer
    """

    def __init__(self, folder: PresetFolder) -> None:
        super().__init__(folder.path)
        self._folder = folder
        self._config = folder.json(CONFIG_FILE)
        family = self._config.get("model_type")
        if not isinstance(family, str) or family not in FAMILIES:
            raise PresetError(
                f"{folder} holds a transformers model with model type {family!r:.60}.",
                f"refimpl has a converter for {', '.join(FAMILIES)}.",
                "Use a checkpoint of such a model, or a preset of KerasHub.",
                "presets.transformers.model-type",
            )
        self._family = FAMILIES[family]

    def __str__(self) -> str:
        return str(self._folder)

    def find(self, name: str) -> Path | None:
        """The path of a real file of the checkpoint."""
        return self._folder.find(name)

    def has(self, name: str) -> bool:
        """Whether the preset that is shown has a file of that name."""
        converter = (AUDIO_CONVERTER_FILE,) if self._family.converter else ()
        return name in (CONFIG_FILE, TOKENIZER_FILE, *converter, *self._family.assets)

    def json(self, name: str) -> dict[str, Any]:
        """The content of a JSON file of the preset that is shown. Spec: presets.export.audio-converter"""
        if name == CONFIG_FILE:
            config = self._family.backbone_config(self._config, f"{self}/{CONFIG_FILE}")
            return _envelope(self._family.backbone, config)
        if name == TOKENIZER_FILE:
            config, extension = self._tokenizer_config()
            name = self._family.backbone.removesuffix("Backbone") + "Tokenizer"
            return _envelope(name, config) | {"refimpl": extension}
        if name == AUDIO_CONVERTER_FILE and self._family.converter:
            told = optional_json(self._folder, CONVERTER_FILE)
            return _envelope(self._family.converter, {key: told[key] for key in CONVERTER_KEYS if key in told})
        if name == _VOCABULARY:
            return {**self._vocabulary[0], **{token: id for token, (id, _) in self._added.items()}}
        return self._folder.json(name)

    def text(self, name: str) -> str:
        """The content of a text file of the preset that is shown."""
        return "\n".join(self._vocabulary[1]) if name == _MERGES else self._folder.text(name)

    def read_bytes(self, name: str) -> bytes:
        """The content of a small file of the preset that is shown."""
        if name not in self._family.assets:
            return self._folder.read_bytes(name)
        if self._family.converter and not self._folder.has(self._family.sentence_piece):
            return proto_of_bpe(self._folder)
        if self._family.sentence_piece != MODEL_FILE:  # KerasHub reads nothing else of Gemma's tokenizer
            return self._folder.read_bytes(self._family.sentence_piece)
        return proto_of_checkpoint(self._folder)

    def _tokenizer_config(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What KerasHub's tokenizer is built with, and what it has no argument for.

        Spec: presets.transformers.special-tokens
        """
        if self._family.sentence_piece != MODEL_FILE:
            return {}, {}
        told: dict[str, Any] = flags_to_json({token: flags for token, (_, flags) in self._added.items()})
        if _VOCABULARY not in self._family.assets:
            return {}, {"added_tokens": {token: id for token, (id, _) in self._added.items()}, **told}
        prefix = prefix_space(tokenizer_json(self._folder), optional_json(self._folder, CONFIG), str(self))
        kept = {"unsplittable_tokens": list(self._added)} if self._added else {}
        return {"add_prefix_space": prefix, **kept}, told

    @functools.cached_property
    def _added(self) -> Added:
        """Tokens that are found in text as they stand."""
        if _VOCABULARY in self._family.assets:
            return added_tokens(self._folder, self._vocabulary[0])
        return sentence_piece_tokens(self._folder)

    @functools.cached_property
    def _vocabulary(self) -> tuple[Mapping[str, Any], list[str]]:
        content = tokenizer_json(self._folder)
        if content is not None:
            return vocabulary_of(content, f"{self}/{TOKENIZER_FILE}")
        for name in ("vocab.json", "merges.txt"):
            if not self._folder.has(name):
                raise no_tokenizer(self._folder, name, "byte-level BPE")
        return self._folder.json("vocab.json"), self._folder.text("merges.txt").split("\n")

    # -- weights ---------------------------------------------------------------------------------------------------
    def read_weights(self, layout: Layout, dtype: str) -> dict[str, np.ndarray]:
        """All weights of an architecture.

        Raises: WeightsError, UnsafePresetError, PresetUnreadableError, PresetFileNotFoundError.
        Spec: presets.transformers.weights, presets.weights.complete, presets.weights.extra
        """
        tensors = self._tensors()
        maps: Maps = {}
        plan: list[tuple[Weight, Segment | None]] = []
        taken = {*self._family.unused, *self._family.zero}
        for weight in layout:
            place, shape = weight.tensor, weight.shape
            if not place.names:
                plan.append((weight, None))
                continue
            substitute = place.instead if place.instead in tensors else place.names[0]
            known = [other for other in place.names if other in tensors] or [substitute]
            found = [expect(tensors, other, place.stored_shape(shape)).check() for other in known]
            _refuse_different(known, found)
            plan.append((weight, found[0]))
            taken |= set(known)
        self._refuse_rest(tensors, taken)
        check_total([segment for _, segment in plan if segment])
        return {
            weight.name: weight.fresh(dtype)
            if segment is None
            else weight.laid(segment.array(dtype, weight.shape, maps, weight.tensor.inputs, weight.tensor.skipped))
            for weight, segment in plan
        }

    def _tensors(self) -> Tensors:
        """All tensors of the checkpoint, by their names in a model with a head."""
        if self.find(WEIGHTS) is None and self.find(INDEX) is not None:
            index = read_index(self._folder.json(INDEX), f"{self}/{INDEX}")
            files = sorted({name for names in index.values() for name in names})
        else:
            files = [WEIGHTS]
            self._refuse_foreign()
        found: Tensors = {}
        for name in files:
            path = self._folder.file(name)
            try:
                header = read_header(path)
            except OSError as error:
                if isinstance(error, PresetUnreadableError):
                    raise
                raise PresetUnreadableError(
                    f"{path} can't be read: {error}.",
                    "It must be a safetensors file.",
                    "Check its permissions.",
                    "presets.folder.unreadable",
                ) from error
            if twice := sorted(header.keys() & found.keys()):
                raise WeightsError(
                    f"The tensor {twice[0]!r:.80} stands in two files of {self}.",
                    "A tensor stands in one file.",
                    "Download the checkpoint anew.",
                    "presets.transformers.weights",
                )
            found |= header
        # A checkpoint without a head has no prefix before its names.
        prefix = self._family.prefix
        headless = not any(name.startswith(prefix) for name in found)
        return {f"{prefix}{name}" if headless else name: segment for name, segment in found.items()}

    def _refuse_foreign(self) -> None:
        """Weights in formats that are not read, above all pickles, which run code.

        Raises: PresetFileNotFoundError that says how to convert them.
        Spec: presets.transformers.foreign-weights
        """
        if self.find(WEIGHTS) is not None:
            return
        there = [name for name in _FOREIGN if (self.path / name).exists()]
        found = f"other files instead (found: {', '.join(self._folder.names())})"
        raise PresetFileNotFoundError(
            f"`{WEIGHTS}` doesn't exist in {self}, which has {f'{there[0]} instead' if there else found}.",
            f"Weights are read from safetensors; {', '.join(_FOREIGN)} and their like are not.",
            "Convert them once with transformers: AutoModelForSeq2SeqLM.from_pretrained(FOLDER"
            f"{_FOREIGN.get(there[0], '') if there else ''}).save_pretrained(NEW, safe_serialization=True).",
            "presets.transformers.foreign-weights",
        )

    def _refuse_rest(self, tensors: Tensors, taken: set[str]) -> None:
        """A tensor that no weight takes would change the numbers, or is of another architecture."""
        extra = sorted(name for name in tensors if name not in taken and not name.startswith(_OTHER_HEADS))
        for name in self._family.zero:
            bias = tensors.get(name)
            if bias is not None and bias.check().array("float64", bias.shape, {}).any():
                extra.append(f"{name} (not zero)")
        if extra:
            raise WeightsError(
                f"{self} holds {len(extra)} tensor(s) that no weight takes: {', '.join(extra[:3]):.200}.",
                "A checkpoint must hold the weights of the architecture in config.json and no others; "
                "KerasHub's BART has no bias on its logits.",
                "Check the layers in config.json, or use another checkpoint.",
                "presets.weights.extra",
            )


def _envelope(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """A serialized object, as KerasHub writes it."""
    return {"module": None, "class_name": name, "config": config, "registered_name": f"keras_hub>{name}"}


def _refuse_different(names: list[str], segments: list[Segment]) -> None:
    """Tensors that stand for one tied weight must be equal.

    Spec: presets.transformers.tied
    """
    for name, segment in zip(names[1:], segments[1:], strict=True):
        if not segments[0].equals(segment):
            raise WeightsError(
                f"The tensors {names[0]!r} and {name!r} differ.",
                "The model has one embedding table for the encoder, the decoder and its logits.",
                "Use a checkpoint whose embeddings are tied.",
                "presets.transformers.tied",
            )
