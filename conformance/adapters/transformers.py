"""Hugging Face's models over the same weights: in float64 the truth of the arithmetic."""

import copy
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from conformance.adapters import transformers_moonshine as moonshine
from conformance.adapters import transformers_t5 as t5
from conformance.adapters import transformers_t5gemma as t5gemma
from conformance.adapters.transformers_trace import recording
from conformance.suite.messages import UnsupportedError
from conformance.suite.probes import BIAS, Recorder


def bart_config(hub: Any, config: dict[str, Any], attention: str = "eager") -> Any:
    """The configuration of a BART, whose sides have equal sizes."""
    sizes: dict[str, Any] = {"vocab_size": config["vocabulary_size"], "d_model": config["hidden_dim"]}
    for side in ("encoder", "decoder"):
        sizes |= {
            f"{side}_layers": config["num_layers"],
            f"{side}_attention_heads": config["num_heads"],
            f"{side}_ffn_dim": config["intermediate_dim"],
        }
    return hub.BartConfig(**sizes, max_position_embeddings=config["max_sequence_length"], attn_implementation=attention)


class Transformers:
    """Forward passes only. `permuted` renumbers the inner dimensions, which only changes the order of the sums."""

    def __init__(self, dtype: str = "float64", permuted: bool = False, attention: str = "eager") -> None:
        import torch
        import transformers

        self.torch, self.hub = torch, transformers
        self.dtype, self.permuted, self.attention = dtype, permuted, attention
        self.model: Any = None

    def start(self) -> dict[str, Any]:
        """Name, version and capabilities."""
        return {
            "implementation": "transformers",
            "version": self.hub.__version__,
            "backend": f"torch {self.dtype}",
            "capabilities": ["probe", "trace", "t5gemma", "moonshine"],
        }

    def stop(self) -> None:
        """Nothing runs."""

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """Build the model of the preset's configuration and fill it from the HDF5 file."""
        folder = Path(args["preset"])
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config, read = content["config"], _read(folder)
        if content["class_name"] == "T5Backbone":
            model = self.hub.T5ForConditionalGeneration(t5.config_of(self.hub, config)).eval()
            arrays = t5.state_of(read, config, self.permuted)
            if not config["tie_embedding_weights"]:
                t5.untie(self.torch, model)
            if self.dtype == "float64":
                t5.double_norms(model)
        elif content["class_name"] == "T5GemmaBackbone":
            model = self.hub.T5GemmaForConditionalGeneration(t5gemma.config_of(self.hub, config)).eval()
            arrays = t5gemma.state_of(read, config, self.permuted)
            if self.dtype == "float64":
                t5gemma.in_doubles(self.torch, model, config["rope_max_wavelength"])
        elif content["class_name"] == "MoonshineBackbone":
            model, arrays = moonshine.model_of(self.hub, config), moonshine.state_of(read, config, self.permuted)
            moonshine.in_doubles(self.torch, model, read)
        else:
            model = self.hub.BartForConditionalGeneration(bart_config(self.hub, config, self.attention)).eval()
            arrays = self._state(read, config)
        state = {k: self.torch.tensor(v.copy(), dtype=self.torch.float64) for k, v in arrays.items()}
        missing, extra = model.load_state_dict(state, strict=False)
        assert not extra, extra
        tied = ("embed_tokens.weight", "lm_head.weight", "final_logits_bias")
        assert all(name.endswith(tied) for name in missing), missing
        if "lm_head.weight" not in arrays:
            model.tie_weights()
        self.model = model.to(getattr(self.torch, self.dtype))
        return {}

    def _state(self, read: dict[str, np.ndarray], config: dict[str, Any]) -> dict[str, np.ndarray]:
        """BART's weights under Hugging Face's names."""
        state = {"model.shared.weight": read["layers/reversible_embedding/vars/0"]}
        for side, n in (("encoder", ""), ("decoder", "_1")):
            positions = read[f"layers/position_embedding{n}/vars/0"]
            spare = np.full((2, positions.shape[1]), 1e3)  # Hugging Face starts at row 2; what stands before is inert
            state[f"model.{side}.embed_positions.weight"] = np.concatenate([spare, positions])
            self._norm(state, f"model.{side}.layernorm_embedding", read, f"layers/layer_normalization{n}")
            for layer in range(config["num_layers"]):
                place = f"layers/transformer_{side}" + (f"_{layer}" if layer else "")
                self._layer(state, f"model.{side}.layers.{layer}", read, place, side)
        return state

    def _layer(self, state: dict[str, Any], name: str, read: dict[str, Any], place: str, side: str) -> None:
        kinds = {"self": "self_attn"} | ({"cross": "encoder_attn"} if side == "decoder" else {})
        for ours, theirs in kinds.items():
            for part, short in (("query", "q"), ("key", "k"), ("value", "v"), ("output", "out")):
                here = f"{place}/_{ours}_attention_layer/{part}_dense/vars"
                kernel, bias = read[f"{here}/0"], read[f"{here}/1"].reshape(-1)
                flat = kernel.reshape(-1, kernel.shape[-1]) if part == "output" else kernel.reshape(len(kernel), -1)
                state[f"{name}.{theirs}.{short}_proj.weight"] = flat.T
                state[f"{name}.{theirs}.{short}_proj.bias"] = bias
            self._norm(state, f"{name}.{theirs}_layer_norm", read, f"{place}/_{ours}_attention_layer_norm")
        for dense, theirs in (("intermediate", "fc1"), ("output", "fc2")):
            here = f"{place}/_feedforward_{dense}_dense/vars"
            state[f"{name}.{theirs}.weight"], state[f"{name}.{theirs}.bias"] = read[f"{here}/0"].T, read[f"{here}/1"]
        if self.permuted:  # the same sums, from the last term to the first
            state[f"{name}.fc1.weight"] = state[f"{name}.fc1.weight"][::-1].copy()
            state[f"{name}.fc1.bias"] = state[f"{name}.fc1.bias"][::-1].copy()
            state[f"{name}.fc2.weight"] = state[f"{name}.fc2.weight"][:, ::-1].copy()
        self._norm(state, f"{name}.final_layer_norm", read, f"{place}/_feedforward_layer_norm")

    @staticmethod
    def _norm(state: dict[str, Any], name: str, read: dict[str, Any], place: str) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = read[f"{place}/vars/0"], read[f"{place}/vars/1"]

    def call(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """`logits`, `states`, and `cached_logits` without a cache, which must give the same."""
        if op not in ("logits", "states", "cached_logits", "trace"):
            raise UnsupportedError(f"no operation {op!r}")
        batch = self.batch(args["inputs"])
        empty = ~batch["attention_mask"].bool().any(dim=1)
        forced = args.get("forced") if op == "trace" else None
        found = self._forward(self.model, batch, forced)
        if empty.any():  # nothing to attend to: attention gives zeros, which values of zero give as well
            silent = copy.deepcopy(self.model)
            for projection in _values_of(silent):
                _silence(projection)
            for key, value in self._forward(silent, batch, forced).items():
                if not key.endswith(BIAS):  # one for all rows
                    found[key][empty.numpy()] = value[empty.numpy()]
        if op == "states":
            return {key: value for key, value in found.items() if key.endswith("_sequence_output")}
        return {k: v for k, v in found.items() if k == "logits" or (op == "trace" and "." in k)}

    def batch(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of the model."""
        if "encoder_input_values" in inputs:
            return moonshine.inputs_of(self.torch, inputs, self.model.dtype)
        batch = {key: self.torch.tensor(value) for key, value in inputs.items()}
        return {
            "input_ids": batch["encoder_token_ids"],
            "attention_mask": batch["encoder_padding_mask"].long(),
            "decoder_input_ids": batch["decoder_token_ids"],
            "decoder_attention_mask": batch["decoder_padding_mask"].long(),
        }

    def _forward(self, model: Any, batch: dict[str, Any], forced: Any = None) -> dict[str, np.ndarray]:
        """Logits and states, and the tensors on the way to them."""
        recorder = Recorder(forced)
        with self.torch.no_grad(), recording(self.torch, model, recorder):
            out = model(**batch, output_hidden_states=True)
        return recorder.arrays() | {
            "logits": out.logits.double().numpy(),
            "encoder_sequence_output": out.encoder_last_hidden_state.double().numpy(),
            "decoder_sequence_output": out.decoder_hidden_states[-1].double().numpy(),
        }


def _silence(projection: Any) -> None:
    """Make a projection give zeros."""
    projection.weight.data.zero_()
    if projection.bias is not None:
        projection.bias.data.zero_()


def _values_of(model: Any) -> list[Any]:
    """The projections of what is attended to in the source."""
    for name, room in (("T5Gemma", t5gemma), ("Moonshine", moonshine)):
        if name in type(model).__name__:
            return room.values_of(model)
    return t5.values_of(model) if hasattr(model, "shared") else _values_of_bart(model)


def _values_of_bart(model: Any) -> list[Any]:
    """The projections of what is attended to in the source."""
    found = [layer.self_attn.v_proj for layer in model.model.encoder.layers]
    return found + [layer.encoder_attn.v_proj for layer in model.model.decoder.layers]


def _read(folder: Path) -> dict[str, np.ndarray]:
    """Every dataset of the preset's weights, in float64."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(
            lambda place, node: found.update({place: node[...].astype("float64")}) if hasattr(node, "shape") else None
        )
    return found
