"""`refimpl` with all quirks on: it strays wherever KerasHub on that backend strays."""

import contextlib
from typing import Any

from conformance.adapters.refimpl import Refimpl
from conformance.quirks import VERSION, all_quirks, switched_on


class RefimplQuirks(Refimpl):
    """The definitions, patched between `start` and `stop`. Its answers should be those of KerasHub."""

    def __init__(self, backend: str = "jax") -> None:
        super().__init__(jit_compile=False)
        self.backend, self._quirks = backend, contextlib.ExitStack()

    def start(self) -> dict[str, Any]:
        """Switch the quirks on."""
        self._quirks.enter_context(switched_on(all_quirks(self.backend)))
        capabilities = ["core", "probe", "formats", *["jax-random"] * (self.backend == "jax")]
        return super().start() | {
            "implementation": "refimpl_quirks",
            "version": f"{self.version} as {VERSION}",
            "backend": self.backend,
            "capabilities": capabilities,
        }

    def stop(self) -> None:
        """Switch them off."""
        self._quirks.close()
