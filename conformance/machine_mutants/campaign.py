"""`python -m conformance machine-mutants`: a seeded sample, resumable; each mutant is asked the cases that reach it."""

import argparse
import functools
import hashlib
import importlib
import itertools
import json
import os
import pickle
import resource
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

from conformance.machine_mutants import blocks
from conformance.machine_mutants.operators import Change, changed, changes_of, config_defaults
from conformance.machine_mutants.reach import ROOT, Reach, apart, functions_at, path_of, reach_of, reach_of_tests
from conformance.suite.cases import Case, read_cases
from conformance.suite.runner import run

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
FIRST = 30.0, 20.0  # seconds, as traced, of the cases and of the tests that one mutant is asked, the quickest first
FOREIGN = (
    "pytest",
    "hypothesis",
    "numpy",
    "numba",
    "h5py",
    "regex",
    "sentencepiece",
    "safetensors.numpy",
    "threadpoolctl",
)


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


class Mutated(MetaPathFinder):
    """Imports one module from its changed tree."""

    def __init__(self, change: Change) -> None:
        self.change = change

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != self.change.module:
            return None
        file, change = path_of(name), self.change

        class Loader(SourceFileLoader):
            def get_code(self, _: str) -> Any:
                return compile(changed(file, change, DEFAULTS), str(file), "exec")

        return spec_from_file_location(name, file, loader=Loader(name, str(file)))


def asked(cases: list[Case]) -> tuple[str, str] | None:
    """The first of these cases that fails, and its message."""
    from conformance.adapters.refimpl import Refimpl

    adapter = Refimpl(jit_compile=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bad = next((v for v in run(adapter, cases, adapter.start()["capabilities"]) if v.bad), None)
    return (bad.case.id, bad.message) if bad else None


def tested(tests: list[str]) -> tuple[str, str] | None:
    """The first of these tests beside the code that fails, and its message."""
    import pytest

    class First:
        found: tuple[str, str] | None = None

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed and not self.found:
                self.found = report.nodeid, str(report.longrepr).strip().rpartition("\n")[2]

    first = First()
    words = ["-x", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), *(str(ROOT / test) for test in tests)]
    code = pytest.main(words, plugins=[first]) if tests else 0
    return first.found or (("(collection)", f"pytest ended with {code}") if code else None)


def judge(change: Change, cases: list[Case], tests: list[str], work: Any = None) -> tuple[str, str]:
    """Which case or test kills a mutant, and how; in a process of its own that may hang, crash or eat all memory.

    `work` asks something else of it.
    """
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    signal.alarm(10 * SECONDS)
    sys.meta_path.insert(0, Mutated(change))
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    try:
        return work(cases) if work else asked(cases) or tested(tests) or ("", "")
    except BaseException as error:  # at import, before any case
        return "(import)", f"{type(error).__name__}: {error}"


Job = tuple[Change, list[Case], list[str]]


def results(todo: list[Job], workers: int, work: Any = None) -> Iterator[tuple[Job, str, str]]:
    """Mutants as they are done."""
    running: dict[int, tuple[Job, Any]] = {}
    waiting = iter(todo)
    while True:
        while len(running) < workers and (job := next(waiting, None)):
            read, write = os.pipe()
            if not (child := os.fork()):
                found = judge(*job, work)
                os.write(write, json.dumps([found[0], found[1][:200]]).encode())
                os._exit(0)
            os.close(write)
            running[child] = job, read
        if not running:
            return
        child, status = os.wait()
        job, read = running.pop(child)
        with os.fdopen(read, "rb") as back:
            said = back.read()
        case, message = json.loads(said) if said else ("(timeout)", f"ended by signal {status & 127}")
        yield job, case, message


def sample(size: int, seed: int) -> list[tuple[str, Change]]:
    """So many mutants, each room by its share. A larger sample holds the smaller one of the same seed, and what is
    changed in one place of the code leaves the order of all others.
    """
    pool = [(room, change) for room, changes in all_changes().items() for change in changes]
    return sorted(pool, key=lambda pair: hashlib.sha256(f"{seed} {pair[1].id}".encode()).digest())[:size]


