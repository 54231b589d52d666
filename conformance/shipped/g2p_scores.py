"""Score a spelling-to-phonemes preset on the held-out words, with any library that carries KerasHub's names.

    python conformance/shipped/g2p_scores.py --preset golden/presets/bart_g2p_en --library refimpl

Prints the error rates as JSON; `--texts FILE` also writes what was generated, a line a word, so that two libraries can
be compared. For `--library keras_hub` set KERAS_BACKEND.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from g2p_data import error_rates

HELD_OUT = Path(__file__).parents[2] / "golden" / "presets" / "bart_g2p_en" / "heldout.tsv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", required=True, help="preset folder")
    parser.add_argument("--library", default="refimpl", help="refimpl or keras_hub")
    parser.add_argument("--words", type=int, default=5000, help="how many held-out words")
    parser.add_argument("--batch-size", type=int, default=500)
    parser.add_argument("--texts", type=Path, help="file for the generated texts")
    arguments = parser.parse_args()
    models = importlib.import_module(arguments.library).models
    # KerasHub does not save the lengths.
    lengths = {"encoder_sequence_length": 32, "decoder_sequence_length": 32}
    preprocessor = models.BartSeq2SeqLMPreprocessor.from_preset(arguments.preset, **lengths)
    task = models.Seq2SeqLM.from_preset(arguments.preset, preprocessor=preprocessor)
    task.compile(sampler="greedy")
    lines = HELD_OUT.read_text(encoding="utf-8").splitlines()[: arguments.words]
    words, references = zip(*((word, listed) for word, *listed in (line.split("\t") for line in lines)), strict=True)
    outputs: list[str] = []
    for first in range(0, len(words), arguments.batch_size):
        outputs += task.generate(list(words[first : first + arguments.batch_size]))
    if arguments.texts:
        arguments.texts.write_text("".join(f"{text}\n" for text in outputs), encoding="utf-8")
    print(json.dumps({key: round(value, 5) for key, value in error_rates(outputs, references).items()}))


if __name__ == "__main__":
    main()
