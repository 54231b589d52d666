"""Draw the learning curves of the two spelling-to-phonemes models: `python conformance/shipped/g2p_curve.py OUT.png`.

Reads `training.json` of both presets; the losses are means over the tokens. Needs matplotlib.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PRESETS = Path(__file__).parents[2] / "golden" / "presets"
CURVES = (  # preset, key, colour, label
    ("bart_g2p_en", "loss", "#aaaaaa", "KerasHub, training (with dropout)"),
    ("bart_g2p_en_refimpl", "loss", "#3465a4", "refimpl, training (with dropout)"),
    ("bart_g2p_en_refimpl", "val_loss", "#cc6600", "refimpl, 1 % of the pairs kept aside"),
)


def main() -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(7, 4))
    for preset, key, colour, label in CURVES:
        history = json.loads((PRESETS / preset / "training.json").read_text(encoding="utf-8"))["history"]
        panel.plot([row["epoch"] for row in history], [row[key] for row in history], color=colour, label=label)
    panel.set_yscale("log")
    panel.minorticks_off()
    panel.set_yticks([0.1, 0.2, 0.5, 1.0, 2.0], ["0.1", "0.2", "0.5", "1", "2"])
    panel.set_xlabel("epoch")
    panel.set_ylabel("cross-entropy of a token")
    panel.grid(alpha=0.3)
    panel.legend()
    figure.tight_layout()
    figure.savefig(sys.argv[1], dpi=100)


if __name__ == "__main__":
    main()
