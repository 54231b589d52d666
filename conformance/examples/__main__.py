"""Runs examples and steps, side by side."""

import importlib
import json
import os
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from conformance.examples.documented import BROKEN, EXAMPLES
from conformance.examples.steps import REFUSED, SETUP, STEPS

COLUMNS = {
    "keras_hub": ("keras_hub", "keras"),
    "refimpl with Keras": ("refimpl", "keras"),
    "refimpl alone": ("refimpl", "refimpl"),
}


def make_preset(folder: str) -> str:
    """A small BART with 1,024 positions, as bart_base_en has, made and saved by KerasHub."""
    keras_hub = importlib.import_module("keras_hub")
    bytes_ = [chr(n) for n in (*range(33, 127), *range(161, 173), *range(174, 324))]
    words = {token: n for n, token in enumerate(["<s>", "<pad>", "</s>", "<mask>", *bytes_, "Ġt", "he", "Ġthe"])}
    tokenizer = keras_hub.models.BartTokenizer(words, ["Ġ t", "h e", "Ġt he"])
    backbone = keras_hub.models.BartBackbone(len(words), 2, 3, 24, 40)
    generator = np.random.default_rng(1)
    for weight in backbone.weights:
        weight.assign(generator.standard_normal(weight.shape) * 0.5 + ("gamma" in weight.path))
    lm = keras_hub.models.BartSeq2SeqLM(backbone, keras_hub.models.BartSeq2SeqLMPreprocessor(tokenizer))
    lm.save_to_preset(folder)
    return folder


def run(code: str, libraries: tuple[str, str], preset: str) -> Any:
    """What an example leaves in `result`, or its error."""
    names: dict[str, Any] = dict(zip(("keras_hub", "keras"), map(importlib.import_module, libraries), strict=True))
    names["np"] = np
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:  # steps write files beside themselves
        os.chdir(folder)
        try:
            exec(textwrap.dedent(code).replace('"bart_base_en"', repr(preset)), names)
        except Exception as error:
            return f"{type(error).__name__}: {error!s:.160}"
        finally:
            os.chdir(here)
    return plain(names["result"])


def plain(value: Any) -> Any:
    """A result as JSON can hold it; integers and truth values alike, floats to five digits."""
    if isinstance(value, dict):
        return {key: plain(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return np.asarray(value, int).tolist()
    return float(f"{float(value):.5g}") if isinstance(value, (float, np.floating)) else value


def alike(one: Any, other: Any) -> bool:
    """Equal, but for the last digits of losses after several steps in float32."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-4, atol=0))
    return bool(one == other)


def documented(preset: str) -> int:
    """Run and compare all documented examples; returns how many differ that are not known to."""
    unexpected = 0
    for title, code in EXAMPLES.items():
        theirs, ours = run(code, COLUMNS["keras_hub"], preset), run(code, COLUMNS["refimpl alone"], preset)
        same = theirs == ours
        expected = same != (title in BROKEN)
        unexpected += not expected
        verdict = "same" if same else f"differs, as known: {BROKEN[title]}" if expected else "DIFFERS"
        print(f"{title}: {verdict}\n  keras_hub {json.dumps(theirs):.300}\n  refimpl   {json.dumps(ours):.300}")
    print(f"{len(EXAMPLES) - unexpected} passed, {unexpected} failed\n")
    return unexpected


def steps(preset: str, columns: list[str]) -> int:
    """Run all steps in these ways; returns how many fail under refimpl, or differ where KerasHub passes."""
    passed, failed = dict.fromkeys(columns, 0), 0
    for title, code in STEPS.items():
        results = {
            name: run(f"{textwrap.dedent(SETUP)}\n{textwrap.dedent(code)}", COLUMNS[name], preset) for name in columns
        }
        good = {name: not (isinstance(r, str) and "Error: " in r) for name, r in results.items()}
        for name in columns:
            passed[name] += good[name]
        theirs = results["keras_hub"] if good.get("keras_hub") else None
        wrong = [n for n, r in results.items() if not good[n] or (theirs is not None and not alike(r, theirs))]
        failed += bool(set(wrong) - {"keras_hub"})
        print(f"{title}: {'same' if not wrong else 'fails or differs in ' + ', '.join(wrong)}")
        for name in results if wrong else []:
            print(f"  {name:18} {json.dumps(results[name], default=str):.300}")
    print(", ".join(f"{name} {count} of {len(STEPS)}" for name, count in passed.items()) + "\n")
    return failed


def refused(preset: str) -> int:
    """Run what refimpl refuses; returns how many are refused by no named error."""
    unnamed = 0
    for title, code in REFUSED.items():
        ours = run(f"{textwrap.dedent(SETUP)}\nresult = None\n{code}", COLUMNS["refimpl alone"], preset)
        unnamed += not (isinstance(ours, str) and ours.startswith(("UnsupportedError", "ConfigError")))
        print(f"{title}: {ours}")
    print(f"{len(REFUSED) - unnamed} refused by name, {unnamed} not")
    return unnamed


def main(preset: str | None = None, quick: bool = False) -> int:
    """Run everything, `quick` without KerasHub's minutes for the steps; returns 1 if something went wrong that is not
    known to.
    """
    preset = str(Path(preset or make_preset(tempfile.mkdtemp())).resolve())
    columns = ["refimpl alone"] if quick else list(COLUMNS)
    return int(bool(documented(preset) + steps(preset, columns) + refused(preset)))


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--quick"]
    sys.exit(main(*words[:1], quick="--quick" in sys.argv))
