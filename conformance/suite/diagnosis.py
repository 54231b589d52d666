"""Where a difference arises: the first tensor that differs, and whether its block adds the error or inherited it.

The cases of models.trace.blocks are the instrument: each holds the truth of all tensors inside a model. A pass whose
every block is fed with the truth's input tells what each block adds. An implementation that can't be fed is judged by
where the error grows; one that shows states and logits only, by these three.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.suite import compare
from conformance.suite.cases import Case, read_cases
from conformance.suite.judge import offered
from conformance.suite.messages import answer
from conformance.suite.runner import Verdict, filled_in, run, true_input

# Rooms in the order in which data flow: a fault shows first in its own, then in those that use it. What is saved and
# loaded again passes through all others, so presets come after them.
FLOW = ("tokenizers", "preprocessing", "models", "decoding", "samplers", "generate", "presets", "invariance", "task",
        "training", "cli")  # fmt: skip
NUMERIC = ("logits", "states", "cached_logits", "trace", "generate", "train")
CHUNKS = [3, 1, 1, 3]
ELSEWHERE = 1e5  # floors; honest half precision strays by less
# Topics that do not depend on each other: where two of them fail, the fault is in what they share.
SIBLINGS = (("bart",), ("t5",), ("t5gemma",), ("moonshine",), ("greedy",), ("beam",), ("contrastive",),
            ("random", "top-k", "top-p"))  # fmt: skip


@dataclass(frozen=True)
class Located:
    """`tensor` is the first that differs in the whole pass; `block` the one whose own arithmetic is wrong."""

    tensor: str
    block: str
    told: str


Errors = dict[str, float]  # tensor -> worst error / floor, in the order of execution


def errors(case: Case, number: int, result: dict[str, Any], order: Sequence[str]) -> Errors:
    """How far each tensor is off, by the floors of a step of the case; infinite where it is missing or has no shape."""
    rules = case.steps[number]["expect"]["trace"]["tensors"]
    found: Errors = {}
    for name in order:
        rule = rules[name]
        if name not in result:
            found[name] = np.inf
            continue
        told = compare.numeric(name, result[name], case.array(rule["truth"]), rule["floor"], rule["floor_99"])
        found[name] = max(told.ratio or 0.0, told.ratio_99 or 0.0)
    return found


def locate(adapter: Any, case: Case, tensors: bool = True) -> Located | None:
    """The first difference on a case of models.trace.blocks, or None if all is right there."""
    whole, forced = case.steps[1:]
    given, fed = (filled_in(step, case.file, 0) for step in (whole, forced))
    order = whole["expect"]["trace"]["order"]
    if "result" not in answer(adapter, "load", filled_in(case.steps[0], case.file, 0)):
        return None
    reply = answer(adapter, "trace", given) if tensors else {}
    if "tensors" in reply:
        return _ended(errors(case, 1, reply["tensors"], [t for t in order if t in reply["tensors"]]), reply, order)
    result = reply.get("result") or _outline(adapter, given, order)
    shown = offered(result, order) if "result" in reply else [name for name in order if name in result]
    off = errors(case, 1, result, shown)
    alone: Errors = {}
    if tensors and off:
        reply = answer(adapter, "trace", true_input(case, forced, fed))
        alone = errors(case, 2, reply["result"], offered(reply["result"], order)) if "result" in reply else {}
    return _located(off, alone, order)


def _ended(off: Errors, reply: dict[str, Any], order: Sequence[str]) -> Located | None:
    """A pass that ends with an error: the tensor it did not come to, if none before it is wrong."""
    if wrong := [name for name, ratio in off.items() if ratio > compare.LIMIT]:
        return Located(wrong[0], wrong[0], f"{wrong[0]} is the first to differ ({_size(off[wrong[0]])})")
    message = f"{reply['error']['message']:.200}"
    if not off and not reply["block"]:
        return Located("", "models.inputs", f"nothing is computed: {message}")
    tensor = reply["block"] or order[max(map(order.index, off)) + 1]
    return Located(tensor, tensor, f"the pass ends in {tensor}: {message}")


def _outline(adapter: Any, args: dict[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """What an implementation without traces shows: the encoder's and the decoder's last states, and the logits."""
    found: dict[str, Any] = {}
    states = answer(adapter, "states", dict(args)).get("result", {})
    for side in ("encoder", "decoder"):
        if f"{side}_sequence_output" in states:
            found[[name for name in order if name.startswith(side)][-1]] = states[f"{side}_sequence_output"]
    return found | answer(adapter, "logits", dict(args)).get("result", {})


def _located(off: Errors, alone: Errors, order: Sequence[str]) -> Located | None:
    """Puts the two passes together."""
    wrong = [name for name, ratio in off.items() if ratio > compare.LIMIT]
    guilty = [name for name, ratio in alone.items() if ratio > compare.LIMIT]
    if not wrong and not guilty:
        return None
    tensor = wrong[0] if wrong else ""
    if len(alone) > 3 and min(alone.values()) > ELSEWHERE:
        told = "every block is far off where it is fed with the truth's input: these are not the preset's weights"
        return Located(tensor or guilty[0], "presets.load", told)
    if guilty:
        block = guilty[0]
        told = f"{block} adds the error itself: {_size(alone[block])} where it is fed with the truth's input"
        if tensor and tensor != block:
            told += f"; in the whole pass {tensor} is the first to differ ({_size(off[tensor])})"
        return Located(tensor or block, block, told)
    known = list(off)
    before = known[known.index(tensor) - 1] if known.index(tensor) else ""
    told = f"{tensor} is the first to differ ({_size(off[tensor])}"
    told += f", after {off[before]:.3g} at {before})" if before else ")"
    if not before and order.index(tensor):
        told += "; what comes before it was not shown: answer `states` or `trace`, and its block is named"
    if alone:
        told += "; fed with the truth's input every block is right, so what it was fed with differs"
    elif before and order.index(tensor) - order.index(before) > 1:
        told += f"; what stands between {before} and {tensor} was not shown"
    return Located(tensor, tensor, told)


def _size(ratio: float) -> str:
    """A difference in floors; what has none is missing, or can't be compared."""
    return f"{ratio:.3g} floors" if np.isfinite(ratio) else "missing, not finite, or of another shape"


