"""One side of a comparison as a process: it answers each line with a line of JSON, and its memory is watched."""

import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TextIO

from benches.halves import ROOT

LIBRARIES = ("refimpl", "numpy", "ctranslate2", "transformers", "torch", "keras_hub", "keras", "jax", "tensorflow")


class Side:
    """A module run by some Python. `hello` is what it says once it is ready, `memory` the most that was seen, in MB."""

    def __init__(self, command: list[str], settings: dict[str, str]) -> None:
        self.memory = {"held_mb": 0.0, "resident_mb": 0.0}
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (open as long as the process)
        self.process = subprocess.Popen(
            [command[0], "-m", *command[1:]],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.hello = self._answer(watch=True)

    def ask(self, question: Any, watch: bool = False) -> Any:
        """One question, one answer. What is timed is not watched."""
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self._answer(watch)

    def _answer(self, watch: bool) -> Any:
        while watch and not select.select([self.process.stdout], [], [], 0.01)[0]:
            now = memory(self.process.pid)
            self.memory = {key: max(most, now[key]) for key, most in self.memory.items()}
        line = self.process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise SystemExit(f"{self.process.args} ended: {self._errors.read()[-2000:]}")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def memory(pid: int) -> dict[str, float]:
    """What a process can't give back, as no file holds it, and its peak with mapped files. 0 without /proc."""
    path = Path(f"/proc/{pid}/status")
    lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
    mb = {line[0].rstrip(":"): int(line[1]) / 1024 for line in lines if line[-1] == "kB"}
    held = sum(mb.get(key, 0.0) for key in ("RssAnon", "RssShmem", "VmSwap"))
    return {"held_mb": held, "resident_mb": mb.get("VmHWM", 0.0)}


def answers() -> TextIO:
    """Where a side answers; what libraries print goes elsewhere from now on."""
    stream, sys.stdout = sys.stdout, sys.stderr
    return stream


def say(answer: Any, stream: TextIO) -> None:
    """A line of JSON."""
    print(json.dumps(answer), file=stream, flush=True)


def versions() -> dict[str, str]:
    """Of the libraries that are loaded, and the kernels that NumPy's BLAS has chosen for this processor."""
    found = {name: sys.modules[name].__version__ for name in LIBRARIES if name in sys.modules}
    if "refimpl" in found:
        import numba
        from threadpoolctl import threadpool_info

        found["numba"] = numba.__version__
        blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
        found |= {pool["internal_api"]: f"{pool['version']} ({pool.get('architecture', '')})" for pool in blas}
    return found
