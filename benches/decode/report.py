"""The results as JSON, as a table and as a picture."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from work import CASES

BASE = "ctranslate2-float32"
# Bytes of what a step at batch 1 reads: six decoder layers and the table of the vocabulary, in float32. The keys and
# values of the source are projected once, so two of the eight attention matrices are not read again.
LAYER_BYTES, TABLE_BYTES = 4 * 6 * (6 * 768 * 768 + 2 * 768 * 3072), 4 * 50265 * 768
# The table is read as a whole by the first two steps, and when it is quantized: six bits a number, and for each line
# a scale and the two norms that bound an error.
LIST_BYTES = 50265 * (768 * 6 // 8 + 12)
READ_BYTES = 64 * LAYER_BYTES + 3 * TABLE_BYTES + 62 * LIST_BYTES
# What attention to one more position adds to a token: its key and value in each layer are read.
POSITION_BYTES = 4 * 6 * 2 * 768
ABOUT = """# Decoding, side by side

Made by `benches/decode/compare.py`; the engines of a run take turns, each in a process of its own, medians over
rounds. `batch 1`, `batch 8`, `beam 5`: random weights of BART-base's sizes, 64 source tokens, 64 new tokens, no early
stop. `T5, ...`: the same with T5-small's sizes. `phonemes`: the shipped preset, 1,000 words that it was not trained
on, 64 at a time, from token ids to token ids with stop; `-sorted` gets all words at once and sorts them by length.
`growth`: one source, 512 new tokens. Ratios are those within a run; rows of an earlier run have its date.
"""


def write(found: dict[str, Any], folder: Path) -> None:
    """Write `decode.json`, `decode.md` and, if matplotlib is there, `decode.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "decode.json").write_text(json.dumps(found, indent=1) + "\n")
    text = table(found)
    (folder / "decode.md").write_text(text)
    print(text)
    try:
        picture(found, folder / "decode.png")
    except ModuleNotFoundError:
        print("no picture: matplotlib is missing")


def table(found: dict[str, Any]) -> str:
    """Markdown: one row an engine and case."""
    lines = [
        ABOUT,
        f"| case | engine | tokens/s | / {BASE} | / refimpl | peak memory / weights | same tokens | rounds | run |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case, run, name, row in shown(found):
        speed, others = row["tokens_per_second"], [run["engines"].get(other) for other in (BASE, "refimpl")]
        ratios = " | ".join(f"{speed / other['tokens_per_second']:.2f}" if other else "" for other in others)
        memory = f"{row['peak_mb'] * 2**20 / (4 * CASES[case].model.parameters):.2f}" if case != "phonemes" else ""
        same, when = "yes" if row["same_tokens"] else "no", "" if run is found["cases"][case][0] else run["date"]
        lines.append(f"| {case} | {name} | {speed:.1f} | {ratios} | {memory} | {same} | {row['rounds']} | {when} |")
    lines += ["", *remarks(found["cases"])]
    return "\n".join(lines) + "\n"


def shown(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    """Case, run, engine and its numbers, for each row of the table."""
    for case, runs in found["cases"].items():
        for run in runs:
            for name in run["shown"]:
                yield case, run, name, run["engines"][name]


def remarks(cases: dict[str, Any]) -> list[str]:
    """The share of the memory's speed, the cost of a late token, and how each case was run."""
    lines = []
    for run in cases.get("batch 1", [])[:1]:
        rate = READ_BYTES / run["engines"]["refimpl"]["seconds"] / 1e9
        lines.append(
            f"Reading memory in long runs: {run['bandwidth']:.1f} GB/s. At batch 1 `refimpl` reads weights at "
            f"{rate:.1f} GB/s or more, encoder included in the time: {rate / run['bandwidth']:.0%} of that."
        )
    for name, row in cases["growth"][0]["engines"].items() if "growth" in cases else ():
        if "early" in row:
            step = LAYER_BYTES + (LIST_BYTES if name == "refimpl" else TABLE_BYTES)
            growth, attention = row["late"] / row["early"] - 1, (472 * POSITION_BYTES) / step
            lines.append(
                f"Growth, {name}: {row['early'] * 1e3:.2f} ms for a token around the 24th, {row['late'] * 1e3:.2f} ms "
                f"around the 496th, {growth:+.1%}; the keys and values to be read are {attention:.1%} more bytes."
            )
    for case, run in ((case, run) for case, runs in cases.items() for run in runs):
        note = f" {run['note']}" if run["note"] else ""
        lines.append(
            f"{case}, {run['date']}: {run['threads']} threads, {run['rounds']} rounds at most, "
            f"load {run['load_before']:.1f} before.{note}"
        )
    return [f"* {line}" for line in lines]


def picture(found: dict[str, Any], path: Path) -> None:
    """Bars: tokens a second by engine, one panel a case; those of an earlier run are pale."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    cases, columns = list(found["cases"]), 3
    lines = -(-len(cases) // columns)
    figure, panels = pyplot.subplots(lines, columns, figsize=(5 * columns, 3 * lines), squeeze=False)
    for panel in panels.flat[len(cases) :]:
        panel.axis("off")
    for panel, case in zip(panels.flat, cases, strict=False):
        rows = [(run, name, row) for where, run, name, row in shown(found) if where == case][::-1]
        bars = panel.barh([name for _, name, _ in rows], [row["tokens_per_second"] for _, _, row in rows])
        for bar, (run, name, _) in zip(bars, rows, strict=True):
            bar.set_color("#3465a4" if name.startswith("refimpl") else "#aaaaaa")
            bar.set_alpha(1.0 if run is found["cases"][case][0] else 0.5)
        panel.bar_label(bars, fmt="%.0f", padding=2)
        panel.set_title(f"{case}, tokens/s")
        panel.margins(x=0.2)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
