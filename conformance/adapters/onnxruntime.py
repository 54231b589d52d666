"""ONNX Runtime under test, on graphs that PyTorch exported. It runs graphs; the greedy loop is the adapter's."""

import functools
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters.engine import settings_of
from conformance.adapters.token_engine import TokenEngine, text_of
from conformance.suite.messages import UnsupportedError

NO_LOOP = "runs graphs: where to stop is decided by the caller's loop"


class OnnxRuntime(TokenEngine):
    """Float32 on the CPU."""

    lacks = TokenEngine.lacks | {
        "generate.stop.": NO_LOOP,
        "generate.max-length.": NO_LOOP,
        "samplers.": NO_LOOP,
        "models.inputs.keys": "the exported graphs take other inputs",
    }

    def __init__(self) -> None:
        import onnxruntime

        super().__init__()
        self.engine = onnxruntime
        self.graphs: Any = None

    def start(self) -> dict[str, Any]:
        """Name, version, capabilities, and what it has not."""
        return {
            "implementation": "onnxruntime",
            "version": self.engine.__version__,
            "backend": "CPUExecutionProvider",
            "capabilities": list(self.capabilities),
            "lacks": self.lacks,
        }

    def open(self, folder: Path) -> Any:
        """The graphs are exported when the first question wants them, which takes a while."""
        return functools.cache(lambda: self.exported(folder)), text_of(folder)

    def exported(self, folder: Path) -> list[Any]:
        """Export, and open both graphs."""
        from conformance.adapters.onnx_export import DECODER, ENCODER, export

        export(folder)
        options = self.engine.SessionOptions()
        options.intra_op_num_threads = 1
        providers = ["CPUExecutionProvider"]
        return [self.engine.InferenceSession(str(folder / name), options, providers) for name in (ENCODER, DECODER)]

    def use(self, opened: Any) -> None:
        """From here on this model is asked."""
        self.graphs, self.text = opened

    # -- arithmetic ------------------------------------------------------------------------------------------------
    def encoded(self, ids: Any, mask: Any) -> dict[str, np.ndarray]:
        """What the decoder is given of the source."""
        mask = np.array(mask, "int64")
        (states,) = self.graphs()[0].run(None, {"input_ids": np.array(ids, "int64"), "attention_mask": mask})
        return {"encoder_hidden_states": states, "encoder_attention_mask": mask}

    def empty(self, rows: int) -> dict[str, np.ndarray]:
        """A past without positions."""
        graph = [part for part in self.graphs()[1].get_inputs() if part.name.startswith("past")]
        return {part.name: np.zeros((rows, part.shape[1], 0, part.shape[3]), "float32") for part in graph}

    def step(self, source: dict[str, Any], ids: Any, past: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
        """Logits of some more columns, and the past after them."""
        logits, *new = self.graphs()[1].run(None, {**source, **past, "input_ids": np.array(ids, "int64")})
        return logits, dict(zip(past, new, strict=True))

    def op_logits(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Scores of every decoder position."""
        return self.op_cached_logits(inputs, [len(inputs["decoder_token_ids"][0])])

    def op_cached_logits(self, inputs: dict[str, Any], chunks: list[int]) -> dict[str, Any]:
        """Scores of every decoder position, in chunks over the cache."""
        if not np.array(inputs.get("decoder_padding_mask", True), bool).all():
            raise UnsupportedError("the exported decoder has no mask over its own tokens")
        source = self.encoded(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])
        ids = np.array(inputs["decoder_token_ids"])
        found, first, past = [], 0, self.empty(len(ids))
        for size in chunks:
            logits, past = self.step(source, ids[:, first : first + size], past)
            found.append(logits)
            first += size
        return {"logits": np.concatenate(found, axis=1)}

    def op_states(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The graphs give the states of the source only."""
        raise UnsupportedError("the exported decoder gives no states")

    # -- generation ------------------------------------------------------------------------------------------------
    def decode(
        self, sources: list[list[int]], prompts: list[list[int]], length: int, stops: Any, sampler: Any
    ) -> list[list[int]]:
        """The best token, step by step. Rows go on after their end; the caller cuts them."""
        if settings_of(sampler)[0] != "greedy":
            raise UnsupportedError(NO_LOOP)
        widest = max(map(len, sources))
        ids = [row + [self.special["pad"]] * (widest - len(row)) for row in sources]
        source = self.encoded(ids, [[1] * len(row) + [0] * (widest - len(row)) for row in sources])
        rows, fed, past = [prompt[:] for prompt in prompts], prompts, self.empty(len(prompts))
        while len(rows[0]) < length:
            logits, past = self.step(source, fed, past)
            fed = [[int(best)] for best in logits[:, -1].argmax(axis=-1)]
            rows = [row + new for row, new in zip(rows, fed, strict=True)]
        return rows
