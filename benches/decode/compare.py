"""Decoding side by side: one process an engine, runs taken in turn, medians and ratios, a table by halves.

    python -m benches.decode.compare --peers PYTHON             (it has keras_hub, transformers, ctranslate2)
    python -m benches.decode.compare --peers PYTHON --quick     (beside CTranslate2 only, some minutes)

All engines of a case run the same weights in the same run, and must first give the same greedy tokens. Cases that are
not asked this time are kept if they come from this machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benches.decode.report import write
from benches.decode.work import CASES, MODELS, Case
from benches.halves import RESULTS, ROOT, halves, keep, now
from benches.side import Side

CT2 = ("ctranslate2-float32", "ctranslate2-int8")
NEEDS = dict.fromkeys(CT2, ("ctranslate2",)) | {"transformers": ("transformers", "torch")}
NEEDS |= {f"keras_hub-{backend}": ("keras_hub", backend) for backend in ("jax", "tensorflow", "torch")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", default=sys.executable, help="Python that has the other engines")
    parser.add_argument("--folder", type=Path, help="where the models are kept; made if missing")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, help="default: 5, or 3 with --quick")
    parser.add_argument("--quick", action="store_true", help="32 tokens in place of 64, CTranslate2 only, no growth")
    parser.add_argument("--engines", nargs="*", metavar="ENGINE", help=f"refimpl beside these only: {', '.join(NEEDS)}")
    parser.add_argument("--only", nargs="*", choices=list(CASES), metavar="CASE", help=f"of {', '.join(CASES)}")
    parser.add_argument("--halves", nargs="*", default=list(halves()), choices=list(halves()), metavar="HALF")
    parser.add_argument("--models-only", action="store_true", help="make the models in --folder, and stop")
    parser.add_argument("--results", type=Path, help="where the table goes; with --quick it is only printed otherwise")
    parser.add_argument("--note", default="", help="what to say of the machine's state")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 5)
    cases = arguments.only or [name for name in CASES if not (arguments.quick and name == "growth")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        results = arguments.results or (Path(temporary) / "results" if arguments.quick else RESULTS)
        engines = arguments.engines or [
            name for name in (CT2 if arguments.quick else NEEDS) if installed(NEEDS[name], arguments.peers)
        ]
        for model in [name for name in MODELS if any(CASES[case].model_name == name for case in cases)]:
            make_models(folder, model, arguments.peers if set(CT2) & set(engines) else "")
        for half in () if arguments.models_only else arguments.halves:
            for case in cases:
                keep(results, "decode", half, case, run_case(case, engines, folder, arguments, halves()[half]))
                print(write(results) if case == cases[-1] else "", flush=True)


def installed(modules: tuple[str, ...], python: str) -> bool:
    """Whether a Python has these modules."""
    code = "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
    return subprocess.run([python, "-c", code, *modules], check=False).returncode == 0


def make_models(folder: Path, model: str, peers: str) -> None:
    """Models that are not there yet; CTranslate2's only where there are peers."""
    for python, done, flags in ((sys.executable, "preset", ()), (peers, "ct2-int8", ("--convert",))):
        if python and not (folder / model / done).exists():
            command = [python, "-m", "benches.decode.model", str(folder), model, *flags]
            subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


def in_case(case: Case, engines: list[str]) -> list[str]:
    """The engines of a case: those that tell when a token comes, or CTranslate2 with sorted sources as well."""
    if case.grows:
        return [name for name in engines if not name.startswith("keras_hub") and name != CT2[1]]
    return engines + ([f"{name}-sorted" for name in engines if name in CT2] if case.stop else [])


def run_case(
    name: str, chosen: list[str], folder: Path, arguments: argparse.Namespace, held: dict[str, str]
) -> dict[str, Any]:
    """Times of engines for one case; each engine gets a new process, for its peak memory."""
    case, found = CASES[name], now()
    question = [name, min(case.new, 32) if arguments.quick and not case.grows else case.new]
    warm = start_engine("refimpl", arguments, folder, case, held)
    warm.ask(question)  # its compiled code is on the disk then
    warm.close()
    names = list(dict.fromkeys(["refimpl", *in_case(case, chosen)]))
    engines = {engine: start_engine(engine, arguments, folder, case, held) for engine in names}
    first = {engine: side.ask(question, watch=True)["tokens"] for engine, side in engines.items()}
    same = {engine: tokens == first["refimpl"] for engine, tokens in first.items()}
    print(name, "same tokens:", same, flush=True)
    if case.beams == 1 and not all(same[engine] for engine in names if "int8" not in engine):
        raise SystemExit("the engines do not give the same greedy tokens")
    runs: dict[str, list[dict[str, Any]]] = {engine: [] for engine in names}
    for _ in range(arguments.rounds):
        for engine, side in engines.items():
            runs[engine].append(side.ask(question))
    rows = {}
    for engine, side in engines.items():
        side.close()
        rows[engine] = summary(runs[engine], sum(map(len, first[engine])))
        rows[engine] |= {"same_tokens": same[engine], "versions": side.hello} | side.memory
        print(f"  {engine:28s} {rows[engine]['tokens_per_second']:8.1f} tokens/s", flush=True)
    note = f"{arguments.threads} threads, {question[1]} new tokens at most. {arguments.note}".rstrip()
    return found | {"rounds": arguments.rounds, "note": note, "engines": rows}


def start_engine(name: str, arguments: argparse.Namespace, folder: Path, case: Case, held: dict[str, str]) -> Side:
    """An engine in its process."""
    python = sys.executable if name.startswith("refimpl") else arguments.peers
    threads = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
    settings = dict.fromkeys(threads, str(arguments.threads)) | {"KERAS_BACKEND": name.partition("-")[2] or "jax"}
    return Side([python, "benches.decode.engines", name, str(folder.resolve()), case.model_name], settings | held)


def summary(runs: list[dict[str, Any]], tokens: int) -> dict[str, Any]:
    """Medians of an engine's runs, and how far they spread."""
    times = [run["seconds"] for run in runs]
    found = {key: statistics.median(run[key] for run in runs) for key in runs[0] if key != "tokens"}
    return {"tokens_per_second": tokens / found["seconds"], "fastest": min(times), "slowest": max(times)} | found


if __name__ == "__main__":
    main()
