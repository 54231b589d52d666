"""Adapters: one page for each implementation, with `start, load, call, stop`."""

import importlib
from typing import Any, Protocol


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
    if backend == "refimpl":
        from conformance.adapters.refimpl import Refimpl

        return Refimpl()
    if backend == "keras_hub":
        from conformance.adapters.keras_hub import KerasHub

        return KerasHub()
    if backend == "transformers":
        from conformance.adapters.transformers import Transformers

        return Transformers()
    module, colon, name = backend.partition(":")
    if colon:
        return getattr(importlib.import_module(module), name)()
    raise LookupError("known are refimpl, keras_hub, transformers, and module:Class of your own; or give --command")
