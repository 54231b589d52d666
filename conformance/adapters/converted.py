"""The suite's presets as Hugging Face folders, which engines other than KerasHub read. Made here, without `refimpl`."""

import itertools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from conformance.adapters.transformers import Transformers
from conformance.suite.messages import UnsupportedError

# Nothing is forced at the ends (BartConfig's default forces </s>). CTranslate2 asks for the last two, which published
# BARTs have.
SETTINGS = {
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "normalize_before": False,
    "normalize_embedding": True,
}


class Converted:
    """Folders made on demand, one for each preset; they go when the process ends."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="conformance-")
        self._made: dict[str, Path] = {}
        self._numbers = itertools.count()

    def folder(self, preset: Path, keep: bool = True) -> Path:
        """The converted folder of a preset. A preset that will change (`keep=False`) is converted each time."""
        key = str(preset)
        if key not in self._made or not keep:
            target = Path(self._folder.name) / f"{preset.name}-{next(self._numbers)}"
            convert(preset, target)
            self._made[key] = target
        return self._made[key]

    def close(self) -> None:
        """Remove the folders."""
        self._folder.cleanup()


def convert(preset: Path, target: Path) -> None:
    """Write config, weights, generation settings and tokenizer of a BART or T5 preset."""
    from transformers import GenerationConfig

    maker = Transformers("float32")
    maker.load({"preset": preset})
    if "T5Gemma" in type(maker.model).__name__:
        raise UnsupportedError("T5Gemma is not converted")
    t5 = (preset / "assets/tokenizer/vocabulary.spm").is_file()
    target.mkdir(parents=True)
    ids = _write_pieces(preset, target) if t5 else _write_byte_pairs(preset, target)
    for name, value in (ids if t5 else ids | SETTINGS).items():
        setattr(maker.model.config, name, value)
    maker.model.generation_config = GenerationConfig(**ids)
    maker.model.save_pretrained(target)
    if t5:  # as published folders have it; transformers 5 writes True always, and keeps the meaning under another name
        settings = json.loads((target / "config.json").read_text("utf-8"))
        settings["tie_word_embeddings"] = settings.pop("scale_decoder_outputs")
        (target / "config.json").write_text(json.dumps(settings, indent=1), "utf-8")


def _write_pieces(preset: Path, target: Path) -> dict[str, int]:
    """The SentencePiece model under the name that T5's tokenizer looks for. Returns its special ids."""
    from sentencepiece import SentencePieceProcessor

    shutil.copy(preset / "assets/tokenizer/vocabulary.spm", target / "spiece.model")
    settings = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "clean_up_tokenization_spaces": False}
    (target / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    pieces = SentencePieceProcessor(model_file=str(target / "spiece.model"))
    pad, end = pieces.pad_id(), pieces.eos_id()
    return {"pad_token_id": pad, "eos_token_id": end, "decoder_start_token_id": pad}


def _write_byte_pairs(preset: Path, target: Path) -> dict[str, int]:
    """`vocab.json` and `merges.txt`, and which class reads them. Returns the special ids."""
    merges = (preset / "assets/tokenizer/merges.txt").read_text("utf-8")
    words = json.loads((preset / "assets/tokenizer/vocabulary.json").read_text("utf-8"))
    (target / "vocab.json").write_text(json.dumps(words, ensure_ascii=False), "utf-8")
    (target / "merges.txt").write_text("#version: 0.2\n" + merges, "utf-8")
    special = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "pad_token": "<pad>"}
    settings: dict[str, Any] = {**special, "unk_token": None, "mask_token": None, "add_prefix_space": False}
    settings |= {"tokenizer_class": "BartTokenizer", "clean_up_tokenization_spaces": False}
    (target / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    ids = {f"{name}_token_id": words[special[f"{name}_token"]] for name in ("bos", "pad", "eos")}
    return ids | {"decoder_start_token_id": words["</s>"]}
