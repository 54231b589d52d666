"""Asks two implementations the same drawn question and judges the difference by the rules of the cases.

The truth of numbers is the first implementation in float64; the noise floor is how far its float32 strays from it, and
how far float64 moves when every weight moves by half a unit in its last place.
"""

import json
import shutil
import tempfile
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conformance.fuzz.models import write_preset
from conformance.fuzz.promised import comparable, near_tie_of_beams, promised, read_alike, sampler_of
from conformance.make.truth import EPSILON, noise
from conformance.suite import compare
from conformance.suite.messages import answer

NUMERIC = {"logits": ("logits",), "cached_logits": ("logits",),
           "states": ("encoder_sequence_output", "decoder_sequence_output")}  # fmt: skip
ROOM = 2  # the weights are one of several places at which float32 rounds
FEW, MANY = 3, 16  # draws of moved weights: few tell most honest strays, a difference must stand against many
VAGUE = 0.05  # where the floor is this share of the truth's size, float32 says nothing


@dataclass(frozen=True)
class Difference:
    """`signature` is the kind of difference: two of one kind are one finding."""

    signature: str
    told: str
    a: str
    b: str


class Duel:
    """Two adapters, started."""

    def __init__(self, a: Any, b: Any, abilities: Sequence[Iterable[str]] = ((), ())) -> None:
        self.a, self.b = a, b
        self.abilities = [set(each) for each in abilities]

    def difference(self, question: dict[str, Any]) -> Difference | None:
        """The difference on one question, or None: also where one of the two can't be asked."""
        return next(self.differences(question, [question["call"]]))

    def differences(
        self, question: dict[str, Any], calls: Sequence[dict[str, Any]]
    ) -> Generator[Difference | None, None, None]:
        """The same for each of the calls to a question's model, which is written and loaded once for all of them."""
        with tempfile.TemporaryDirectory() as scratch:
            folder = write_preset(question["model"], Path(scratch) / "preset")
            architecture, folders = question["model"].get("architecture", "bart"), None
            try:
                for call in calls:
                    asked = comparable(call, self.abilities, architecture)
                    if not asked or not read_alike(call, question["model"], self.abilities):
                        yield None
                        continue
                    folders = folders or self._folders(question.get("saved_by"), folder, Path(scratch) / "saved")
                    yield self._asked(call, folder, Path(scratch), folders)
            finally:
                for adapter in (self.a, self.b):  # presets of the suite are kept, those drawn come once
                    getattr(adapter, "loaded", {}).clear()

    def _asked(self, call: dict[str, Any], folder: Path, scratch: Path, folders: Sequence[Path]) -> Difference | None:
        replies = [_reply(adapter, call, own) for adapter, own in zip((self.a, self.b), folders, strict=True)]
        if any("unsupported" in reply for reply in replies):
            return None
        kinds = ["result" if "result" in reply else "error" for reply in replies]
        shown = [_short(reply) for reply in replies]
        if missing := [reply for reply in replies if reply.get("error", {}).get("type") == "ModuleNotFoundError"]:
            return Difference("a module is missing", missing[0]["error"]["message"], *shown)
        if "error" in kinds:
            if kinds[0] == kinds[1] and not any("broken" in reply for reply in replies):
                return None  # both refuse: which kind of error is the cases' affair
            if self._without_piece(call, folder, scratch, replies):
                return None
            kinds = [
                reply["error"].get("type", "error") if "error" in reply else next(iter(reply)) for reply in replies
            ]
            return Difference(f"{_kind(call)}: {kinds[0]} and {kinds[1]}", "one gives a result, one an error", *shown)
        one, other = (reply["result"] for reply in replies)
        told = self._compared(call, folder, scratch, one, other)
        return None if told is None else Difference(f"{_kind(call)}: {told[0]}", told[1], *shown)

    def _folders(self, saved_by: str | None, folder: Path, target: Path) -> list[Path]:
        """What each loads: the drawn preset, or what the other one made of it, if it can save."""
        folders = [folder, folder]
        if saved_by:
            call = {"op": "save", "load": {}, "args": {"path": str(target)}}
            if "result" in _reply(getattr(self, saved_by), call, folder):
                folders["ba".index(saved_by)] = target
        return folders

    def _compared(self, call: dict[str, Any], folder: Path, scratch: Path, one: Any, other: Any) -> Any:
        """What differs and how, or None."""
        if call["op"] in NUMERIC:
            return self._numbers(call, folder, scratch, one, other)
        one, other = promised(call, one), promised(call, other)
        if told := compare.exact(_plain(other), _plain(one)):
            if near_tie_of_beams(call, one, other):
                return None
            if call["op"] == "generate" and self._near_tie(*self._as_ids(call, folder, one, other), folder, scratch):
                return None
            return ("other tokens" if call["op"] in ("generate", "sample") else "other result"), told
        return None

    def _numbers(self, call: dict[str, Any], folder: Path, scratch: Path, one: Any, other: Any) -> Any:
        """Both in float32 against the first one's float64."""
        for key in NUMERIC[call["op"]]:
            if _alike(one[key], other[key]):
                continue
            told = None
            for draws in (FEW, MANY):
                found = self._truth(call, folder, scratch, key, one, draws)
                told = found and _far(key, one, other, *found)
                if not told:
                    break
            if told:
                return told
        return None

    def _truth(
        self, call: dict[str, Any], folder: Path, scratch: Path, key: str, one: Any, draws: int = FEW
    ) -> tuple[Any, float, float] | None:
        """Truth and floors of an array, or None where float32 is too coarse to tell."""
        exact = _reply(self.a, call, folder, dtype="float64")
        if "result" not in exact:
            return one[key], *noise(one[key], [])
        truth = np.asarray(exact["result"][key], np.float64)
        moved = [_reply(self.a, call, _moved(folder, scratch / f"moved{n}", n), dtype="float64") for n in range(draws)]
        honest = [one[key], *(reply["result"][key] for reply in moved)]
        if not np.isfinite(truth).all():
            return None
        floor, floor_99 = noise(truth, honest[1:])
        floor, floor_99 = ROOM * floor, ROOM * floor_99
        return None if floor > VAGUE * np.abs(truth).max() else (truth, floor, floor_99)

    def _as_ids(self, call: dict[str, Any], folder: Path, one: Any, other: Any) -> tuple[Any, Any, Any]:
        """A generation from texts as one from ids, which can be followed token by token."""
        if "decoder_token_ids" in one:
            return call, one, other
        read = {"op": "generate_preprocess", "load": call["load"], "args": {"x": call["args"]["inputs"]}}
        arrays = _reply(self.a, read, folder).get("result", {})
        given = {key: np.asarray(value).tolist() for key, value in arrays.items()}
        bare = {"op": "generate", "load": {"preprocessor": None}, "args": call["args"] | {"inputs": given}}
        return bare, *(_reply(adapter, bare, folder).get("result", {}) for adapter in (self.a, self.b))

    def _without_piece(self, call: dict[str, Any], folder: Path, scratch: Path, replies: Sequence[Any]) -> bool:
        """Whether a text failed as it has no piece for one of two tokens that are equally good."""
        if call["op"] != "generate" or any("broken" in reply for reply in replies):
            return False
        bare, *found = self._as_ids(call, folder, {}, {})
        for adapter, reply, ids in zip((self.a, self.b), replies, found, strict=True):
            said = {key: np.asarray(ids[key]).tolist() for key in ids if key.startswith("decoder_")}
            read = {"op": "generate_postprocess", "load": call["load"], "args": said}
            if "error" in reply and (not said or "error" not in _reply(adapter, read, folder)):
                return False
        return self._near_tie(bare, *found, folder, scratch)

    def _near_tie(self, call: dict[str, Any], one: Any, other: Any, folder: Path, scratch: Path) -> bool:
        """Whether, where two generated rows first differ, both tokens are equally good within the noise."""
        args = call["args"]
        ids, others = (np.asarray(side.get("decoder_token_ids", ())) for side in (one, other))
        if ids.shape != others.shape or (ids == others).all():
            return False
        full = np.ones(ids.shape, bool).tolist()
        whole = args["inputs"] | {"decoder_token_ids": ids.tolist(), "decoder_padding_mask": full}
        ask = {"op": "logits", "load": {"preprocessor": None}, "args": {"inputs": whole}}
        reply = _reply(self.a, ask, folder)
        found = self._truth(ask, folder, scratch, "logits", reply["result"]) if "result" in reply else None
        if found is None:
            return True  # too coarse to tell
        truth, floor, _ = found
        if args.get("sampler"):  # cosines of states may be as near each other as scores
            exact = _reply(self.a, call, folder, dtype="float64").get("result", {}).get("decoder_token_ids", ids)
            return _close_search(truth, floor, ids, others) or not np.array_equal(exact, ids)
        for b, (row, another) in enumerate(zip(ids, others, strict=True)):
            if (row == another).all():
                continue
            t = int(np.argmax(row != another))
            if truth[b, t - 1, row[t]] - truth[b, t - 1, another[t]] > 2 * compare.LIMIT * floor:
                return False
        return True


