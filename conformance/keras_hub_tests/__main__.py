"""Runs a checkout's tests and prints what became of each."""

import argparse
import fnmatch
import sys
import unittest
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

FOLDERS = ("models/bart", "models/t5", "models/t5gemma", "samplers")
NOT_ASKED = {
    "*.test_all_presets": "downloads every published preset; KerasHub's own CI leaves out what is marked extra_large",
    "*.test_smallest_preset": "downloads a published preset; marked extra_large",
    "*.test_litert_export": "exports to LiteRT; KerasHub's own base class skips it on every backend but torch",
    "*.test_generate_compilation": "`generate_function` is Keras's traced function; nothing is traced here",
}
# KerasHub changes the dictionary that it is given; its tests go on with the changed one.
QUIRKS = {"*.test_generate": "inputs-changed"}
ONE_CACHE = "T5GemmaSeq2SeqLMTest.test_early_stopping"  # replaces a method that has another form in KerasHub's T5Gemma


def of(name: str, table: dict[str, str]) -> str:
    """What a table says of a test, or nothing."""
    return next((told for pattern, told in table.items() if fnmatch.fnmatch(name, pattern)), "")


def tests_of(checkout: Path) -> Iterator[tuple[str, unittest.TestCase | None]]:
    """Every test by its name; None for a file that is not asked at all."""
    from conformance.keras_hub_tests.imports import module_from

    for folder in FOLDERS:
        for path in sorted((checkout / "keras_hub" / "src" / folder).glob("*_test.py")):
            if of(path.stem, NOT_ASKED):
                yield path.stem, None
                continue
            for case in unittest.defaultTestLoader.loadTestsFromModule(module_from(path)):
                for test in case:
                    yield test.id().split(".", 1)[1], test


def main(words: list[str] | None = None) -> int:
    """0 if every test that is asked passes."""
    top = argparse.ArgumentParser(prog="python -m conformance.keras_hub_tests", description=__doc__)
    top.add_argument("checkout", type=Path, help="a checkout of keras-team/keras-hub")
    top.add_argument("--only", default="*", metavar="PATTERN", help="tests whose name (Class.test) fits")
    options = top.parse_args(words)
    from conformance.keras_hub_tests.base_class import TestCase
    from conformance.keras_hub_tests.imports import Answers

    Answers(TestCase).install()
    TestCase.test_data = str(options.checkout / "keras_hub" / "src" / "tests" / "test_data")
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    for name, test in tests_of(options.checkout):
        if not fnmatch.fnmatch(name, options.only) or name.endswith("test_session"):
            continue
        verdict, told = ("not asked", of(name, NOT_ASKED)) if test is None or of(name, NOT_ASKED) else asked(name, test)
        counts[verdict] += 1
        print(f"{verdict:9} {name}" + (f": {told}" if told else ""))
    print(", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())))
    return int(counts["fail"] > 0)


def asked(name: str, test: unittest.TestCase) -> tuple[str, str]:
    """Verdict of a test, and what there is to say of it."""
    from conformance.keras_hub_tests.imports import one_cache
    from conformance.quirks import all_quirks, switched_on

    quirk, result = of(name, QUIRKS), unittest.TestResult()
    form = one_cache() if name == ONE_CACHE else nullcontext()
    with form, switched_on(one for one in all_quirks("jax") if one.divergence == quirk), redirect_stdout(None):
        test.run(result)
    if problems := [text for _, text in [*result.failures, *result.errors]]:
        return "fail", "".join(problems)
    return "pass", f"with the divergence {quirk}" if quirk else ""


if __name__ == "__main__":
    sys.exit(main())
