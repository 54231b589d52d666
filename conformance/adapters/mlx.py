"""BART and T5 in MLX, Apple's array library, on its CPU backend: what an author of a port writes after TUTORIAL.md."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conformance.adapters.mlx_t5 import T5
from conformance.suite.messages import UnsupportedError


class Mlx:
    """The forward pass only, in `mlx.core` and the pieces of `mlx.nn`."""

    def __init__(self) -> None:
        import mlx.core
        import mlx.nn

        self.mx, self.nn = mlx.core, mlx.nn
        self.mx.set_default_device(self.mx.cpu)
        self.weights: dict[str, Any] = {}
        self.sizes: dict[str, Any] = {}
        self.model: Any = self  # of T5 another one

    def start(self) -> dict[str, Any]:
        """A port of the forward pass."""
        version = self.mx.__version__
        lacks = {"presets.": "a forward pass, which reads the weights only"}
        return {
            "implementation": "mlx",
            "version": version,
            "backend": "cpu",
            "capabilities": ["probe"],
            "lacks": lacks,
        }

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """Sizes and weights under their names in the file."""
        if more := set(args) - {"preset", "keep", "encoder_sequence_length", "decoder_sequence_length", "preprocessor"}:
            raise UnsupportedError(f"load with {', '.join(sorted(more))}")
        config = json.loads((Path(args["preset"]) / "config.json").read_text("utf-8"))
        if config["class_name"] not in ("BartBackbone", "T5Backbone"):
            raise UnsupportedError(f"no {config['class_name']}")
        self.sizes, self.weights = config["config"], {}

        def keep(place: str, node: Any) -> None:
            if isinstance(node, h5py.Dataset):
                self.weights[place.removeprefix("layers/")] = self.mx.array(node[...])

        with h5py.File(Path(args["preset"]) / "model.weights.h5") as file:
            file.visititems(keep)
        self.model = T5(self.mx, self.nn, self.sizes, self.weights) if config["class_name"] == "T5Backbone" else self
        return {}

    def call(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """One operation."""
        method = getattr(self, f"op_{op}", None)
        if method is None:
            raise UnsupportedError(f"no operation {op!r}")
        return method(**args)

    def stop(self) -> None:
        """Nothing is open."""

    # -- operations ------------------------------------------------------------------------------------------------
    def op_states(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What comes out of both sides."""
        encoded, decoded = self.model.forward(self.checked(inputs))
        return {"encoder_sequence_output": np.array(encoded), "decoder_sequence_output": np.array(decoded)}

    def op_logits(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Scores of every decoder position."""
        _, decoded = self.model.forward(self.checked(inputs))
        return {"logits": np.array(self.model.logits(decoded))}

    def checked(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The four arrays. MLX reads past the end of a table without a word, so ids are looked at here."""
        kinds = ("token_ids", "padding_mask")
        batch = {
            f"{side}_{kind}": np.array(inputs[f"{side}_{kind}"]) for side in ("encoder", "decoder") for kind in kinds
        }
        for side in ("encoder", "decoder"):
            ids, mask = batch[f"{side}_token_ids"], batch[f"{side}_padding_mask"]
            if ids.min() < 0 or ids.max() >= self.sizes["vocabulary_size"]:
                raise ValueError(f"{side}_token_ids are not below {self.sizes['vocabulary_size']}")
            most = self.sizes.get("max_sequence_length", ids.shape[1])  # T5 learns no positions
            if ids.shape[1] > most or mask.shape != ids.shape:
                raise ValueError(f"{side}: {ids.shape[1]} columns, {most} positions, mask {mask.shape}")
        if len({len(array) for array in batch.values()}) > 1:
            raise ValueError("sources and targets differ in number")
        return {key: self.mx.array(value) for key, value in batch.items()}

    # -- forward pass ----------------------------------------------------------------------------------------------
    def forward(self, batch: dict[str, Any]) -> tuple[Any, Any]:
        """Encoder and decoder, post-norm."""
        seen = batch["encoder_padding_mask"][:, None, None, :]
        x = self.embed(batch["encoder_token_ids"], "")
        for layer in range(self.sizes["num_layers"]):
            place = "transformer_encoder" + (f"_{layer}" if layer else "")
            x = self.feed_forward(place, self.attend(place, "self", x, x, seen))
        y = self.embed(batch["decoder_token_ids"], "_1")
        length = y.shape[1]
        earlier = self.mx.tri(length, length).astype(self.mx.bool_) & batch["decoder_padding_mask"][:, None, None, :]
        for layer in range(self.sizes["num_layers"]):
            place = "transformer_decoder" + (f"_{layer}" if layer else "")
            y = self.attend(place, "self", y, y, earlier)
            y = self.feed_forward(place, self.attend(place, "cross", y, x, seen))
        return x, y

    def logits(self, decoded: Any) -> Any:
        """Scores of all tokens by the token table."""
        return decoded @ self.weights["reversible_embedding/vars/0"].T

    def embed(self, ids: Any, side: str) -> Any:
        """Tokens and positions, normalised."""
        positions = self.weights[f"position_embedding{side}/vars/0"][: ids.shape[1]]
        return self.norm(f"layer_normalization{side}", self.weights["reversible_embedding/vars/0"][ids] + positions)

    def norm(self, place: str, x: Any) -> Any:
        """MLX's own layer norm."""
        return self.mx.fast.layer_norm(x, self.weights[f"{place}/vars/0"], self.weights[f"{place}/vars/1"], 1e-5)

    def attend(self, place: str, kind: str, x: Any, source: Any, may_attend: Any) -> Any:
        """MLX's own attention; a row that may attend to nothing gets zeros."""
        here = f"{place}/_{kind}_attention_layer"

        def heads(part: str, value: Any) -> Any:
            kernel, bias = (self.weights[f"{here}/{part}_dense/vars/{n}"] for n in (0, 1))
            flat = value @ kernel.reshape(kernel.shape[0], -1) + bias.reshape(-1)
            return flat.reshape(*value.shape[:2], *bias.shape).transpose(0, 2, 1, 3)

        q, k, v = heads("query", x), heads("key", source), heads("value", source)
        may_attend = self.mx.broadcast_to(may_attend, (q.shape[0], 1, q.shape[2], k.shape[2]))
        mixed = self.mx.fast.scaled_dot_product_attention(q, k, v, scale=q.shape[-1] ** -0.5, mask=may_attend)
        mixed = self.mx.where(may_attend.any(axis=-1, keepdims=True), mixed, 0.0)
        kernel, bias = (self.weights[f"{here}/output_dense/vars/{n}"] for n in (0, 1))
        added = mixed.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1) @ kernel.reshape(-1, kernel.shape[-1]) + bias
        return self.norm(f"{place}/_{kind}_attention_layer_norm", x + added)

    def feed_forward(self, place: str, x: Any) -> Any:
        """Two dense layers with gelu between them."""
        first, second = (
            [self.weights[f"{place}/_feedforward_{name}_dense/vars/{n}"] for n in (0, 1)]
            for name in ("intermediate", "output")
        )
        return self.norm(
            f"{place}/_feedforward_layer_norm", x + self.nn.gelu(x @ first[0] + first[1]) @ second[0] + second[1]
        )
