"""The results as JSON, as a table and as a picture."""

import json
from pathlib import Path
from typing import Any

BASE = "ctranslate2-float32"
# Bytes that a step at batch 1 must read: six decoder layers and the table of the vocabulary, in float32. The keys and
# values of the source are projected once, so two of the eight attention matrices are not read again.
STEP_BYTES = 4 * (6 * (6 * 768 * 768 + 2 * 768 * 3072) + 50265 * 768)
WEIGHT_MB = 4 * 139_420_416 / 2**20


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
        "# Decoding, side by side",
        "",
        "Random weights of BART-base's sizes, 64 source tokens, 64 new tokens, no early stop; made by",
        f"`benches/decode/compare.py`: {found['threads']} threads, medians of {found['rounds']} runs taken in turn. "
        f"{found['note']}",
        "",
        f"| case | engine | tokens/s | / {BASE} | peak memory / weights | same tokens |",
        "|---|---|---|---|---|---|",
    ]
    for case, rows in found["cases"].items():
        base = rows.get(BASE, {}).get("tokens_per_second")
        for name, row in rows.items():
            ratio = f"{row['tokens_per_second'] / base:.2f}" if base else ""
            memory = f"{row['peak_mb'] / WEIGHT_MB:.2f}"
            same = "yes" if row["same_tokens"] else "no"
            lines.append(f"| {case} | {name} | {row['tokens_per_second']:.1f} | {ratio} | {memory} | {same} |")
    one = found["cases"].get("batch 1", {}).get("refimpl")
    if one:
        rate = STEP_BYTES * 64 / one["seconds"] / 1e9
        share = rate / found["bandwidth"]
        lines += [
            "",
            f"Reading memory in long runs: {found['bandwidth']:.1f} GB/s. At batch 1 `refimpl` reads weights at "
            f"{rate:.1f} GB/s or more, encoder included in the time: {share:.0%} of that.",
        ]
    return "\n".join(lines) + "\n"


def picture(found: dict[str, Any], path: Path) -> None:
    """Bars: tokens a second by engine, one panel a case."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(found["cases"]), figsize=(4 * len(found["cases"]), 3.2), squeeze=False)
    for panel, (case, rows) in zip(panels[0], found["cases"].items(), strict=True):
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
