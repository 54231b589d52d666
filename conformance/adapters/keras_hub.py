"""KerasHub under test, on the backend that KERAS_BACKEND names."""

from typing import Any

import numpy as np

from conformance.adapters.keras_api import KerasApi


class KerasHub(KerasApi):
    """KerasHub itself: what it does beside what it promises is in spec/divergences.md."""

    def __init__(self) -> None:
        import keras
        import keras_hub

        super().__init__(keras_hub.models)
        self.keras, self.version = keras, keras_hub.__version__
        self.sampler: Any = None

    def start(self) -> dict[str, Any]:
        """Name, version, backend and capabilities."""
        return {
            "implementation": "keras_hub",
            "version": self.version,
            "backend": self.keras.backend.backend(),
            "capabilities": list(self.capabilities),
        }

    def compile(self, sampler: Any) -> None:
        """Compile once for each model, as each compilation throws the traced step away."""
        if getattr(self.lm, "_conformance_sampler", None) != sampler:
            self.lm.compile(sampler=sampler)
            self.lm._conformance_sampler = sampler

    def batch(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Token ids and masks as tensors of the backend."""
        arrays = super().batch(inputs)
        return {key: self.keras.ops.convert_to_tensor(value) for key, value in arrays.items()}

    def array(self, value: Any) -> np.ndarray:
        """A tensor of any backend as a NumPy array."""
        return self.keras.ops.convert_to_numpy(value) if not isinstance(value, np.ndarray) else value
