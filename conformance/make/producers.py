"""Asks the producers: each with what it is asked, some in processes of their own."""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from conformance.adapters.transformers import Transformers
from conformance.make.answers import answers_of
from conformance.make.goldens import BACKENDS, SCALAR
from conformance.make.quantized import Quantized
from conformance.make.truth import PROFILE_OF
from conformance.suite.runner import filled_in


def ask_apart(
    producer: str, environment: dict[str, str], ids: list[str], scratch: Path, dtype: str = ""
) -> dict[str, Any]:
    """A producer's answers, from a process of its own: a Keras backend or a processor's vectors hold for all of it."""
    target, asked = scratch / "answers.pickle", scratch / "asked.json"
    asked.write_text(json.dumps(ids), encoding="utf-8")
    words = [
        sys.executable,
        "-m",
        "conformance.make.answers",
        producer,
        str(target),
        str(asked),
        *filter(None, [dtype]),
    ]
    done = subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{producer} with {environment} gave no answers: {done.stderr[-2000:]}")
    return pickle.loads(target.read_bytes())


def ask_tokenizers(questions: list[dict[str, Any]]) -> dict[str, Any]:
    """Ids of Hugging Face's byte-level BPE, with the special tokens that BartTokenizer has in KerasHub."""
    import tokenizers

    found = {}
    for question in questions:
        load, ask = question["steps"]
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(filled_in(load, Path(scratch), 0)["preset"]) / "assets" / "tokenizer"
            model = tokenizers.models.BPE.from_file(str(folder / "vocabulary.json"), str(folder / "merges.txt"))
        tokenizer = tokenizers.Tokenizer(model)
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.add_special_tokens(["<s>", "<pad>", "</s>"])
        text = ask["args"]["text"]
        ids = [
            tokenizer.encode(item, add_special_tokens=False).ids for item in ([text] if isinstance(text, str) else text)
        ]
        found[question["id"]] = [{}, {"result": {"ids": ids[0] if isinstance(text, str) else ids}}]
    return {"info": {"version": tokenizers.__version__}, "answers": found}


def gather(questions: list[dict[str, Any]], cache: str | None) -> dict[str, dict[str, Any]]:
    """All producers' answers; `cache` is a folder for KerasHub's, which are then asked for once."""
    numeric = [q for q in questions if q["by"] in ("transformers", "zeros")]
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, backend, dtype in [*((b, b, "") for b in BACKENDS), ("float64", "torch", "float64")]:
            file = Path(cache or scratch) / f"{name}.pickle"
            found[name] = pickle.loads(file.read_bytes()) if file.exists() else {"info": {}, "answers": {}}
            known = found[name]["answers"]
            new = [q["id"] for q in questions if q["by"] != "hand" and q["id"] not in known]
            if dtype:  # the oracle of the peer itself: forward passes only
                new = [id for id in new if id in {q["id"] for q in questions if has_numbers(q)}]
            drawn = {q["id"]: has_numbers(q) for q in questions if "#drawn" in q["id"]}
            if name not in ("torch", "float64"):  # many small ones: transformers and one Keras backend tell the noise
                new = [id for id in new if not drawn.get(id) and not (name == "tensorflow" and id in drawn)]
            if new:
                more = ask_apart("keras_hub", {"KERAS_BACKEND": backend}, new, Path(scratch), dtype)
                found[name] = {"info": more["info"], "answers": known | more["answers"]}
                file.write_bytes(pickle.dumps(found[name]))
    for name, adapter in transformers().items():  # drawn ones are many, and judged as float32 only
        asked = [q for q in numeric if name not in PROFILE_OF or "#drawn" not in q["id"]]
        found[name] = {"info": adapter.start(), "answers": answers_of(adapter, asked)}
    numbers = [q["id"] for q in numeric if has_numbers(q) or any("trace" in s.get("expect", {}) for s in q["steps"])]
    for name in SCALAR if numbers else ():
        with tempfile.TemporaryDirectory() as scratch:
            found[name] = ask_apart(name, {"ATEN_CPU_CAPABILITY": "default"}, numbers, Path(scratch))
    found["tokenizers"] = ask_tokenizers([q for q in questions if q["by"] == "tokenizers"])
    return found


def has_numbers(question: dict[str, Any]) -> bool:
    """Whether a question asks for arrays that are judged by a noise floor."""
    return any("numeric" in step.get("expect", {}) for step in question["steps"])


def transformers() -> dict[str, Transformers]:
    """The float64 truth, two honest float32 runs, and two in each arithmetic that a profile allows."""
    return {
        "truth": Transformers(),
        "transformers32": Transformers("float32"),
        "transformers32-permuted": Transformers("float32", permuted=True),
        "bfloat16": Transformers("bfloat16"),
        "bfloat16-permuted": Transformers("bfloat16", permuted=True),
        "float16": Transformers("float16"),
        "float16-permuted": Transformers("float16", permuted=True),
        "int8": Quantized(),
        "int8-per-channel": Quantized(per_channel=True),
    }
