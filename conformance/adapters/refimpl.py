"""`refimpl` under test. Besides the mutants the only file of the suite that imports it."""

from typing import Any

from conformance.adapters.keras_api import KerasApi
from conformance.adapters.refimpl_trace import recording
from conformance.suite.probes import Recorder


class Refimpl(KerasApi):
    """The reference. `jit_compile=False` runs the definitions instead of their Numba twins."""

    capabilities = ("core", "probe", "trace", "formats", "safe-loading", "exact-rows", "jax-random")
    capabilities += ("t5gemma", "moonshine")

    def __init__(self, jit_compile: bool = True) -> None:
        import refimpl

        super().__init__(refimpl.models, refimpl.samplers)
        self.optimizers = refimpl.optimizers
        self.version, self.jit_compile = refimpl.__version__, jit_compile

    def start(self) -> dict[str, Any]:
        """Name, version and capabilities."""
        return {
            "implementation": "refimpl",
            "version": self.version,
            "backend": "twin" if self.jit_compile else "definition",
            "capabilities": list(self.capabilities),
        }

    def compile(self, sampler: Any) -> None:
        """Choose the sampler, and twin or definition. The same sampler goes on where its last call ended."""
        if getattr(self.lm, "_conformance_sampler", None) != (sampler, self.jit_compile):
            self.lm.compile(sampler=sampler, jit_compile=self.jit_compile)
            self.lm._conformance_sampler = sampler, self.jit_compile

    def op_trace(self, inputs: Any, forced: Any = None, chunks: Any = None) -> dict[str, Any]:
        """The tensors inside the definition; with `chunks` those of decoding over the cache."""
        recorder = Recorder(forced)
        try:
            with recording(recorder):
                found = self.op_cached_logits(inputs, chunks) if chunks else self.op_logits(inputs)
        except Exception as error:
            error.reached = {"tensors": recorder.arrays(), "block": recorder.failed}  # type: ignore[attr-defined]
            raise
        return recorder.arrays() | found
