"""`python -m conformance fuzz`: units are given out until the time is over; findings are written as they come."""

import argparse
import json
import sys
import time
from itertools import count
from typing import Any

from conformance.fuzz.ledger import Ledger, LedgerError
from conformance.fuzz.options import ARCHITECTURES, CALLS
from conformance.fuzz.unit import Plan, Report, duel_of
from conformance.fuzz.workers import Cluster, Processes


def fuzz(options: argparse.Namespace) -> int:
    """Run or continue a campaign, or replay one finding; the exit code."""
    if options.replay:
        return replay(options)
    calls, models = tuple(options.calls.split(",")), tuple(options.models.split(","))
    for word, chosen, known in (("calls", calls, CALLS), ("models", models, ARCHITECTURES)):
        if unknown := sorted(set(chosen) - set(known)):
            print(f"--{word} {','.join(unknown)}: known are {', '.join(known)}.", file=sys.stderr)
            return 2
    plan = Plan(options.a, options.b, calls, options.examples, models=models)
    try:
        ledger = Ledger(options.out, plan, options.resume)
    except LedgerError as error:
        print(f"{error}.", file=sys.stderr)
        return 2
    before = len(ledger.done)
    pool: Any = Cluster(options.scheduler) if options.scheduler else Processes(options.workers)
    try:
        give_out(pool, ledger, options.seconds, options.units)
    except KeyboardInterrupt:
        print("\nstopped; --resume goes on", file=sys.stderr)
    finally:
        pool.close()
    print(f"{len(ledger.done)} units ({len(ledger.done) - before} new), {ledger.asked} questions, "
          f"{len(ledger.signatures)} kinds of difference in {options.out / 'findings'}")  # fmt: skip
    complete = options.units is not None and len(ledger.done) >= options.units
    idle = len(ledger.done) == before and not complete
    if idle:
        print("No unit ended in the time; give it more --seconds, or fewer --examples.", file=sys.stderr)
    for path in sorted((options.out / "findings").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        print(
            f"  {found['signature']}\n    {found['told']:.200}\n    again: python -m conformance fuzz --replay {path}"
        )
    return 1 if ledger.signatures else 3 if idle else 0


def give_out(pool: Any, ledger: Ledger, seconds: float, most: int | None = None, grace: float = 120.0) -> None:
    """Keep the pool busy until the time is over or `most` units are done; enter what comes back.

    What is begun then may end: perhaps it shrinks a finding. After the `grace` it is left for another time.
    """
    began = time.monotonic()
    numbers = (unit for unit in count() if unit not in ledger.done)
    out: set[int] = set()
    while (spent := time.monotonic() - began) < seconds or (out and spent < seconds + grace):
        if not out and most is not None and len(ledger.done) >= most:
            break
        while spent < seconds and pool.room > 0 and (most is None or len(ledger.done) + len(out) < most):
            unit = next(numbers)
            pool.submit(ledger.current_plan, unit)
            out.add(unit)
        for unit, report in pool.finished(1.0):
            out.discard(unit)
            path = ledger.enter(report or crashed(unit))
            if path:
                print(f"\rfound {path}", file=sys.stderr)
        progress(ledger, time.monotonic() - began, seconds)
    print(file=sys.stderr)


def crashed(unit: int) -> Report:
    """The report of a unit whose process ended each time."""
    told = "the process ended without an answer, each time that this unit was done"
    return Report(
        unit, 0, 0.0, {"signature": f"crash of unit {unit}", "told": told, "question": None, "a": "", "b": ""}
    )


def progress(ledger: Ledger, spent: float, seconds: float) -> None:
    """One line that is written over; away from a terminal one line a minute would be more than enough."""
    if not sys.stderr.isatty():
        return
    filled = int(30 * min(spent / seconds, 1.0))
    bar = "#" * filled + "." * (30 - filled)
    told = f"{len(ledger.done)} units, {ledger.asked} questions, {len(ledger.signatures)} findings"
    print(f"\r[{bar}] {spent:4.0f}/{seconds:.0f} s  {told}  ", end="", file=sys.stderr, flush=True)


def replay(options: argparse.Namespace) -> int:
    """Ask the question of a finding again; save it as a golden case if asked to."""
    found = json.loads(options.replay.read_text(encoding="utf-8"))
    plan = Plan(found["a_is"], found["b_is"])
    duel = duel_of(plan)
    difference = duel.difference(found["question"])
    print(json.dumps(found["question"], ensure_ascii=False))
    if difference is None:
        print(f"{plan.a} and {plan.b} agree now (it was: {found['signature']})")
    else:
        print(f"{difference.signature}\n  {difference.told}\n  {plan.a}: {difference.a}\n  {plan.b}: {difference.b}")
    if options.golden:
        from conformance.fuzz.golden import save

        print("saved", save(found, duel.b, options.golden))
    return int(difference is not None)
