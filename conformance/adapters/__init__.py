"""Adapters: one page for each implementation, with `start, load, call, stop`."""

import importlib
from pathlib import Path
from typing import Any, Protocol

# --backend: file, class and settings. KerasHub runs on what KERAS_BACKEND names.
KNOWN: dict[str, tuple[str, str, dict[str, Any]]] = {
    "refimpl": ("refimpl", "Refimpl", {}),
    "refimpl-definition": ("refimpl", "Refimpl", {"jit_compile": False}),
    **{
        f"refimpl-as-keras-hub-{name}": ("refimpl_quirks", "RefimplQuirks", {"backend": name})
        for name in ("jax", "torch", "tensorflow")
    },
    "keras_hub": ("keras_hub", "KerasHub", {}),
    "transformers": ("hugging_face", "HuggingFace", {}),
    "transformers-eager": ("hugging_face", "HuggingFace", {"attention": "eager"}),
    "ctranslate2": ("ctranslate2", "CTranslate2", {}),
    "ctranslate2-int8": ("ctranslate2", "CTranslate2", {"compute_type": "int8"}),
    "onnxruntime": ("onnxruntime", "OnnxRuntime", {}),
    "mlx": ("mlx", "Mlx", {}),
}


class Adapter(Protocol):
    """What the runner asks of an implementation. The same messages go over a pipe to other languages."""

    def start(self) -> dict[str, Any]:
        """Who answers: {"implementation", "version", "backend", "capabilities"}."""

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """Load a preset; what is loaded is what later calls use."""

    def call(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """Do one operation. Raises: UnsupportedError if it can't; anything else is the answer."""

    def stop(self) -> None:
        """The end."""


def find(backend: str, command: str | None = None, timeout: float = 60.0) -> Adapter:
    """The adapter of a name or `module:Class`, or one that talks to `command` and waits `timeout` seconds for answers.

    Raises: ImportError, AttributeError, LookupError if there is none.
    """
    if command:
        from conformance.adapters.command import Command

        return Command(command, timeout)
    module, colon, name = backend.partition(":")
    if colon:
        return getattr(importlib.import_module(module), name)()  # type: ignore[no-any-return]
    if backend not in KNOWN:
        raise LookupError(f"known are {', '.join(KNOWN)}, and module:Class of your own; or give --command")
    file, name, settings = KNOWN[backend]
    return getattr(importlib.import_module(f"conformance.adapters.{file}"), name)(**settings)  # type: ignore[no-any-return]


def expected_file(name: str) -> Path | None:
    """Where the known failures of an adapter lie, if it has any: a JSON object of case ids and reasons."""
    file = Path(__file__).parent / "expected" / f"{name}.json"
    return file if file.is_file() else None
