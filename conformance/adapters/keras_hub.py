"""KerasHub under test, on the backend that KERAS_BACKEND names."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters.keras_api import KerasApi
from conformance.adapters.keras_trace import recording
from conformance.suite.messages import UnsupportedError
from conformance.suite.probes import Recorder


class KerasHub(KerasApi):
    """KerasHub itself: what it does beside what it promises is in spec/divergences.md."""

    def __init__(self) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow tells of GPUs before every table
        import keras
        import keras_hub

        super().__init__(keras_hub.models, keras_hub.samplers)
        self.optimizers = keras.optimizers
        self.keras, self.version = keras, keras_hub.__version__
        self.sampler: Any = None

    def start(self) -> dict[str, Any]:
        """Name, version, backend and capabilities."""
        return {
            "implementation": "keras_hub",
            "version": self.version,
            "backend": self.keras.backend.backend(),
            "capabilities": [
                *self.capabilities,
                "trace",
                "formats",
                "t5gemma",
                "moonshine",
                *["jax-random"] * (self.keras.backend.backend() == "jax"),
            ],
        }

    def build(self, args: dict[str, Any]) -> Any:
        """Moonshine's own files can't be read back without a dtype: the divergence `moonshine-own-folder`."""
        config = Path(args["preset"]) / "config.json"
        if "dtype" not in args and config.exists() and "MoonshineBackbone" in config.read_text(encoding="utf-8"):
            args = args | {"dtype": "float32"}
        return super().build(args)

    def compile(self, sampler: Any) -> None:
        """Compile once for each model, as each compilation throws the traced step away."""
        if getattr(self.lm, "_conformance_sampler", None) != sampler:
            self.lm.compile(sampler=sampler)
            self.lm._conformance_sampler = sampler

    def batch(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Token ids and masks as tensors of the backend."""
        arrays = super().batch(inputs)
        return {key: self.keras.ops.convert_to_tensor(value) for key, value in arrays.items()}

    def tensor(self, value: np.ndarray) -> Any:
        """A tensor of the backend."""
        return self.keras.ops.convert_to_tensor(value)

    def next_of(self, logits: Any, states: Any) -> Any:
        """`next` of a table, in operations of the backend. KerasHub's loops take no None in place of states."""
        ops = self.keras.ops
        table = self.tensor(np.array(logits, "float32"))
        of_token = table if states is None else self.tensor(np.array(states, "float32"))

        def next(prompt: Any, cache: Any, index: Any) -> tuple[Any, Any, Any]:
            column = ops.slice(prompt, (0, index - 1), (ops.shape(prompt)[0], 1))[:, 0]
            return ops.take(table, column, axis=0), ops.take(of_token, column, axis=0), cache

        return next

    def array(self, value: Any) -> np.ndarray:
        """A tensor of any backend as a NumPy array."""
        return self.keras.ops.convert_to_numpy(value) if not isinstance(value, np.ndarray) else value

    def op_cached_logits(self, inputs: dict[str, Any], chunks: list[int]) -> dict[str, Any]:
        """T5Gemma's method takes both caches as one, and the encoder gives the mask back; so does Moonshine's."""
        kind = type(self.lm).__name__
        if kind == "MoonshineAudioToText":
            return self._cached_by_moonshine(inputs, chunks)
        if kind != "T5GemmaSeq2SeqLM":
            return super().op_cached_logits(inputs, chunks)
        batch, backbone = self.batch(inputs), self.lm.backbone
        encoded, mask = self.lm.call_encoder(batch["encoder_token_ids"], batch["encoder_padding_mask"])
        rows, columns = batch["decoder_token_ids"].shape
        shape = (rows, backbone.decoder_num_layers, 2, columns, backbone.decoder_num_key_value_heads)
        cache = (self.keras.ops.zeros((*shape, backbone.decoder_head_dim)), None)
        found, first = [], 0
        for size in chunks:
            ids = batch["decoder_token_ids"][:, first : first + size]
            logits, _, cache = self.lm.call_decoder_with_cache(ids, None, cache, first, encoded, mask)
            found.append(self.array(logits))
            first += size
        return {"logits": np.concatenate(found, axis=1)}

    def _cached_by_moonshine(self, inputs: dict[str, Any], chunks: list[int]) -> dict[str, Any]:
        """Its method takes one token at a time."""
        if set(chunks) != {1}:
            raise UnsupportedError("Moonshine's call_decoder_with_cache knows the position of one token only")
        batch = self.batch(inputs)
        _, own, other, encoded, mask = self.lm._build_cache(*batch.values())
        own, found = self.keras.ops.zeros_like(own), []
        for at in range(len(chunks)):
            ids = batch["decoder_token_ids"][:, at : at + 1]
            logits, _, own, _ = self.lm.call_decoder_with_cache(encoded, mask, ids, own, at, other)
            found.append(self.array(logits))
        return {"logits": np.concatenate(found, axis=1)}

    def op_trace(self, inputs: Any, forced: Any = None, chunks: Any = None) -> dict[str, Any]:
        """The tensors inside the model; with `chunks` those of decoding over the cache."""
        recorder = Recorder(forced)
        with recording(self.keras.ops, self.lm.backbone, recorder):
            found = self.op_cached_logits(inputs, chunks) if chunks else KerasHub.op_logits(self, inputs)
        return recorder.arrays() | found


class OnJaxAsAWhole(KerasHub):
    """KerasHub whose passes JAX compiles as a whole, as `predict` does: one program in place of each operation's."""

    def op_logits(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Scores of every decoder position."""
        return {"logits": self.array(self._compiled(self.lm, inputs))}

    def op_states(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Encoder and decoder states."""
        return self.arrays(self._compiled(self.lm.backbone, inputs))

    def _compiled(self, model: Any, inputs: dict[str, Any]) -> Any:
        import jax

        if not hasattr(model, "_conformance_pass"):
            model._conformance_pass = jax.jit(lambda *given: model.stateless_call(*given)[0])
        weights = [[each.value for each in part] for part in (model.trainable_variables, model.non_trainable_variables)]
        return model._conformance_pass(*weights, self.batch(inputs))
