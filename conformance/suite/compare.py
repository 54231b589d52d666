"""Comparison rules: each gives the first difference as a sentence, or None; numeric ones also error / floor."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

LIMIT = 4.0  # an honest float32 implementation in another summation order stays well below this many floors


@dataclass(frozen=True)
class Finding:
    """What a comparison found. For numeric expectations `ratio` is error / floor of the worst element, and `ratio_99`
    the same of the 99th percentile: near `ratio` where all is off, far below it where a few elements are.
    """

    difference: str | None = None
    ratio: float | None = None
    note: str = ""
    ratio_99: float | None = None


def exact(got: Any, wanted: Any, where: str = "") -> str | None:
    """The first place at which two JSON values differ; of a dictionary only the wanted keys are looked at."""
    if wanted is None:
        return None  # anything may stand here
    got, wanted = (v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v for v in (got, wanted))
    if isinstance(wanted, dict) and isinstance(got, dict):
        if missing := sorted(set(wanted) - set(got)):
            return f"{where}{missing[0]} is missing (got {', '.join(sorted(got)) or 'nothing'})"
        return _first(exact(got[key], value, f"{where}{key}") for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(got, (list, tuple)):
        pairs = zip(got, wanted, strict=False)
        uneven = [f"{where} has {len(got)} elements, wanted {len(wanted)}: {got!r:.120}"] * (len(got) != len(wanted))
        return _first([*(exact(a, b, f"{where}[{n}]") for n, (a, b) in enumerate(pairs)), *uneven])
    if isinstance(wanted, (int, bool)) and isinstance(got, (int, bool)) and int(got) == int(wanted):
        return None  # a mask may be written as 0 and 1
    return None if type(got) is type(wanted) and got == wanted else f"{where} is {got!r:.120}, wanted {wanted!r:.120}"


def _first(differences: Iterable[str | None]) -> str | None:
    """The first difference that there is."""
    return next((difference for difference in differences if difference), None)


def numeric(
    name: str, got: Any, truth: np.ndarray, floor: float, floor_99: float | None = None, limit: float = LIMIT
) -> Finding:
    """Worst element and 99th percentile of the error against the float64 truth, in units of their noise floors.

    Both must stay below `limit`: the second notices what is slightly wrong everywhere and nowhere worse than the
    worst honest element.
    """
    got = np.asarray(got, np.float64)
    if got.shape != truth.shape:
        return Finding(f"{name} has shape {got.shape}, wanted {truth.shape}", np.inf, ratio_99=np.inf)
    if not np.isfinite(got).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(got))[0])
        return Finding(f"{name}{list(at)} is {got[at]}, wanted {truth[at]:.7g}", np.inf, ratio_99=np.inf)
    errors = np.abs(got - truth)
    worst, most = float(errors.max(initial=0.0)) / floor, percentile_99(errors) / (floor_99 or floor)
    if worst <= limit and most <= limit:
        return Finding(None, worst, ratio_99=most)
    return Finding(_where(name, got, truth, errors / floor, limit if worst > limit else 0.0, floor), worst, "", most)


def percentile_99(errors: np.ndarray) -> float:
    """The element below which 99 of 100 errors lie, one that is really there; 0 of nothing."""
    return float(np.quantile(errors, 0.99, method="lower")) if errors.size else 0.0


def _where(name: str, got: np.ndarray, truth: np.ndarray, ratios: np.ndarray, limit: float, floor: float) -> str:
    """The first element beyond `limit`, how many there are, and the worst."""
    first = tuple(int(i) for i in np.argwhere(ratios > limit)[0])
    at = np.unravel_index(int(ratios.argmax()), ratios.shape)
    told = f"{int((ratios > limit).sum())} of {ratios.size} elements differ" if limit else "slightly off all over"
    return (
        f"{name}{list(first)} is {got[first]:.7g}, wanted {truth[first]:.7g}; {told}, worst "
        f"{name}{[int(i) for i in at]} by {abs(got[at] - truth[at]):.3g} (floor {floor:.2g})"
    )


def floors(rule: dict[str, Any], profile: str) -> tuple[float, float | None] | None:
    """Noise floors of a numeric rule: of the worst element and of the 99th percentile, in a profile's arithmetic."""
    if profile == "float32":
        return rule["floor"], rule.get("floor_99")
    found = rule.get("profiles", {}).get(profile)
    return None if found is None else (found["floor"], found["floor_99"])


def generation(got: Any, wanted: dict[str, Any], profile: str = "float32") -> Finding:
    """Generated ids, tie-aware: where another token was as good within the noise, the row passes.

    `wanted` has `decoder_token_ids`. Of greedy search it has `margins` (for each token: best other score below its
    own, in floors; null in the prompt) and `runners_up` (that other token): after a near-tie the rest of the row is
    not looked at. Of beam and contrastive search, whose tokens depend on those that follow, it has `alternatives`:
    for each row all rows that come out if near-ties fall otherwise, and `least_margin` of all choices in the row.
    """
    ids, rows = wanted["decoder_token_ids"], np.asarray(got["decoder_token_ids"]).tolist()
    if [len(row) for row in rows] != [len(row) for row in ids]:
        return Finding(
            f"decoder_token_ids has rows of {[len(r) for r in rows]}, wanted {[len(r) for r in ids]} columns"
        )
    wide = 1.0 if profile == "float32" else wanted.get("profiles", {}).get(profile, 1.0)
    ties: dict[int, int] = {}
    for b, (row, right) in enumerate(zip(rows, ids, strict=True)):
        if row == right:
            continue
        t = next(t for t, pair in enumerate(zip(row, right, strict=True)) if pair[0] != pair[1])
        searched = "alternatives" in wanted
        if problem := _search(wanted, b, row, wide) if searched else _step(wanted, b, t, row, wide):
            return Finding(f"row {b}, step {t}: token {row[t]}, wanted {right[t]} ({problem})")
        ties[b] = t
    note = "; ".join(
        f"row {b} took a near-tie at step {t}, the rest of the row is not checked" for b, t in ties.items()
    )
    if "decoder_padding_mask" not in wanted or "decoder_padding_mask" not in got:
        problem = "there is no decoder_padding_mask" if "decoder_padding_mask" in wanted else None
        return Finding(problem, note=note)
    masks = [[row for b, row in enumerate(side["decoder_padding_mask"]) if b not in ties] for side in (got, wanted)]
    return Finding(exact(*masks, "decoder_padding_mask of the rows without a near-tie"), note=note)


