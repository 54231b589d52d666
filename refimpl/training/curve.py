"""A picture of the scores."""

from __future__ import annotations

import csv
from pathlib import Path


def draw_learning_curve(log: Path, picture: Path) -> str:
    """Draw loss and accuracy over the epochs of a `CSVLogger` file. Returns why not, or "".

    Spec: training.command.curve
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  (an extra)
    except ImportError:
        return "matplotlib is missing; pip install 'seq2seq-refimpl[plots]'"
    with log.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    epochs = [int(row["epoch"]) + 1 for row in rows]
    for axes, score in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for name, label in ((score, "training"), (f"val_{score}", "validation")):
            if rows and name in rows[0]:
                axes.plot(epochs, [float(row[name]) for row in rows], marker="o", markersize=3, label=label)
        axes.set(xlabel="epoch", ylabel=score)
        axes.grid(alpha=0.3)
        axes.legend()
    drawn = picture.with_name(f".{picture.name}")
    figure.savefig(drawn, dpi=120, format="png")
    drawn.replace(picture)
    return ""
