"""JSON lines on stdin and stdout, for the programs of this folder; golden/README.md says what they mean."""

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

KINDS: dict[type[BaseException], str] = {
    ValueError: "value",
    TypeError: "type",
    KeyError: "key",
    IndexError: "index",
    OverflowError: "overflow",
    FileNotFoundError: "missing-file",
    OSError: "os",
    json.JSONDecodeError: "json",
    RuntimeError: "runtime",
    AttributeError: "attribute",
    NotImplementedError: "not-implemented",
}

T5_DEFAULTS = {
    "activation": "relu",
    "use_gated_activation": True,
    "layer_norm_epsilon": 1e-6,
    "tie_embedding_weights": True,
}


class UnsupportedError(Exception):
    """The library has no such thing."""


def config_of(preset: str) -> tuple[str | None, dict[str, Any]]:
    """Which class of KerasHub a preset is for, and its sizes."""
    config = json.loads((Path(preset) / "config.json").read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ValueError("config.json holds no object")
    sizes = config.get("config", {})
    if config.get("class_name") == "T5Backbone":
        sizes = T5_DEFAULTS | sizes
        sizes["key_value_dim"] = sizes.get("key_value_dim") or sizes["hidden_dim"] // sizes["num_heads"]
        if isinstance(sizes["activation"], dict):  # a function of KerasHub: gelu with tanh
            sizes["activation"] = "gelu_new"
    return config.get("class_name"), sizes


class Weights:
    """The datasets of a preset: each must be there, none may be left over."""

    def __init__(self, preset: str) -> None:
        self.arrays: dict[str, Any] = {}
        with h5py.File(Path(preset) / "model.weights.h5") as file:
            file.visititems(lambda name, item: self.arrays.update({name: item[()]} if hasattr(item, "shape") else {}))
        self.unread = set(self.arrays)
        self.count = sum(array.size for array in self.arrays.values())

    def __call__(self, path: str) -> Any:
        if path not in self.arrays:
            raise ValueError(f"the weights have no {path}")
        self.unread.discard(path)
        return self.arrays[path]


def packed(value: Any) -> Any:
    """Arrays as messages have them."""
    if isinstance(value, dict):
        return {key: packed(v) for key, v in value.items()}
    if hasattr(value, "shape"):
        array = np.asarray(value, "float32")
        return {"dtype": "float32", "shape": list(array.shape), "data": array.ravel().tolist()}
    return value


def unpacked(message: dict[str, Any]) -> Any:
    """An array of a message."""
    return np.array(message["data"], "float32").reshape(message["shape"])


def serve(program: Any, start: dict[str, Any], operations: set[str]) -> None:
    """Answer until stdin ends."""
    out, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    for line in sys.stdin:
        message = json.loads(line)
        op, args, answer = message["op"], message["args"], {"seq": message["seq"]}
        try:
            if op in {"start", "echo"}:
                answer["result"] = start if op == "start" else args
            elif op in operations:
                answer["result"] = packed(getattr(program, op)(**args))
            else:
                answer["unsupported"] = f"no operation {op}"
        except UnsupportedError as error:
            answer["unsupported"] = str(error)
        except Exception as error:
            kinds = [kind for cls, kind in KINDS.items() if isinstance(error, cls)]
            answer["error"] = {"kinds": kinds or ["runtime"], "message": str(error)}
        print(json.dumps(answer), file=out, flush=True)
