"""Makes the goldens of training anew and compares them with what is kept; each maker has a process of its own.

`python -m conformance make --check` calls it. It needs the `peers` extra.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from conformance.suite.cases import GOLDEN

MAKERS = ("training_gradients", "training_steps", "training_cases")
_CLOSE = {"float64": 1e-9, "float32": 1e-3}  # float32 runs of 24 steps; products may be summed in another order
_OWN = ("date", "float32_errors", "floor", "producer", "version")  # what may differ from run to run


def check_training() -> list[str]:
    """What comes out otherwise, by file."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "steps").mkdir()
        for maker in MAKERS:
            words = [sys.executable, "-m", f"conformance.make.{maker}", scratch]
            environment = {**os.environ, "KERAS_BACKEND": "jax"}
            done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                return [f"training: {maker} ends with an error: {done.stderr[-2000:]}"]
        kept = {str(path.relative_to(GOLDEN / "training")): path for path in (GOLDEN / "training").rglob("*.*")}
        problems = [f"training/{name} is not made" for name in kept if not (Path(scratch) / name).exists()]
        for path in Path(scratch).rglob("*.*"):
            name = str(path.relative_to(scratch))
            if name not in kept:
                problems.append(f"training/{name} is not kept")
            elif path.suffix == ".json":
                problems += _unlike(
                    json.loads(kept[name].read_text()), json.loads(path.read_text()), f"training/{name}"
                )
            else:
                problems += _unlike(load_file(kept[name]), load_file(path), f"training/{name}")
    return problems


def _unlike(kept: Any, made: Any, place: str) -> list[str]:
    """Where two values differ: names and texts in anything, numbers by more than honest arithmetic strays."""
    if isinstance(kept, dict) and isinstance(made, dict):
        missing = [f"{place}: {key} is on one side only" for key in sorted(kept.keys() ^ made.keys())]
        both = [key for key in kept if key in made and key not in _OWN]
        return missing + [problem for key in both for problem in _unlike(kept[key], made[key], f"{place}: {key}")]
    if isinstance(kept, list) and isinstance(made, list) and len(kept) == len(made):
        return [problem for a, b in zip(kept, made, strict=True) for problem in _unlike(a, b, place)]
    if isinstance(kept, (np.ndarray, float)) and isinstance(made, (np.ndarray, float)):
        a, b = np.asarray(kept), np.asarray(made)
        if a.dtype.kind != "f":
            return [] if np.array_equal(a, b) else [f"{place} differs"]
        close = _CLOSE.get(str(a.dtype), 0.0) if isinstance(kept, np.ndarray) else _CLOSE["float32"]
        if a.shape == b.shape and np.abs(a - b).max(initial=0.0) <= close * max(1.0, np.abs(a).max(initial=0.0)):
            return []
        return [f"{place} differs"]
    return [] if kept == made else [f"{place}: {kept!r:.60} is kept, {made!r:.60} is made"]
