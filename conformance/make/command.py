"""`python -m conformance make`: asks the producers, writes the goldens, or compares them with what is kept."""

import argparse
from pathlib import Path

from conformance.make.check import check
from conformance.make.goldens import Goldens
from conformance.make.kept import kept_cases
from conformance.make.presets import write_presets
from conformance.make.producers import gather, transformers
from conformance.make.questions import all_questions
from conformance.suite.cases import GOLDEN


def main(options: argparse.Namespace) -> int:
    """Write the goldens, or compare them with what is kept; prints what is wrong."""
    if options.presets:
        write_presets(GOLDEN / "presets")
    problems = check(options.only) if options.check else make(GOLDEN, options.cache)
    done = "all goldens come out as they are kept" if options.check else "all goldens are made"
    print("\n".join(problems) or done)
    return int(bool(problems))


def make(target: Path, cache: str | None = None) -> list[str]:
    """Write the goldens below `target`; returns the problems. What is there as it is asked now is kept."""
    questions = all_questions()
    kept = kept_cases(target, questions)
    found = gather([q for q in questions if q["id"] not in kept], cache)
    print(f"{len(questions) - len(kept)} of {len(questions)} questions are new or were changed")
    goldens = Goldens({name: f["answers"] for name, f in found.items()}, {name: f["info"] for name, f in found.items()})
    goldens.scorers = transformers()
    goldens.build(questions, kept, target)
    if not goldens.problems:
        print("removed:", goldens.write(target))
    return goldens.problems