def locate_in_cache(adapter: Any, case: Case) -> Located | None:
    """The first difference of decoding over the cache, by position and then by the order of execution."""
    load, whole = case.steps[:2]
    order = whole["expect"]["trace"]["order"]
    answer(adapter, "load", filled_in(load, case.file, 0))
    reply = answer(adapter, "trace", filled_in(whole, case.file, 0) | {"chunks": CHUNKS})
    names = [name for name in offered(reply.get("result", {}), order) if not name.startswith("encoder")]
    rules, first = whole["expect"]["trace"]["tensors"], (np.inf, "")
    for name in names if "result" in reply else ():
        truth, got = case.array(rules[name]["truth"]), np.asarray(reply["result"].get(name, np.nan))
        if got.shape != truth.shape:
            first = min(first, (0, name))
            continue
        bad = ~(np.abs(got - truth) <= compare.LIMIT * rules[name]["floor"])  # NaN counts as bad
        columns = np.flatnonzero(bad.any(axis=(0, 2)))
        if columns.size and columns[0] < first[0]:
            first = (int(columns[0]), name)
    if not first[1]:
        return None
    told = f"the whole pass is right, over the cache {first[1]} is the first to differ, at position {first[0]}"
    return Located(first[1], "cache", told)


def explained(adapter: Any, info: dict[str, Any], verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts, those of failures that come from numbers with the first difference."""
    found = list(verdicts)
    failed = [v for v in found if v.verdict == "fail" and (v.numeric or _from_numbers(v.case))]
    if not failed or not {"probe", "trace"} & set(info.get("capabilities", ())):
        return found
    tensors = "trace" in info.get("capabilities", ())
    cases = read_cases("models.trace.blocks")
    located = [(case, place) for case in cases if (place := locate(adapter, case, tensors))]
    cached = None
    if not located and tensors:
        cached = next(
            (place for case in cases if "one-layer" in case.id and (place := locate_in_cache(adapter, case))), None
        )
    return [replace(v, block=told) if v in failed and (told := _told(v, located, cached)) else v for v in found]


def _from_numbers(case: Case) -> bool:
    """Whether tokens or losses are wanted, which numbers decide; and not an error, or what was loaded."""
    wanted = [step.get("expect", {}) for step in case.steps if step["op"] in NUMERIC]
    return any({"generation", "numeric", "trace"} & set(each) for each in wanted)


def _cached(case: Case) -> bool:
    """Whether a case decodes over the cache."""
    return case.chapter == "decoding" or any(step["op"] == "cached_logits" for step in case.steps)


def _told(verdict: Verdict, located: list[tuple[Case, Located]], cached: Located | None) -> str:
    """The first difference that fits a failed case best: the one that its own preset shows, else that of another."""
    load = verdict.case.steps[0]
    own = None if "damage" in load else load.get("args", {}).get("preset")
    for case, place in located:
        if case.steps[0]["args"]["preset"] == own:
            return place.told
    return next((f"on {case.id}: {place.told}" for case, place in located), cached.told if cached else "")


def verdicts_in_flow(adapter: Any, info: dict[str, Any], cases: Sequence[Case]) -> list[Verdict]:
    """Verdicts chapter by chapter in the flow of data, up to the end of the first chapter in which one is bad."""
    found: list[Verdict] = []
    for chapter in FLOW:
        found += run(adapter, (case for case in cases if case.chapter == chapter), info["capabilities"])
        if any(verdict.bad for verdict in found) and not _in_generate(found):
            break
    return found


def _in_generate(verdicts: Iterable[Verdict]) -> bool:
    """Whether samplers or preprocessing go wrong in `generate` only: asked alone they are right."""
    bad = [v for v in verdicts if v.bad]
    return all(v.case.chapter in ("samplers", "preprocessing") and _op(v) == "generate" for v in bad)


def faulty(adapter: Any, verdicts: Sequence[Verdict]) -> str:
    """One name for where a whole run points: a block of the model, "cache", or `chapter.topic`; empty if all is well.

    Of several chapters with failures the first in the flow of data counts, and there the topic that fails most; of
    those that show a fault in `generate` only the next one up to its own.
    """
    bad = [v for v in verdicts if v.bad]
    if not bad:
        return ""
    chapters = sorted({v.case.chapter for v in bad}, key=FLOW.index)
    alone = [c for c in chapters if not _in_generate(v for v in bad if v.case.chapter == c)]
    chapter = alone[0] if alone and alone[0] in FLOW[: FLOW.index("generate") + 1] else chapters[0]
    bad = [v for v in bad if v.case.chapter == chapter]
    if all(_op(v) == "load" for v in bad) and any(v.message.startswith("step 0 (load)") for v in bad):
        return "presets.load"  # it did not come to what the chapter is about
    if chapter in ("models", "decoding", "invariance") or any(v.numeric for v in bad):
        places = (locate(adapter, case) for case in read_cases("models.trace.blocks"))
        if place := next(filter(None, places), None):
            return place.block
        if all(_cached(v.case) for v in bad):
            return "cache"
    topics: dict[str, list[bool]] = {}
    for v in verdicts:
        if v.case.chapter == chapter:
            topics.setdefault(".".join(v.case.clause.split(".")[:2]), []).append(v.bad)
    topics = {topic: each for topic, each in topics.items() if any(each)}
    if sum(any(f"{chapter}.{one}" in topics for one in group) for group in SIBLINGS) > 1:  # it is in what they share
        if chapter == "samplers":
            return "samplers.loop"
        siblings = {f"{chapter}.{one}" for group in SIBLINGS for one in group}
        topics = {topic: each for topic, each in topics.items() if topic not in siblings} or topics
    return max(topics, key=lambda topic: (sum(topics[topic]) / len(topics[topic]), sum(topics[topic])))


def _op(verdict: Verdict) -> str:
    """The operation at which a case fails."""
    step = re.match(r"step (\d+) ", verdict.message)
    return str(verdict.case.steps[int(step[1]) if step else 0]["op"])
