"""`decode.md` from the halves' files: `python -m benches.decode.report [FOLDER]`."""

import sys
from pathlib import Path
from typing import Any

from benches.decode.work import CASES
from benches.halves import RESULTS, Found, page, read

MEMORY = ("held_mb", "resident_mb")
BASES = {"float32": "ctranslate2-float32", "int8": "ctranslate2-int8"}
# Bytes that a step of the case "growth" reads, in float32: six decoder layers and the table of the vocabulary. Keys and
# values of the source are projected once, so two of the eight attention matrices are not read again.
STEP_BYTES = 4 * (6 * (6 * 768 * 768 + 2 * 768 * 3072) + 50265 * 768)
# What attention to one more position adds to a token: its key and value in each layer are read.
POSITION_BYTES = 4 * 6 * 2 * 768
ABOUT = """# Decoding, side by side

Made by `python -m benches.decode.compare`: the engines of a case take turns in one run, each in a process of its own;
medians. `batch 1`, `batch 8`, `beam 5`: random weights of BART-base's sizes, 64 source tokens, 64 new tokens, no early
stop. `T5, ...`: the same with T5-small's sizes. `phonemes`: the shipped preset, 1,000 words that it was not trained on,
64 at a time, from token ids to token ids with stop; `-sorted` gets all words at once and sorts them by length.
`growth`: one source, 512 new tokens. Ratios are to CTranslate2, to the faster of its rows. Memory is the peak over the
weights in float32, code compiled before: `held` can't be given back, as no file holds it; `resident` has mapped files
and libraries as well."""


def write(folder: Path) -> str:
    """Write and return `decode.md`."""
    found = read(folder, "decode")
    text = page([ABOUT, *worst(found)], found, section)
    (folder / "decode.md").write_text(text)
    return text


def ratio(case: Found, engine: str, kind: str) -> float | None:
    """An engine's speed over CTranslate2's, the faster of its rows of that kind."""
    speeds = {name: row["tokens_per_second"] for name, row in case["engines"].items()}
    others = [speed for name, speed in speeds.items() if name.startswith(BASES[kind])]
    return speeds[engine] / max(others) if others else None


def shown(number: float | None) -> str:
    """A ratio in the table."""
    return "" if number is None else f"{number:.2f}"


def worst(found: dict[str, Found]) -> list[str]:
    """What may be claimed: for each case refimpl's lowest ratios over the halves."""
    lines = ["", "| refimpl, worst half | / float32 | / int8 | halves |", "|---|---|---|---|"]
    for name in CASES:
        cases = {half: file["cases"][name] for half, file in found.items() if name in file["cases"]}
        ratios = [[ratio(case, "refimpl", kind) for case in cases.values()] for kind in BASES]
        low = [shown(min((number for number in row if number is not None), default=None)) for row in ratios]
        if cases:
            lines.append(f"| {name} | {' | '.join(low)} | {', '.join(sorted(cases))} |")
    return lines if len(lines) > 3 else []


def section(half: Found) -> list[str]:
    """One row an engine and case, then the cost of a late token."""
    lines = [
        "| case | engine | tokens/s | / float32 | / int8 | held / weights | resident / weights | same tokens |",
        "|---|---|---|---|---|---|---|---|",
    ]
    cases = {name: half["cases"][name] for name in CASES if name in half["cases"]}
    for name, case in cases.items():
        for engine, row in case["engines"].items():
            ratios = " | ".join(shown(ratio(case, engine, kind)) for kind in BASES)
            weights = 4 * CASES[name].model.parameters / 2**20
            memory = " | ".join(shown(row[key] / weights if name != "phonemes" else None) for key in MEMORY)
            same = "yes" if row["same_tokens"] else "no"
            lines.append(f"| {name} | {engine} | {row['tokens_per_second']:.1f} | {ratios} | {memory} | {same} |")
    rows: dict[str, Any] = cases["growth"]["engines"] if "growth" in cases else {}
    for engine, row in rows.items():
        growth, attention = row["late"] / row["early"] - 1, 472 * POSITION_BYTES / STEP_BYTES
        lines += [""] * (engine == "refimpl") + [
            f"* Growth, {engine}: {row['early'] * 1e3:.2f} ms for a token around the 24th, {row['late'] * 1e3:.2f} ms "
            f"around the 496th, {growth:+.1%}; the keys and values to be read are {attention:.1%} more bytes."
        ]
    return lines


if __name__ == "__main__":
    print(write(Path([*sys.argv, RESULTS][1])))
