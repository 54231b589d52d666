"""`python -m conformance make --check`: asks all producers anew, chapter by chapter, and compares with what is kept."""

from __future__ import annotations

import copy
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from conformance.make.goldens import Goldens
from conformance.make.kept import arrays_of, kept_cases
from conformance.make.producers import gather, transformers
from conformance.make.questions import all_questions
from conformance.make.training import check_training
from conformance.suite.cases import GOLDEN

SAME = 1e-12  # of the largest element: sums in float64 may be in another order on another machine
FLOORS = 4.0  # a floor that comes out more than this many times larger or smaller judges otherwise
Case = dict[str, Any]


def check(only: str = "") -> list[str]:
    """What comes out otherwise; `only` is the beginning of case ids. A line for each chapter as it is done."""
    questions = [question for question in all_questions() if question["id"].startswith(only)]
    training = "training".startswith(only) or only.startswith("training")
    problems = [] if questions or training else [f"No case's id begins with {only}."]
    for chapter in dict.fromkeys(chapter_of(question) for question in questions):
        began = time.perf_counter()
        asked = [question for question in questions if chapter_of(question) == chapter]
        found = [*check_cases(asked), *unasked(chapter, only)]
        problems += found
        print(f"{chapter}: {len(asked)} cases, {told(found)}, {time.perf_counter() - began:.0f} s", flush=True)
    if training:
        began = time.perf_counter()
        found = check_training()
        problems += found
        print(f"training: all files, {told(found)}, {time.perf_counter() - began:.0f} s", flush=True)
    return problems


def told(problems: list[str]) -> str:
    """How many there are, and the first ones: the rest comes at the end."""
    return "\n  ".join([f"{len(problems)} problems", *(f"{problem:.300}" for problem in problems[:9])])


def chapter_of(question: Case) -> str:
    """The first word of a case's id."""
    return str(question["id"].partition(".")[0])


def unasked(chapter: str, only: str) -> list[str]:
    """Cases that are kept though no question asks them."""
    asked = {question["id"] for question in all_questions()}
    kept = [
        case["id"]
        for path in sorted((GOLDEN / chapter).glob("*.json"))
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
    ]
    return [f"{id} is kept, but nobody asks it" for id in kept if id not in asked and id.startswith(only)]


def check_cases(questions: list[Case]) -> list[str]:
    """The differences of these cases."""
    kept = kept_cases(GOLDEN, questions)
    found = gather(questions, None)
    goldens = Goldens({name: f["answers"] for name, f in found.items()}, {name: f["info"] for name, f in found.items()})
    goldens.scorers = transformers()
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        for question in questions:
            if question["id"] not in kept:
                problems.append(f"{question['id']} is not kept as it is asked")
                continue
            try:
                goldens.build([question], {}, Path(scratch))
            except SystemExit as reason:  # a producer whose answer can't be right
                problems.append(f"{question['id']}: {reason}")
                continue
            file = GOLDEN / f"{goldens.file}.json"
            made = goldens.cases[goldens.file].pop()
            problems += unlike(
                kept[question["id"]], arrays_of(kept[question["id"]], file), made, goldens.arrays.get(goldens.file, {})
            )
    return problems + goldens.problems


def unlike(kept: Case, kept_arrays: dict[str, Any], made: Case, made_arrays: dict[str, Any]) -> list[str]:
    """Where two cases differ. Provenance, margins and the last digits of floors may."""
    id, problems = kept["id"], []
    one, other = fixed(kept), fixed(made)
    if json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True):
        problems.append(f"{id} does not come out as it is kept: {first_difference(one, other)}")
    for old, new in zip(rules_of(kept), rules_of(made), strict=False):
        a, b = kept_arrays[old["truth"]], made_arrays[new["truth"]]
        size = np.abs(a).max(initial=0.0)
        if a.shape != b.shape or not np.allclose(a, b, rtol=0, atol=SAME * size, equal_nan=True):
            problems.append(f"{id}: the truth {old['truth']} comes out otherwise")
        profiles = {"float32": (old, new)}
        profiles |= {name: (rule, new["profiles"].get(name, {})) for name, rule in old.get("profiles", {}).items()}
        for name, (floors, others) in profiles.items():
            for figure in ("floor", "floor_99"):
                before, after = floors[figure], others.get(figure, 0.0)
                if not before / FLOORS <= after <= before * FLOORS:
                    problems.append(f"{id}: the {figure} of {name}, {old['truth']}, was {before:.3g}, is {after:.3g}")
    return problems


def rules_of(case: Case) -> list[Case]:
    """All expectations of a case that name an array."""
    wanted = [step.get("expect", {}) for step in case["steps"]]
    rules = [rule for expect in wanted for rule in expect.get("numeric", {}).values()]
    return rules + [rule for expect in wanted for rule in expect.get("trace", {}).get("tensors", {}).values()]


def fixed(case: Case) -> Case:
    """A case without what may come out otherwise: dates, margins, and arrays' names, as equal ones are kept once."""
    found = json.loads(json.dumps(copy.deepcopy(case)))
    del found["provenance"]
    for rule in rules_of(found):
        for figure in ("truth", "floor", "floor_99", "profiles"):
            rule.pop(figure, None)
    for step in found["steps"]:
        for figure in ("margins", "least_margin", "profiles"):
            step.get("expect", {}).get("generation", {}).pop(figure, None)
    return dict(found)


def first_difference(kept: Any, made: Any, place: str = "") -> str:
    """The place of the first difference of two JSON values, and both."""
    if isinstance(kept, dict) and isinstance(made, dict) and kept.keys() == made.keys():
        key = next(key for key in kept if kept[key] != made[key])
        return first_difference(kept[key], made[key], f"{place}.{key}")
    if isinstance(kept, list) and isinstance(made, list) and len(kept) == len(made):
        n = next(n for n, pair in enumerate(zip(kept, made, strict=True)) if pair[0] != pair[1])
        return first_difference(kept[n], made[n], f"{place}[{n}]")
    return f"{place.lstrip('.')} was {kept!r:.80}, is {made!r:.80}"
