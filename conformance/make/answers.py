"""Asks one producer all questions and keeps its answers: run in a process of its own, for what a process settles."""

import json
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters import find
from conformance.adapters.transformers import Transformers
from conformance.make.questions import all_questions
from conformance.suite.cases import GOLDEN
from conformance.suite.messages import answer
from conformance.suite.runner import filled_in
from conformance.suite.signals import spelled_out


def answers_of(adapter: Any, questions: list[dict[str, Any]], **load_args: Any) -> dict[str, list[dict[str, Any]]]:
    """The replies to every step of every question."""
    found = {}
    for question in questions:
        with tempfile.TemporaryDirectory() as scratch:
            replies: list[dict[str, Any]] = []
            lost: dict[str, Any] | None = None
            for number, step in enumerate(question["steps"]):
                args = filled_in(step, Path(scratch), number)
                if args.get("forced") == "truth":
                    args["forced"] = true_tensors(question)
                if loads := step["op"] == "load":
                    args, lost = args | load_args, None
                # What could not be loaded is not asked: the model of the question before would answer.
                replies.append(lost or answer(adapter, step["op"], args))
                lost = replies[-1] if loads and "result" not in replies[-1] else lost
            found[question["id"]] = replies
    return found


def true_tensors(question: dict[str, Any]) -> dict[str, np.ndarray]:
    """The tensors of the whole pass in float64, as float32: what the blocks of a forced pass are fed."""
    truth = Transformers()
    load, trace = question["steps"][:2]
    truth.load({"preset": str(GOLDEN / "presets" / load["args"]["preset"])})
    found = truth.call("trace", {"inputs": spelled_out(trace["args"]["inputs"])})
    return {name: array.astype("float32") for name, array in found.items()}


def main(backend: str, target: str, asked: str, dtype: str = "") -> None:
    """Write the answers to a file; `asked` is a file of the ids of the questions that are put."""
    ids = set(json.loads(Path(asked).read_text(encoding="utf-8")))
    questions = [q for q in all_questions() if q["by"] != "hand" and q["id"] in ids]
    float32 = backend.startswith("transformers32")
    adapter = Transformers("float32", permuted="permuted" in backend) if float32 else find(backend)
    info = adapter.start()
    content = {"info": info, "answers": answers_of(adapter, questions, **({"dtype": dtype} if dtype else {}))}
    Path(target).write_bytes(pickle.dumps(content))


if __name__ == "__main__":
    main(*sys.argv[1:])
