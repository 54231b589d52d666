"""Puts questions and answers together and writes golden/<chapter>/<topic>.json."""

import copy
import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from conformance.make.generations import certainty, over_truth
from conformance.make.kept import arrays_of
from conformance.make.questions import FLAGS
from conformance.make.traces import trace_rule
from conformance.make.truth import PROFILE_OF, profile_floors, truth_and_floor
from conformance.suite.cases import FORMAT
from conformance.suite.compare import sparse
from conformance.suite.messages import encode
from conformance.suite.runner import filled_in

BACKENDS = ("jax", "torch", "tensorflow")
# `scalar`: as on a processor without vectors, whose sums have another order.
SCALAR = ("transformers32-scalar", "transformers32-permuted-scalar")
HONEST = (*BACKENDS, "transformers32", "transformers32-permuted", *SCALAR)
Replies = dict[str, dict[str, list[dict[str, Any]]]]  # producer -> case -> replies


class Goldens:
    """Collects cases by file, then writes them."""

    def __init__(self, answers: Replies, infos: dict[str, dict[str, Any]]) -> None:
        self.answers, self.infos = answers, infos
        self.cases: dict[str, list[dict[str, Any]]] = {}
        self.arrays: dict[str, dict[str, np.ndarray]] = {}
        self.problems: list[str] = []

    def build(self, questions: list[dict[str, Any]], kept: dict[str, dict[str, Any]], folder: Path) -> None:
        """Answer every question; cases that are `kept` in `folder` stay as they are."""
        for question in questions:
            chapter, topic = question["id"].partition("#")[0].split(".")[:2]
            self.file = f"{chapter}/{topic}"
            if old := kept.get(question["id"]):
                self.arrays.setdefault(self.file, {}).update(arrays_of(old, folder / self.file))
                self.cases.setdefault(self.file, []).append(old)
                continue
            # Step by step: what two steps share would be answered once for both.
            case = {**question, "steps": [copy.deepcopy(step) for step in question["steps"]]}
            case["provenance"] = self.provenance(case.pop("by"))
            self.sparse = case.pop("sparse", False)
            for number, step in enumerate(case["steps"]):
                if not step["args"]:
                    del step["args"]
                if "expect" in step:
                    self.fill(case, number, step["expect"])
            self.cases.setdefault(self.file, []).append(case)

    def provenance(self, by: str) -> dict[str, Any]:
        """Who gave the answer."""
        today = {"date": date.today().isoformat()}
        if by == "hand":
            return {"producer": "by hand", "version": "-", "backend": "-"} | today
        if by == "tokenizers":
            return {"producer": "tokenizers", "version": self.infos["tokenizers"]["version"], "backend": "-"} | today
        name = "jax" if by in ("keras_hub", "jax") else "truth"
        info = self.infos[name]
        return {"producer": info["implementation"], "version": info["version"], "backend": info["backend"]} | today

    def fill(self, case: dict[str, Any], number: int, expect: dict[str, Any]) -> None:
        """Replace what a question leaves open by the producer's answer."""
        if isinstance(expect.get("exact"), list):
            expect["exact"] = self.exact(case, number, expect["exact"])
        if isinstance(expect.get("numeric"), list):
            expect["numeric"] = {key: self.numeric(case, number, key) for key in expect["numeric"]}
        if "trace" in expect:
            expect["trace"] = self.trace(case, number)
        if "generation" in expect:
            expect["generation"] = self.generation(case, number)

    def exact(self, case: dict[str, Any], number: int, keys: list[str]) -> dict[str, Any]:
        """The same answer from the producer and from all others that were asked."""
        id = case["id"]
        asked = [name for name in BACKENDS if id in self.answers.get(name, {})]
        names = ("tokenizers",) if case["provenance"]["producer"] == "tokenizers" else asked
        names = ("jax",) if case["capability"] == "jax-random" else names
        found = {name: encode(self.answers[name][id][number].get("result")) for name in names}
        first = found[names[0]]
        if names == ["jax"]:
            self.problems.append(f"{id}: nobody but KerasHub on JAX was asked")
        if first is None:
            self.problems.append(f"{id}: {names[0]} gave {self.answers[names[0]][id][number]}")
            return {}
        for name in names[1:]:
            if any((found[name] or {}).get(key) != first[key] for key in keys):
                self.problems.append(f"{id}: {name} differs from {names[0]}: {found[name]} / {first}")
        if len(names) > 1:
            case["provenance"]["confirmed"] = list(names[1:])
        return {key: first[key] for key in keys}

    def numeric(self, case: dict[str, Any], number: int, key: str) -> dict[str, Any]:
        """Truth and floor; the truth goes into the file of arrays."""
        id = case["id"]
        names = ("truth", "float64", *HONEST)
        replies = {name: self.answers[name][id][number] for name in names if id in self.answers[name]}
        truth, floor, floor_99, notes = truth_and_floor(replies, key, id)
        case["provenance"][key] = notes
        low = {name: self.answers[name][id][number] for name in PROFILE_OF if id in self.answers[name]}
        floors = {"floor": floor, "floor_99": floor_99, "profiles": profile_floors(truth, low, key)}
        if self.sparse:
            at = [kept_places(size) for size in truth.shape[:2]]
            # Of so few elements the 99th percentile is the worst one.
            floors |= {"floor_99": floor, "shape": list(truth.shape), "at": at}
            truth = sparse(truth, at)
        return {"truth": self.stored(truth, f"{id}/{number}/{key}"), **floors}

    def trace(self, case: dict[str, Any], number: int) -> dict[str, Any]:
        """Truths and floors of the tensors inside the model."""
        id = case["id"]
        replies = {name: self.answers[name][id][number] for name in ("truth", *HONEST) if id in self.answers[name]}
        whole = self.answers["truth"][id][1]["result"]
        return trace_rule(replies, whole, id, self.stored)

    def stored(self, array: np.ndarray, name: str) -> str:
        """The name under which an array is kept; equal arrays are kept once."""
        arrays = self.arrays.setdefault(self.file, {})
        for known, other in arrays.items():
            if np.array_equal(array, other):
                return known
        arrays[name] = np.ascontiguousarray(array)
        return name

    def generation(self, case: dict[str, Any], number: int) -> dict[str, Any]:
        """KerasHub's ids, or those of a search over the truth, and how certain each of them is by the float64 truth."""
        with tempfile.TemporaryDirectory() as scratch:
            args = filled_in(case["steps"][0], Path(scratch), 0)
            for adapter in self.scorers.values():
                adapter.load(args)
        if case["provenance"]["producer"] == "transformers":
            found = over_truth(self.scorers["truth"], case["steps"][number]["args"])
        else:
            found = self.exact(case, number, ["decoder_token_ids", "decoder_padding_mask"])
        return found | certainty(self.scorers, case, number, found["decoder_token_ids"])

    scorers: dict[str, Any]

    def write(self, folder: Path) -> list[str]:
        """Write all files; returns what stands in the folder and is no longer made."""
        made = set()
        for name, cases in sorted(self.cases.items()):
            path = folder / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            used = {flag for case in cases for flag in case["flags"]}
            content = {"format": FORMAT, "flags": {f: FLAGS[f] for f in sorted(used)}, "cases": cases}
            path.write_text(render(content) + "\n", encoding="utf-8")
            made.add(path)
            if self.arrays.get(name):
                save_file(self.arrays[name], path.with_suffix(".safetensors"))
                made.add(path.with_suffix(".safetensors"))
        chapters = {name.partition("/")[0] for name in self.cases}
        stale = [
            p
            for c in chapters
            for p in (folder / c).iterdir()
            if p.suffix in (".json", ".safetensors") and p not in made
        ]
        for path in stale:
            path.unlink()
        return sorted(map(str, stale))


def kept_places(size: int) -> list[int]:
    """Which rows or positions a sparse truth keeps: the ends, and those where a power of two begins."""
    return [n for n in (0, 32, 64, 128) if n < size - 1] + [size - 1]


def render(value: Any, indent: int = 0) -> str:
    """JSON with one line for what fits into it."""
    flat = json.dumps(value, ensure_ascii=True)
    if len(flat) + indent <= 118 or not isinstance(value, (dict, list)) or not value:
        return flat
    inner, outer = " " * (indent + 1), " " * indent
    if isinstance(value, dict):
        rows = [f"{json.dumps(key)}: {render(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + inner + f",\n{inner}".join(rows) + f"\n{outer}}}"
    if all(not isinstance(item, (dict, list)) for item in value):
        return flat
    return "[\n" + inner + f",\n{inner}".join(render(item, indent + 1) for item in value) + f"\n{outer}]"
