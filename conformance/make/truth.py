"""Truths and noise floors of numeric expectations."""

from typing import Any

import numpy as np

from conformance.suite.compare import percentile_99
from conformance.suite.divergences import expected_failures

EPSILON = 2.0**-24  # of float32: half a unit in the last place of 1
# Runs in less than float32, by the profile whose floor they give.
PROFILE_OF = {
    "bfloat16": "bfloat16", "bfloat16-permuted": "bfloat16", "float16": "float16", "float16-permuted": "float16",
    "int8": "int8", "int8-per-channel": "int8",
}  # fmt: skip
HONEST = 100.0  # a producer this many times further off than the best one computes something else


def truth_and_floor(
    replies: dict[str, dict[str, Any]], key: str, case: str
) -> tuple[np.ndarray, float, float, dict[str, Any]]:
    """The float64 truth of `key`, its noise floors (peak, 99th percentile), and what each producer's worst error was.

    `replies` holds one reply for each producer: `truth` (transformers float64), perhaps `float64` (KerasHub in
    float64, which must agree), and honest float32 runs under any other name.
    """
    truth = np.asarray(replies["truth"]["result"][key], np.float64)
    errors = {
        name: float(np.abs(np.asarray(reply["result"][key], np.float64) - truth).max())
        for name, reply in replies.items()
        if name != "truth" and "result" in reply and reply["result"][key].shape == truth.shape
    }
    second = errors.pop("float64", None)
    best = max(min(errors.values()), EPSILON * float(np.abs(truth).max()))
    left_out = sorted(name for name, error in errors.items() if not error <= HONEST * best)
    honest = [reply["result"][key] for name, reply in replies.items() if name in errors and name not in left_out]
    few = 2.0 if len(honest) < 3 else 1.0  # two runs of one library are no fair sample
    floor, floor_99 = (few * figure for figure in noise(truth, honest))
    notes: dict[str, Any] = {"float32_errors": {k: float(f"{v:.3g}") for k, v in sorted(errors.items())}}
    if left_out:
        notes["computes_otherwise"] = left_out
    if second is not None:
        notes["float64_difference"] = float(f"{second:.2g}")
        if second > 4 * floor and case not in expected_failures({"implementation": "keras_hub", "backend": "jax"}):
            raise SystemExit(f"{case}: the truth and KerasHub in float64 differ by {second} (floor {floor}).")
    return truth, floor, floor_99, notes


def noise(truth: np.ndarray, honest: list[Any]) -> tuple[float, float]:
    """How far honest runs stray from the truth: the worst element, and the 99th percentile."""
    strays = [np.abs(np.asarray(found, np.float64) - truth) for found in honest]
    floor = max([EPSILON * float(np.abs(truth).max()), *(float(stray.max()) for stray in strays)])
    floor_99 = max([EPSILON * percentile_99(np.abs(truth)), *map(percentile_99, strays)])
    return float(f"{floor:.3g}"), float(f"{max(floor_99, floor / 1000):.3g}")


def profile_floors(truth: np.ndarray, replies: dict[str, dict[str, Any]], key: str) -> dict[str, dict[str, float]]:
    """The floors of each profile, from the runs in its arithmetic."""
    found = {}
    for profile in dict.fromkeys(PROFILE_OF.values()):
        runs = [r["result"][key] for name, r in replies.items() if PROFILE_OF.get(name) == profile and "result" in r]
        if runs and all(np.isfinite(run).all() for run in runs):
            floor, floor_99 = noise(truth, runs)
            found[profile] = {"floor": floor, "floor_99": floor_99}
    return found


def margins(truth: np.ndarray, floor: float, ids: list[list[int]], prompt: list[list[bool]]) -> dict[str, Any]:
    """For each generated token how far it leads, in floors, and which token follows it. Shapes: truth (B, T, V)."""
    lead: list[list[float | None]] = []
    second: list[list[int | None]] = []
    for b, row in enumerate(ids):
        lead.append([])
        second.append([])
        for t, token in enumerate(row):
            if prompt[b][t]:
                lead[b].append(None)
                second[b].append(None)
                continue
            scores = truth[b, t - 1].copy()
            mine, scores[token] = scores[token], -np.inf
            other = int(scores.argmax())
            lead[b].append(float(f"{(mine - scores[other]) / floor:.3g}"))
            second[b].append(other)
    return {"margins": lead, "runners_up": second}
