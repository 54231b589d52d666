"""A template: copy it, fill in what your library can do, and run it.

    python -m conformance run --backend my_adapter:MyLibrary --smoke

What you leave out is "unsupported". conformance/TUTORIAL.md goes through it in ten minutes; all operations and their
arguments stand in golden/README.md.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from conformance.suite.messages import UnsupportedError


class Template:
    """One page that stands between the suite and a library."""

    def __init__(self) -> None:
        self.model: Any = None

    def start(self) -> dict[str, Any]:
        """Who answers.

        `core`: the whole API, what is missing is a failure. `probe`: logits and the like. `trace`: the tensors inside.
        Name only what the library means to have. What it has not by design stands in `lacks`, with the reason.
        """
        return {
            "implementation": "my library",
            "version": "0.1",
            "backend": "cpu",
            "capabilities": ["probe"],
            "lacks": {},  # beginning of clause ids -> reason, as in {"training.": "it is for inference only"}
        }

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """Load the preset in the folder `args["preset"]`; later calls use it. What the library raises is its answer.

        `keep` is False where the folder will change: an adapter that keeps what it has loaded must not use that then.
        """
        if more := set(args) - {"preset", "keep"}:
            raise UnsupportedError(f"load with {', '.join(sorted(more))}")
        folder = Path(args["preset"])
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("config.json holds no object")
        kind = config.get("class_name")
        if kind != "BartBackbone":  # the suite has presets of T5, too
            raise UnsupportedError(f"no {kind}")
        self.model = folder  # my_library.load(folder)
        return {"class": "BartSeq2SeqLM"}

    def call(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """One operation: `op_logits` answers "logits", and so on. An unknown one is unsupported, never an error."""
        method = getattr(self, f"op_{op}", None)
        if method is None:
            raise UnsupportedError(f"no operation {op!r}")
        return method(**args)

    def op_logits(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Scores (B, T, V) of every decoder position, from four nested lists of ids and masks."""
        batch = {key: np.array(value, bool if key.endswith("mask") else "int32") for key, value in inputs.items()}
        raise UnsupportedError(f"fill me in: self.model on {sorted(batch)}")  # return {"logits": self.model(batch)}

    def stop(self) -> None:
        """The end: close what is open."""
