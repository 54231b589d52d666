"""The results as JSON, as a table and as a picture."""

import json
from pathlib import Path
from typing import Any

BASE = "ctranslate2-float32"
# Bytes that a step at batch 1 must read: six decoder layers and the table of the vocabulary, in float32. The keys and
# values of the source are projected once, so two of the eight attention matrices are not read again.
STEP_BYTES = 4 * (6 * (6 * 768 * 768 + 2 * 768 * 3072) + 50265 * 768)
WEIGHT_MB = 4 * 139_420_416 / 2**20
# What attention to one more position adds to a token: its key and value in each layer are read.
POSITION_BYTES = 4 * 6 * 2 * 768
ABOUT = """# Decoding, side by side

Made by `benches/decode/compare.py`; all engines of a case run in turn, each in a process of its own, medians over
rounds. `batch 1`, `batch 8`, `beam 5`: random weights of BART-base's sizes, 64 source tokens, 64 new tokens, no early
stop. `phonemes`: the shipped preset, 1,000 words that it was not trained on, 64 at a time, from token ids to token ids
with stop; `-sorted` gets all words at once and sorts them by length. `growth`: one source, 512 new tokens.
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
        f"| case | engine | tokens/s | / {BASE} | / refimpl | peak memory / weights | same tokens |",
        "|---|---|---|---|---|---|---|",
    ]
    for case, run in found["cases"].items():
        rows = run["engines"]
        base, ours = (rows.get(name, {}).get("tokens_per_second") for name in (BASE, "refimpl"))
        for name, row in rows.items():
            speed = row["tokens_per_second"]
            ratios = " | ".join(f"{speed / other:.2f}" if other else "" for other in (base, ours))
            memory = "" if case == "phonemes" else f"{row['peak_mb'] / WEIGHT_MB:.2f}"
            same = "yes" if row["same_tokens"] else "no"
            lines.append(f"| {case} | {name} | {speed:.1f} | {ratios} | {memory} | {same} |")
    lines += ["", *remarks(found["cases"])]
    return "\n".join(lines) + "\n"


def remarks(cases: dict[str, Any]) -> list[str]:
    """The share of the memory's speed, the cost of a late token, and how each case was run."""
    lines = []
    if "refimpl" in cases.get("batch 1", {}).get("engines", {}):
        run = cases["batch 1"]
        rate = STEP_BYTES * 64 / run["engines"]["refimpl"]["seconds"] / 1e9
        lines.append(
            f"Reading memory in long runs: {run['bandwidth']:.1f} GB/s. At batch 1 `refimpl` reads weights at "
            f"{rate:.1f} GB/s or more, encoder included in the time: {rate / run['bandwidth']:.0%} of that."
        )
    for name, row in cases.get("growth", {}).get("engines", {}).items():
        if "early" in row:
            growth, attention = row["late"] / row["early"] - 1, (472 * POSITION_BYTES) / STEP_BYTES
            lines.append(
                f"Growth, {name}: {row['early'] * 1e3:.2f} ms for a token around the 24th, {row['late'] * 1e3:.2f} ms "
                f"around the 496th, {growth:+.1%}; the keys and values to be read are {attention:.1%} more bytes."
            )
    for case, run in cases.items():
        note = f" {run['note']}" if run["note"] else ""
        lines.append(
            f"{case}: {run['threads']} threads, {run['rounds']} rounds, load {run['load_before']:.1f} before.{note}"
        )
    return [f"* {line}" for line in lines]


def picture(found: dict[str, Any], path: Path) -> None:
    """Bars: tokens a second by engine, one panel a case."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    cases = {case: run["engines"] for case, run in found["cases"].items()}
    figure, panels = pyplot.subplots(1, len(cases), figsize=(4.2 * len(cases), 3.2), squeeze=False)
    for panel, (case, rows) in zip(panels[0], cases.items(), strict=True):
        names = list(rows)[::-1]
        speeds = [rows[name]["tokens_per_second"] for name in names]
        bars = panel.barh(
            names, speeds, color=["#3465a4" if name.startswith("refimpl") else "#aaaaaa" for name in names]
        )
        panel.bar_label(bars, fmt="%.0f", padding=2)
        panel.set_title(f"{case}, tokens/s")
        panel.margins(x=0.2)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
