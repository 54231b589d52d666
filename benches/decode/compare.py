"""Decoding side by side: one process an engine, runs taken in turn, medians and ratios, a table and a picture.

    python benches/decode/compare.py --peers PYTHON        (PYTHON has keras_hub, transformers and ctranslate2)

All engines run the same random weights of BART-base's sizes, and must first give the same greedy tokens.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bandwidth import bandwidth
from report import write

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = {"batch 1": (1, 1), "batch 8": (8, 1), "beam 5": (1, 5)}
OURS = ("refimpl", "refimpl-definition")
BASE = "ctranslate2-float32"
PEERS = (BASE, "ctranslate2-int8", "transformers", "keras_hub")


class Engine:
    """An engine in its process."""

    def __init__(self, name: str, python: str, folder: Path, threads: int) -> None:
        count = {key: str(threads) for key in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")}
        settings = count | {"KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.process = subprocess.Popen(
            [python, str(HERE / "engines.py"), name, str(folder)],
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.peak_kb = self._answer()["loaded_kb"]

    def ask(self, batch: int, beams: int) -> dict[str, Any]:
        self.process.stdin.write(json.dumps({"batch": batch, "beams": beams}) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.peak_kb = answer["peak_kb"]
        return answer

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, help="Python that has the other engines")
    parser.add_argument("--folder", type=Path, help="where the models are kept; made if missing")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", nargs="*", default=[OURS[0], *PEERS])
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--note", default="", help="what to say of the machine's state")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        make_models(folder, arguments.peers)
        rows = {case: run_case(case, folder, arguments) for case in arguments.cases}
    found = {
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "note": arguments.note,
        "load": os.getloadavg()[0],
        "bandwidth": bandwidth(arguments.threads),
        "cases": rows,
    }
    write(found, ROOT / "benches" / "results")


def make_models(folder: Path, peers: str) -> None:
    """Models that are not there yet."""
    for python, done, flags in ((sys.executable, "preset", ()), (peers, "ct2-int8", ("--convert",))):
        if not (folder / done).exists():
            command = [python, str(HERE / "model.py"), str(folder), *flags]
            subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


def run_case(case: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Times of all engines for one batch and number of beams; each engine gets a new process, for its peak memory."""
    batch, beams = CASES[case]
    python = {name: sys.executable if name in OURS else arguments.peers for name in arguments.engines}
    engines = {name: Engine(name, python[name], folder, arguments.threads) for name in arguments.engines}
    tokens = {name: engine.ask(batch, beams)["tokens"] for name, engine in engines.items()}
    same = {name: tokens[name] == tokens[arguments.engines[0]] for name in engines}
    print(case, "same tokens:", same, flush=True)
    if beams == 1 and not all(same[name] for name in engines if "int8" not in name):
        raise SystemExit("the engines do not give the same greedy tokens")
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
    for _ in range(arguments.rounds):
        for name, engine in engines.items():
            runs[name].append(engine.ask(batch, beams))
    found = {}
    for name, engine in engines.items():
        seconds = statistics.median(run["seconds"] for run in runs[name])
        found[name] = {
            "tokens_per_second": 64 * batch / seconds,
            "seconds": seconds,
            "cpu_seconds": statistics.median(run["cpu"] for run in runs[name]),
            "peak_mb": engine.peak_kb / 1024,
            "same_tokens": same[name],
        }
        engine.close()
    for name, row in found.items():
        print(f"  {name:20s} {row['tokens_per_second']:8.1f} tokens/s  cpu {row['cpu_seconds']:.2f} s", flush=True)
    return found


if __name__ == "__main__":
    main()