def _step(wanted: dict[str, Any], b: int, t: int, row: list[int], wide: float) -> str | None:
    """Why the token at the first difference is no choice of greedy search, or None if it is one.

    `wide` is how many float32 floors the profile's floor has.
    """
    margin = wanted["margins"][b][t]
    if margin is None:
        return "a prompt token"
    near = margin <= 2 * LIMIT * wide and (wide > 1 or row[t] == wanted["runners_up"][b][t])
    return None if near else f"best by {margin / wide:.3g} floors"


def _search(wanted: dict[str, Any], b: int, row: list[int], wide: float) -> str | None:
    """Why a row is no result of beam or contrastive search, or None if it is one."""
    least = wanted["least_margin"][b]
    if row in wanted["alternatives"][b] or (wide > 1 and least is not None and least <= 2 * LIMIT * wide):
        return None
    return f"no near-tie leads to this row; it has {len(wanted['alternatives'][b])} alternative(s)"


def saved_weights(folder: Path, preset: Path) -> str | None:
    """The weights of a saved folder against those of the preset they were loaded from, bit for bit."""
    with h5py.File(preset / "model.weights.h5") as right, h5py.File(folder / "model.weights.h5") as saved:
        wanted, got = _datasets(right), _datasets(saved)
    if set(got) != set(wanted):
        return f"datasets {sorted(set(got) ^ set(wanted))[:3]} are only in one of the preset and what was saved of it"
    for place, array in wanted.items():
        if got[place].dtype != array.dtype or not np.array_equal(got[place], array):
            return f"{place} is not what was loaded"
    return None


def _datasets(file: Any) -> dict[str, np.ndarray]:
    """All arrays of an HDF5 file by their place."""
    found: dict[str, np.ndarray] = {}
    file.visititems(lambda place, node: found.update({place: node[...]}) if hasattr(node, "shape") else None)
    return found


def frequencies(got: Any, wanted: dict[str, Any]) -> Finding:
    """How often each token comes in the columns after the first: chi-square at most `limit`, and nothing impossible."""
    counts = np.bincount(np.asarray(got["ids"])[..., 1:].ravel(), minlength=len(wanted["wanted"]))
    expected = np.array(wanted["wanted"]) * counts.sum()
    live = expected > 0
    if counts[~live].any():
        return Finding(
            f"token {int(np.flatnonzero(counts * ~live)[0])} came, which can't be; counts are {counts.tolist()}"
        )
    strayed = float(((counts - expected)[live] ** 2 / expected[live]).sum())
    told = f"tokens came {counts.tolist()} times, wanted about {expected.round(1).tolist()} (chi-square {strayed:.4g})"
    return Finding(None if strayed <= wanted["limit"] else told)


def error(reply: dict[str, Any], wanted: dict[str, Any]) -> str | None:
    """An error of one of the kinds, whose message mentions what it should."""
    if "error" not in reply:
        result = " ".join(repr(reply.get("result")).split())
        return f"no error was raised (wanted {' or '.join(wanted['kinds'])}); the result is {result:.120}"
    got = reply["error"]
    if not set(got["kinds"]) & set(wanted["kinds"]):
        return f"error of kind {', '.join(got['kinds'])}, wanted {' or '.join(wanted['kinds'])}: {got['message']:.160}"
    message = got["message"].lower()
    missing = [word for word in wanted.get("mentions", []) if word.lower() not in message]
    return f"the message does not mention {', '.join(map(repr, missing))}: {got['message']:.200}" if missing else None


def same(got: dict[str, Any], other: dict[str, Any], rule: dict[str, Any]) -> str | None:
    """A result that must be the same, bit for bit, as that of an earlier step (or of some rows and columns of it)."""
    for key in rule["keys"]:
        a, b = got[key], other[key]
        if "rows" in rule or "columns" in rule:
            b = taken(np.asarray(b), rule)
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape:
            return f"{key} has shape {a.shape}, in step {rule['step']} {b.shape}"
        if not np.array_equal(a, b):
            at = tuple(int(i) for i in np.argwhere(a != b)[0])
            return f"{key}{list(at)} is {a[at]!r}, in step {rule['step']} {b[at]!r} (must be the same bits)"
    return None


def sparse(array: np.ndarray, at: list[list[int]]) -> np.ndarray:
    """These rows and positions of an array."""
    return array[np.ix_(*at)]


def taken(array: np.ndarray, rule: dict[str, Any]) -> np.ndarray:
    """Some rows and the first columns of an array."""
    array = array[rule["rows"]] if "rows" in rule else array
    return array[:, : rule["columns"]] if "columns" in rule else array
