"""Writes `bart_dropout0` in the other forms that `from_preset` takes: python -m conformance.make.forms [FOLDER]

In shards, in float16 and in bfloat16 by KerasHub's `save_to_preset`; as a folder of transformers by `save_pretrained`.
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from conformance.suite.cases import GOLDEN

SOURCE = GOLDEN / "presets" / "bart_dropout0"


def write_forms(target: Path) -> None:
    """Write all forms below `target`."""
    import keras_hub

    for name, dtype, size in (("sharded", None, 3e-5), ("float16", "float16", 10), ("bfloat16", "bfloat16", 10)):
        folder = target / f"bart_{name}"
        shutil.rmtree(folder, ignore_errors=True)
        lm = keras_hub.models.Seq2SeqLM.from_preset(str(SOURCE), **({"dtype": dtype} if dtype else {}))
        lm.save_to_preset(str(folder), max_shard_size=size)
    write_transformers(target / "bart_transformers")


def write_transformers(folder: Path) -> None:
    """The same weights and vocabulary as a checkpoint of transformers."""
    from conformance.adapters.transformers import Transformers

    shutil.rmtree(folder, ignore_errors=True)
    adapter = Transformers("float32")
    adapter.load({"preset": SOURCE})
    model: Any = adapter.model
    ids = {
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "decoder_start_token_id": 2,
        "forced_eos_token_id": None,
    }
    for key, value in ids.items():
        setattr(model.config, key, value)
    model.config.architectures = ["BartForConditionalGeneration"]
    model.save_pretrained(folder)
    assets = SOURCE / "assets" / "tokenizer"
    shutil.copy(assets / "vocabulary.json", folder / "vocab.json")
    shutil.copy(assets / "merges.txt", folder / "merges.txt")
    names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "</s>"}
    config = {"tokenizer_class": "BartTokenizer", "add_prefix_space": False, **names}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


if __name__ == "__main__":
    write_forms(Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN / "presets")