def machine_mutants(options: argparse.Namespace) -> int:
    """Run what is not kept yet, then print and write the figures."""
    os.nice(10)
    for name in FOREIGN:
        importlib.import_module(name)
    cases = read_cases()
    options.keep.mkdir(parents=True, exist_ok=True)
    file = options.keep / "results.jsonl"
    reach = _kept(options.keep / "reach.pickle", cases)
    beside = {} if options.blocks else _kept(options.keep / "tests.pickle", None)
    kept = [json.loads(row) for row in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    known = {row["id"]: row for row in kept}
    drawn = sample(options.sample, options.seed)
    todo = []
    for _, change in drawn if not options.blocks else ():
        old = known.get(change.id)
        if old is None or (options.again and not old["case"]):
            todo.append((change, *_ask(change, cases, reach, beside)))
    for number, (job, case, message) in enumerate(results(todo, options.workers), 1):
        known[job[0].id] = row = {"id": job[0].id, "case": case, "message": message, "unreached": not any(job[1:])}
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        print(f"[{number}/{len(todo)}] {job[0].id}\n    {case or 'SURVIVES'}: {message:.120}", flush=True)
    if options.blocks:
        drawn = [(room, change) for room, change in drawn if change.id in known]
        blocks.ask(drawn, known, reach, options, results)
    page = report(drawn, known, blocks.figure(drawn, known, options.keep))
    print(page)
    if options.report:
        options.report.write_text(page, encoding="utf-8")
    return 0


def _kept(file: Path, cases: list[Case] | None) -> Reach:
    """What the cases (or, without, the tests) run, asked in a process of its own: here `refimpl` must stay unread."""
    found: Reach = pickle.loads(file.read_bytes()) if file.exists() else {}
    new = [case for case in cases or () if case.id not in found]
    if new or not found:
        found |= apart(lambda: reach_of(new, asked) if cases else reach_of_tests())
        file.write_bytes(pickle.dumps(found))
    return found


def _ask(change: Change, cases: list[Case], reach: Reach, beside: Reach) -> tuple[list[Case], list[str]]:
    """The cases that run the line (those that run the module, if nothing is seen to run the line, as at import), the
    quickest first, drawn ones last; and the tests that call its function, of what runs at import first those whose
    file names the module.
    """
    file = path_of(change.module)
    lines, functions = set(change.lines), functions_at(file)
    firsts = set().union(*(functions.get(line, set()) for line in lines))
    naming = set() if lines else {name for name in beside if change.module in _text(name.partition("::")[0])}

    def quickest(found: Reach, wanted: set[int], limit: float) -> list[str]:
        ran = [name for name, (_, at) in found.items() if at.get(str(file), set()) & wanted]
        ran = ran or [name for name, (_, at) in found.items() if str(file) in at or name in naming]
        ran.sort(key=lambda name: (name not in naming, "#drawn" in name, found[name][0]))
        total = itertools.accumulate(found[name][0] for name in ran)
        return [name for name, seconds in zip(ran, total, strict=True) if seconds <= limit or name == ran[0]]

    by_id = {case.id: case for case in cases}
    first = [by_id[name] for name in quickest(reach, lines, FIRST[0]) if name in by_id]
    return first, quickest(beside, firsts, FIRST[1])


@functools.cache
def _text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def report(drawn: list[tuple[str, Change]], known: dict[str, Any], named: str = "") -> str:
    """Figures by room, and the survivors that no reason excuses."""
    equal = json.loads(EQUIVALENT.read_text(encoding="utf-8"))
    count: Counter[tuple[str, str]] = Counter()
    left: list[str] = []
    for room, change in drawn:
        row = known[change.id]
        kind = "killed" if row["case"] else "equivalent" if change.id in equal else "survived"
        count.update([(room, kind), (room, "all"), ("all", kind), ("all", "all")])
        count.update([(r, "timeouts") for r in (room, "all") if row["case"] == "(timeout)"])
        count.update([(r, "beside") for r in (room, "all") if "::" in row["case"]])
        count.update([(r, "unreached") for r in (room, "all") if kind == "survived" and row["unreached"]])
        left += [f"* `{change.id}`" + (" (nothing runs it)" if row["unreached"] else "")] if kind == "survived" else []
    columns = ["room", "mutants", "killed", "of them by tests beside the code", "timeouts", "equivalent", "survived",
               "of them run by nothing", "killed of those not equivalent"]  # fmt: skip
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    kinds = ("all", "killed", "beside", "timeouts", "equivalent", "survived", "unreached")
    for room in [*ROOMS, "all"]:
        n = {kind: count[room, kind] for kind in kinds}
        share = n["killed"] / max(n["killed"] + n["survived"], 1)
        lines.append(f"| {room} | " + " | ".join(map(str, n.values())) + f" | {share:.1%} |")
    head = "# Mutants by machine\n\n`python -m conformance machine-mutants` wrote this. A timeout counts as killed.\n"
    return "\n".join([head, *lines, *[f"\n{named}"] * bool(named), "\n## Survivors\n", *sorted(left)]) + "\n"
