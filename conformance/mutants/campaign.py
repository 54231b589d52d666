"""`python -m conformance mutants`: is each mutant killed, each null variant left alone, the faulty block named?"""

import multiprocessing
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from conformance.mutants import Mutant, all_mutants
from conformance.mutants.blocks import named, right_names
from conformance.mutants.kept import Kept, OtherCodeError, Result
from conformance.mutants.nulls import NULLS, Null
from conformance.suite.cases import read_cases
from conformance.suite.diagnosis import faulty, verdicts_in_flow
from conformance.suite.runner import run

# What must hold: share of mutants killed, null variants flagged, share of killed mutants whose block is named, mutants.
KILLED, FLAGGED, NAMED, MUTANTS = 0.95, 0, 0.80, 120
PATIENCE = 300  # seconds of computing for one mutant; one that makes the run endless is noticed by that


def judge(name: str) -> Result:
    """Run the suite against one mutant, by its name."""
    began = time.perf_counter()
    mutant = next(mutant for mutant in all_mutants() if mutant.name == name)
    signal.signal(signal.SIGPROF, _give_up)
    signal.setitimer(signal.ITIMER_PROF, PATIENCE)  # of its own time: a busy machine is no endless run
    try:
        with warnings.catch_warnings(), mutant.active():
            warnings.simplefilter("ignore")
            found = _judged(mutant)
    except _EndlessError:
        found = Result(name, "(none)", f"no end after {PATIENCE} seconds")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return Result(found.name, found.case, found.message, found.block, found.named, time.perf_counter() - began)


class _EndlessError(BaseException):
    """The time is over; no library catches it by mistake."""


def _give_up(*_: Any) -> None:
    raise _EndlessError


def _judged(mutant: Mutant) -> Result:
    """Verdicts and the block that they point to."""
    from conformance.adapters.refimpl import Refimpl

    adapter = Refimpl(jit_compile=False)  # the twins do not call what is patched
    info = adapter.start()
    verdicts = verdicts_in_flow(adapter, info, read_cases())
    first = next((v for v in verdicts if v.bad), None)
    if first is None:
        return Result(mutant.name)
    block = faulty(adapter, verdicts)
    return Result(mutant.name, first.case.id, first.message, block, named(mutant, block))


def judge_null(name: str) -> Result:
    """Run the whole suite against one null variant: nothing may be bad."""
    began = time.perf_counter()
    null = next(null for null in NULLS if null.name == name)
    with warnings.catch_warnings(), null.active() as adapter:
        warnings.simplefilter("ignore")
        verdicts = list(run(adapter, null.cases(read_cases()), adapter.start()["capabilities"]))
    first = next((v for v in verdicts if v.bad), None)
    spent = time.perf_counter() - began
    return Result(name, seconds=spent) if first is None else Result(name, first.case.id, first.message, seconds=spent)


def run_mutants(only: str = "", workers: int = 2, keep: Path | None = None) -> int:
    """Print a line for each as it is done, then the figures; 1 if one of them is missed.

    What stands in the file `keep` is not run again, and what is found is written there.
    """
    mutants = [mutant for mutant in all_mutants() if mutant.name.startswith(only)]
    nulls: list[Null] = [] if only else list(NULLS)
    try:
        kept = Kept(keep)
    except OtherCodeError as error:
        print(error, file=sys.stderr)
        return 2
    todo = [mutant for mutant in mutants if ("mutant", mutant.name) not in kept]
    left = [null for null in nulls if ("null", null.name) not in kept]
    began, count = time.perf_counter(), len(mutants) + len(nulls)
    for number, (kind, result) in enumerate(_results(todo, left, workers), count - len(todo) - len(left) + 1):
        kept.add(kind, result)
        fault = next((m.fault for m in mutants if m.name == result.name), "null")
        print(f"[{number:3}/{count}] {told(kind, result, fault)}", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s")
    killed = [kept.found["mutant", mutant.name] for mutant in mutants]
    flagged = [kept.found["null", null.name] for null in nulls]
    return int(not figures(mutants, killed, flagged, bool(only)))


def _results(mutants: list[Mutant], nulls: list[Null], workers: int) -> Iterator[tuple[str, Result]]:
    """Results as they come, from processes of their own: what a mutant leaves behind ends with its process."""
    spawn = multiprocessing.get_context("spawn")
    for threads in dict.fromkeys(null.threads for null in nulls):
        for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ[name] = threads  # read when a process imports its libraries
        with spawn.Pool(workers) as pool:
            for null in pool.imap_unordered(judge_null, [null.name for null in nulls if null.threads == threads]):
                yield "null", null
    with spawn.Pool(workers, maxtasksperchild=20) as pool:
        for result in pool.imap_unordered(judge, [mutant.name for mutant in mutants]):
            yield "mutant", result


def told(kind: str, result: Result, fault: str) -> str:
    """One line, and one for the message."""
    if kind == "null":
        return f"{result.name} (null): " + (
            f"FLAGGED by {result.case}\n    {result.message:.150}" if result.killed else "left alone"
        )
    if not result.killed:
        return f"{result.name} ({fault}): SURVIVES"
    mark = "" if result.named else f"  (it is in {' or '.join(right_names(_mutant(result.name)))})"
    return f"{result.name} ({fault}): killed by {result.case}; named {result.block}{mark}\n    {result.message:.150}"


def _mutant(name: str) -> Mutant:
    return next(mutant for mutant in all_mutants() if mutant.name == name)


def figures(mutants: list[Mutant], results: Iterable[Result], nulls: list[Result], part: bool) -> bool:
    """Print the figures beside what they must be; whether all are met. A part of the mutants may be few."""
    killed = [result for result in results if result.killed]
    flagged = sum(null.killed for null in nulls)
    share, right = len(killed) / max(len(mutants), 1), sum(result.named for result in killed) / max(len(killed), 1)
    rows = [
        (f"{len(mutants)} mutants (at least {MUTANTS})", part or len(mutants) >= MUTANTS),
        (f"{len(killed)} killed, {share:.1%} (at least {KILLED:.0%})", share >= KILLED),
        (f"{flagged} of {len(nulls)} null variants flagged (at most {FLAGGED})", flagged <= FLAGGED),
        (f"faulty block named for {right:.1%} of the killed (at least {NAMED:.0%})", right >= NAMED),
    ]
    for text, met in rows:
        print(text if met else f"{text}  MISSED", file=sys.stdout)
    return all(met for _, met in rows)
