"""Decoding side by side: one process an engine, runs taken in turn, medians and ratios, a table and a picture.

    python benches/decode/compare.py --peers PYTHON                     (it has keras_hub, transformers, ctranslate2)
    python benches/decode/compare.py --peers PYTHON --only "batch 1" --engines refimpl keras_hub-torch

All engines of a case run the same weights, and must first give the same greedy tokens. Results of cases and engines
that are not asked this time are kept, and marked as those of their own run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bandwidth import bandwidth
from report import write
from work import CASES, MODELS

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "benches" / "results"
CT2 = ("ctranslate2-float32", "ctranslate2-int8")
KERAS = ("keras_hub-jax", "keras_hub-tensorflow", "keras_hub-torch")
ENGINES = dict.fromkeys(CASES, ("refimpl", *CT2, "transformers", *KERAS)) | {
    "phonemes": ("refimpl", *CT2, *(f"{name}-sorted" for name in CT2), "transformers", *KERAS),
    "growth": ("refimpl", CT2[0], "transformers"),
}


class Engine:
    """An engine in its process."""

    def __init__(self, name: str, arguments: argparse.Namespace, folder: Path, model: str) -> None:
        python = sys.executable if name.startswith("refimpl") else arguments.peers
        names = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
        settings = {key: str(arguments.threads) for key in names} | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        settings |= {"KERAS_BACKEND": name.partition("-")[2] or "jax", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [python, str(HERE / "engines.py"), name, str(folder), model],
            env=os.environ | settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def ask(self, case: str) -> dict[str, Any]:
        """Run the case once."""
        self.process.stdin.write(json.dumps(case) + "\n")
        self.process.stdin.flush()
        return self._answer()

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
    parser.add_argument("--patience", type=float, default=40, help="seconds after which an engine gets fewer rounds")
    parser.add_argument("--engines", nargs="*", help="refimpl beside these only")
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES), metavar="CASE")
    parser.add_argument("--models-only", action="store_true", help="make the models in --folder, and stop")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--note", default="", help="what to say of the machine's state")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for model in [name for name in MODELS if any(CASES[case].name == name for case in arguments.only)]:
            make_models(folder, model, arguments.peers)
        for case in () if arguments.models_only else arguments.only:
            keep(case, run_case(case, folder, arguments), arguments.results)


def make_models(folder: Path, model: str, peers: str) -> None:
    """Models that are not there yet."""
    for python, done, flags in ((sys.executable, "preset", ()), (peers, "ct2-int8", ("--convert",))):
        if not (folder / model / done).exists():
            command = [python, str(HERE / "model.py"), str(folder), model, *flags]
            subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


def run_case(case: str, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Times of engines for one case; each engine gets a new process, for its peak memory."""
    load, work = os.getloadavg()[0], CASES[case]
    before = bandwidth(arguments.threads)
    names = list(dict.fromkeys(["refimpl", *(arguments.engines or ENGINES[case])]))
    engines = {name: Engine(name, arguments, folder, work.name) for name in names}
    first = {name: engine.ask(case)["tokens"] for name, engine in engines.items()}
    same = {name: first[name] == first["refimpl"] for name in engines}
    print(case, "same tokens:", same, flush=True)
    if work.beams == 1 and not all(same[name] for name in engines if "int8" not in name):
        raise SystemExit("the engines do not give the same greedy tokens")
    runs = in_turn(engines, case, arguments.rounds, arguments.patience)
    rows = {name: summary(runs[name]) | {"same_tokens": same[name]} for name in engines}
    for name, row in rows.items():
        print(f"  {name:24s} {row['tokens_per_second']:8.1f} tokens/s  cpu {row['cpu_seconds']:.2f} s", flush=True)
    return {
        "engines": rows,
        "date": datetime.now(UTC).isoformat(" ", "minutes")[:16],
        "threads": arguments.threads,
        "rounds": arguments.rounds,
        "note": arguments.note,
        "load_before": load,
        "bandwidth": max(before, bandwidth(arguments.threads)),
    }


def in_turn(engines: dict[str, Engine], case: str, rounds: int, patience: float) -> dict[str, list[dict[str, Any]]]:
    """What each engine answered; one that has used up the patience with it runs twice, or as often as it did."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in engines}
    for n in range(rounds):
        for name, engine in engines.items():
            if n < 2 or sum(run["seconds"] for run in runs[name]) < patience:
                runs[name].append(engine.ask(case))
    for engine in engines.values():
        engine.close()
    return runs


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of an engine's runs, and how far they spread."""
    times = sorted(run["seconds"] for run in runs)
    seconds = statistics.median(times)
    found = {
        "tokens_per_second": sum(map(len, runs[0]["tokens"])) / seconds,
        "seconds": seconds,
        "fastest": times[0],
        "slowest": times[-1],
        "rounds": len(times),
        "cpu_seconds": statistics.median(run["cpu"] for run in runs),
        "peak_mb": runs[-1]["peak_kb"] / 1024,
    }
    for key in ("early", "late"):
        if key in runs[0]:
            found[key] = statistics.median(run[key] for run in runs)
    return found


def keep(case: str, found: dict[str, Any], results: Path) -> None:
    """Put what one run found beside what earlier ones did, and write table and picture anew."""
    path = results / "decode.json"
    before = json.loads(path.read_text())["cases"] if path.exists() else {}
    runs = {name: before[name] for name in CASES if name in before}
    runs[case] = merged(runs.get(case, []), found)
    write({"cases": {name: runs[name] for name in CASES if name in runs}}, results)


def merged(runs: list[dict[str, Any]], latest: dict[str, Any]) -> list[dict[str, Any]]:
    """The latest run of a case, then earlier ones for the engines that none after them has; each names its rows.

    An earlier run keeps all its numbers, as ratios are taken within a run.
    """
    kept, seen = [], set()
    for run in [latest, *runs]:
        shown = [name for name in run["engines"] if name not in seen]
        seen |= set(shown)
        if shown:
            kept.append(run | {"shown": shown})
    return kept


if __name__ == "__main__":
    main()
