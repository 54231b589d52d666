"""Saves a finding as a golden case: the preset beside it, the expectation from one of the two that is not `refimpl`."""

import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from conformance.fuzz.duel import NUMERIC, _moved
from conformance.fuzz.models import write_preset
from conformance.make.goldens import render
from conformance.make.questions import FLAGS
from conformance.make.truth import noise
from conformance.suite.cases import FORMAT
from conformance.suite.messages import answer, encode

# Clause and flag of an operation.
CLAUSES = {
    "logits": ("models.logits", "Arithmetic"), "states": ("models.bart.decoder-layer", "Arithmetic"),
    "cached_logits": ("decoding.cache.equals-uncached", "Cache"), "generate": ("generate.greedy.argmax", "Cache"),
    "tokenize": ("tokenizers.byte-pair.merges", "Merge"), "detokenize": ("tokenizers.detokenize.byte-level", "Bytes"),
    "preprocess": ("preprocessing.bart.frames", "Packing"),
    "generate_preprocess": ("preprocessing.bart.frames", "Packing"),
    "sample": ("samplers.loop.stop", "Sampling"),
}  # fmt: skip


def save(found: dict[str, Any], right: Any, folder: Path) -> Path:
    """Write preset and case below `folder`, laid out as golden/ is; `right` answers the question."""
    call, slug = found["question"]["call"], f"fuzz-{found['unit']}"
    architecture, (clause, flag) = found["question"]["model"].get("architecture", "bart"), CLAUSES[call["op"]]
    clause = clause.replace(".bart.", f".{architecture}.")
    preset = folder / "presets" / f"{architecture}_{slug.replace('-', '_')}"
    write_preset(found["question"]["model"], preset)
    chapter, topic = clause.split(".")[0], f"fuzz_{found['unit']}"
    path = folder / chapter / f"{topic}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    expect, arrays = expectation(call, preset, right)
    info = right.start()
    case = {
        "id": f"{clause}#{slug}", "about": f"Found by the fuzzer: {found['signature']}.", "flags": [flag],
        "capability": "core" if call["op"] in ("generate", "tokenize", "detokenize") else "probe",
        "steps": [{"op": "load", "args": {"preset": preset.name, **call["load"]}},
                  {"op": call["op"], "args": call["args"], "expect": expect}],
        "provenance": {"producer": info["implementation"], "version": info["version"], "backend": info["backend"],
                       "date": date.today().isoformat()},
    }  # fmt: skip
    path.write_text(render({"format": FORMAT, "flags": {flag: FLAGS[flag]}, "cases": [case]}) + "\n", encoding="utf-8")
    if arrays:
        save_file(arrays, path.with_suffix(".safetensors"))
    return path


def expectation(call: dict[str, Any], preset: Path, right: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What is expected, and the arrays that it names: numbers in float64 with their floor, all else as it is."""
    if call["op"] not in NUMERIC:
        return {"exact": encode(_asked(right, call, preset))}, {}
    truth = _asked(right, call, preset, dtype="float64")
    honest = [_asked(right, call, preset)]
    with tempfile.TemporaryDirectory() as scratch:
        honest += [_asked(right, call, _moved(preset, Path(scratch) / str(n), n), dtype="float64") for n in range(3)]
    rules = {}
    for key in NUMERIC[call["op"]]:
        floor, floor_99 = noise(np.asarray(truth[key], np.float64), [run[key] for run in honest])
        rules[key] = {"truth": key, "floor": floor, "floor_99": floor_99}
    return {"numeric": rules}, {key: np.ascontiguousarray(truth[key], np.float64) for key in rules}


def _asked(adapter: Any, call: dict[str, Any], preset: Path, **more: Any) -> dict[str, Any]:
    answer(adapter, "load", {"preset": str(preset), "keep": False, **call["load"], **more})
    reply = answer(adapter, call["op"], json.loads(json.dumps(call["args"])))
    if "result" not in reply:
        raise SystemExit(f"The implementation that should say what is right gives {reply}.")
    return dict(reply["result"])