def _alike(one: Any, other: Any) -> bool:
    """Whether two arrays differ by no more than a few roundings of their largest element: then no floor is needed."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    return one.shape == other.shape and bool((np.abs(one - other) <= 4 * EPSILON * np.abs(one).max(initial=0.0)).all())


def _far(key: str, one: Any, other: Any, truth: Any, floor: float, floor_99: float) -> tuple[str, str] | None:
    """Which side strays farther from the truth than the noise, and how far."""
    for side, result in (("a", one), ("b", other)):
        finding = compare.numeric(key, result[key], truth, floor, floor_99)
        if finding.difference:
            return f"{key} of {side}", f"{finding.difference} [error/floor {finding.ratio:.3g}]"
    return None


def _close_search(truth: np.ndarray, floor: float, ids: np.ndarray, others: np.ndarray) -> bool:
    """Whether a search over these rows is too near a tie anywhere to be judged: two best scores within the noise."""
    best = np.sort(truth, axis=-1)[..., ::-1][..., :6]
    gaps = best[..., :-1] - best[..., 1:]
    differ = (ids != others).any(axis=-1)
    return bool((gaps[differ] <= 2 * compare.LIMIT * floor * truth.shape[1]).any())


def _reply(adapter: Any, call: dict[str, Any], folder: Path, **more: Any) -> dict[str, Any]:
    """Load and call; the answer to the load if that is no result."""
    loaded = answer(adapter, "load", {"preset": str(folder), **call["load"], **more})
    return answer(adapter, call["op"], json.loads(json.dumps(call["args"]))) if "result" in loaded else loaded


def _moved(folder: Path, target: Path, seed: int) -> Path:
    """The preset with every weight moved by at most half a unit in its last place, kept in float64."""
    if target.exists():
        return target
    shutil.copytree(folder, target)
    generator = np.random.default_rng(seed)
    with h5py.File(target / "model.weights.h5", "r+") as file:
        found: list[str] = []
        file.visititems(lambda place, node: found.append(place) if hasattr(node, "shape") else None)
        for place in found:
            array = file[place][...].astype("float64")
            del file[place]
            file[place] = array * (1 + generator.uniform(-1, 1, array.shape) * 2.0**-24)
    return target


def _plain(result: Any) -> Any:
    """What both must agree on: no `inputs`, arrays as lists."""
    return {key: np.asarray(value).tolist() if isinstance(value, np.ndarray) else value
            for key, value in result.items() if key not in ("inputs", "log_probs")}  # fmt: skip


def _kind(call: dict[str, Any]) -> str:
    """The operation, and the sampler if there is one."""
    return f"{call['op']} {sampler_of(call)}".strip()


def _short(reply: dict[str, Any]) -> str:
    """A reply as one line."""
    return str(_plain(reply["result"]) if "result" in reply else reply)[:400]
