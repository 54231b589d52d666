"""`python -m conformance machine-mutants`: a seeded sample, resumable; each mutant is asked the cases that reach it."""

import argparse
import functools
import importlib
import json
import os
import pickle
import random
import resource
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

from conformance.cases import Case, read_cases
from conformance.machine_mutants.operators import Change, changed, changes_of, config_defaults
from conformance.runner import run

ROOT = Path(__file__).parents[2]
# The definition, room by room: the twins and what only speed needs are tested beside their code.
ROOMS = {
    "models": "refimpl/models/**/*.py", "autograd": "refimpl/autograd/*.py", "decoding": "refimpl/decoding/*.py",
    "samplers": "refimpl/samplers/*.py", "tokenizers": "refimpl/tokenizers/*.py",
    "preprocessing": "refimpl/preprocessing/*.py", "losses": "refimpl/training/losses.py",
    "optimizers": "refimpl/training/optimizers/*.py",
}  # fmt: skip
NOT_DEFINITION = ("vjp_numba", "vjp_loops", "blas_threads", "sharing", "compiled", "__init__")
EQUIVALENT = Path(__file__).with_name("equivalent.json")
SECONDS, BYTES = 60, 8 << 30  # for one mutant
FOREIGN = ("numpy", "numba", "h5py", "regex", "sentencepiece", "safetensors.numpy", "threadpoolctl")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `machine-mutants`."""
    command.add_argument("--sample", type=int, default=2000, metavar="N", help="mutants, of all rooms together")
    command.add_argument("--seed", type=int, default=15)
    command.add_argument("--workers", type=int, default=2, metavar="N", help="processes")
    command.add_argument(
        "--keep", type=Path, required=True, metavar="FOLDER", help="results; what is there is not run again"
    )
    command.add_argument("--report", type=Path, metavar="FILE", help="write the figures there")
    command.add_argument("--again", action="store_true", help="ask the survivors once more")


@functools.cache
def all_changes() -> dict[str, list[Change]]:
    """Every possible mutant, by room."""
    found = {}
    for room, pattern in ROOMS.items():
        paths = [p for p in sorted(ROOT.glob(pattern)) if "tests" not in p.parts and p.stem not in NOT_DEFINITION]
        found[room] = [c for p in paths for c in changes_of(p, _module(p), DEFAULTS)]
    return found


DEFAULTS = config_defaults(ROOT / "refimpl" / "models")


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _path(module: str) -> Path:
    return ROOT / Path(*module.split(".")).with_suffix(".py")


class Mutated(MetaPathFinder):
    """Imports one module from its changed tree."""

    def __init__(self, change: Change) -> None:
        self.change = change

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self.change.module:
            return None
        file, change = _path(name), self.change

        class Loader(SourceFileLoader):
            def get_code(self, _: str) -> Any:
                return compile(changed(file, change, DEFAULTS), str(file), "exec")

        return spec_from_file_location(name, file, loader=Loader(name, str(file)))


def reach_of(cases: list[Case]) -> dict[str, tuple[float, dict[str, set[int]]]]:
    """Case id -> its seconds and which lines of the definition it runs; each in a process of its own."""
    import refimpl  # noqa: F401

    found, top = {}, str(ROOT / "refimpl")
    for case in cases:
        lines: dict[str, set[int]] = {}

        def trace(frame: Any, event: str, _: Any, lines: dict[str, set[int]] = lines) -> Any:
            file = frame.f_code.co_filename
            if not file.startswith(top):
                return None
            if event == "line":
                lines.setdefault(file, set()).add(frame.f_lineno)
            return trace

        read, write = os.pipe()
        if not os.fork():
            began = time.perf_counter()
            threading.settrace(trace)
            sys.settrace(trace)
            bad = asked([case])
            sys.settrace(None)
            with os.fdopen(write, "wb") as out:
                pickle.dump((bad, time.perf_counter() - began, lines), out)
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as back:
            bad, seconds, lines = pickle.load(back)
        os.wait()
        if bad:
            raise SystemExit(f"{case.id} fails without any mutant: {bad}.")
        found[case.id] = seconds, lines
    return found


def asked(cases: list[Case]) -> tuple[str, str] | None:
    """The first of these cases that fails, and its message."""
    from conformance.adapters.refimpl import Refimpl

    adapter = Refimpl(jit_compile=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bad = next((v for v in run(adapter, cases, adapter.start()["capabilities"]) if v.bad), None)
    return (bad.case.id, bad.message) if bad else None


def judge(change: Change, cases: list[Case]) -> tuple[str, str]:
    """Which case kills a mutant, and how; in a process of its own that may hang, crash or eat all memory."""
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    signal.alarm(10 * SECONDS)
    sys.meta_path.insert(0, Mutated(change))
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    try:
        return asked(cases) or ("", "")
    except BaseException as error:  # at import, before any case
        return "(import)", f"{type(error).__name__}: {error}"


def results(todo: list[tuple[Change, list[Case]]], workers: int) -> Iterator[tuple[Change, str, str]]:
    """Mutants as they are done."""
    running: dict[int, tuple[Change, Any]] = {}
    waiting = iter(todo)
    while True:
        while len(running) < workers and (job := next(waiting, None)):
            read, write = os.pipe()
            if not (child := os.fork()):
                found = judge(*job)
                os.write(write, json.dumps([found[0], found[1][:200]]).encode())
                os._exit(0)
            os.close(write)
            running[child] = job[0], read
        if not running:
            return
        child, status = os.wait()
        change, read = running.pop(child)
        with os.fdopen(read, "rb") as back:
            said = back.read()
        case, message = json.loads(said) if said else ("(timeout)", f"ended by signal {status & 127}")
        yield change, case, message


def sample(size: int, seed: int) -> list[tuple[str, Change]]:
    """So many mutants, each room by its share; a larger sample holds the smaller one of the same seed."""
    pool = [(room, change) for room, changes in all_changes().items() for change in changes]
    random.Random(seed).shuffle(pool)
    return pool[:size]


def machine_mutants(options: argparse.Namespace) -> int:
    """Run what is not kept yet, then print and write the figures."""
    os.nice(10)
    for name in FOREIGN:
        importlib.import_module(name)
    cases = read_cases()
    options.keep.mkdir(parents=True, exist_ok=True)
    file, reached = options.keep / "results.jsonl", options.keep / "reach.pickle"
    reach = _reach(cases, reached)
    kept = [json.loads(row) for row in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    known = {row["id"]: row for row in kept}
    drawn = sample(options.sample, options.seed)
    todo = []
    for _, change in drawn:
        old = known.get(change.id)
        if old is None or (options.again and not old["case"]):
            todo.append((change, _ask(change, cases, reach)))
    for number, (change, case, message) in enumerate(results(todo, options.workers), 1):
        none = not any(c is change and found for c, found in todo)
        known[change.id] = row = {"id": change.id, "case": case, "message": message, "unreached": none}
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        print(f"[{number}/{len(todo)}] {change.id}\n    {case or 'SURVIVES'}: {message:.120}", flush=True)
    page = report(drawn, known)
    print(page)
    if options.report:
        options.report.write_text(page, encoding="utf-8")
    return 0


def _reach(cases: list[Case], file: Path) -> dict[str, tuple[float, dict[str, set[int]]]]:
    """What the cases run, asked in a process of its own: here `refimpl` must stay unread. Kept in `file`."""
    found = pickle.loads(file.read_bytes()) if file.exists() else {}
    if new := [case for case in cases if case.id not in found]:
        if not (child := os.fork()):
            file.write_bytes(pickle.dumps(found | reach_of(new)))
            os._exit(0)
        os.waitpid(child, 0)
        found = pickle.loads(file.read_bytes())
    return found


def _ask(change: Change, cases: list[Case], reach: dict[str, Any]) -> list[Case]:
    """The cases that run the line (those that run the module, if it is run at import), the quickest first."""
    file = str(_path(change.module))

    def runs(case: Case) -> bool:
        lines = reach[case.id][1].get(file, set())
        return bool(lines & set(change.lines)) if change.lines else bool(lines)

    return sorted((case for case in cases if runs(case)), key=lambda case: reach[case.id][0])


def report(drawn: list[tuple[str, Change]], known: dict[str, Any]) -> str:
    """Figures by room, and the survivors that no reason excuses."""
    equal = json.loads(EQUIVALENT.read_text(encoding="utf-8"))
    count: Counter[tuple[str, str]] = Counter()
    left: list[str] = []
    for room, change in drawn:
        row = known[change.id]
        kind = "killed" if row["case"] else "equivalent" if change.id in equal else "survived"
        count.update([(room, kind), (room, "all"), ("all", kind), ("all", "all")])
        count.update([(r, "timeouts") for r in (room, "all") if row["case"] == "(timeout)"])
        count.update([(r, "unreached") for r in (room, "all") if kind == "survived" and row["unreached"]])
        left += [f"* `{change.id}`" + (" (no case runs it)" if row["unreached"] else "")] if kind == "survived" else []
    columns = ["room", "mutants", "killed", "of them timeouts", "equivalent", "survived", "of them run by no case"]
    lines = [f"| {' | '.join([*columns, 'killed of those not equivalent'])} |", "|---" * 8 + "|"]
    for room in [*ROOMS, "all"]:
        n = {kind: count[room, kind] for kind in ("all", "killed", "timeouts", "equivalent", "survived", "unreached")}
        share = n["killed"] / max(n["killed"] + n["survived"], 1)
        lines.append(f"| {room} | " + " | ".join(map(str, n.values())) + f" | {share:.1%} |")
    head = "# Mutants by machine\n\n`python -m conformance machine-mutants` wrote this. A timeout counts as killed.\n"
    return "\n".join([head, *lines, "\n## Survivors\n", *sorted(left)]) + "\n"
