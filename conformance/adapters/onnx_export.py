"""A converted folder as ONNX: an encoder, and one decoder that takes and gives the keys and values of its layers.

`python -m conformance.adapters.onnx_export PRESET FOLDER` converts and exports, for programs that are not in Python.

The files have the names and inputs that `transformers.js` looks for. The past may be empty, so one decoder serves the
prompt and every step; the keys and values of the source are computed again at each step.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, DynamicCache, EncoderDecoderCache

from conformance.adapters.converted import convert

ENCODER, DECODER = "onnx/encoder_model.onnx", "onnx/decoder_model_merged.onnx"


class Encoder(torch.nn.Module):
    """Token ids and mask to states."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = model.get_encoder()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The last hidden state."""
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state  # type: ignore[no-any-return]


class Decoder(torch.nn.Module):
    """Token ids, states of the source, and the past of each layer, to logits and the new past."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, encoder_attention_mask: Any, input_ids: Any, encoder_hidden_states: Any, past: Any) -> Any:
        """Logits, then keys and values layer by layer."""
        own = DynamicCache()
        for layer in range(len(past) // 2):
            own.update(past[2 * layer], past[2 * layer + 1], layer)
        cache = EncoderDecoderCache(own, DynamicCache())
        out = self.model(
            decoder_input_ids=input_ids, encoder_outputs=(encoder_hidden_states,),
            attention_mask=encoder_attention_mask, past_key_values=cache, use_cache=True,
        )  # fmt: skip
        new = out.past_key_values.self_attention_cache
        return out.logits, *[part for layer in new.layers for part in (layer.keys, layer.values)]


def export(folder: Path) -> None:
    """Write both graphs below a converted folder."""
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation="eager").eval()
    (folder / "onnx").mkdir(exist_ok=True)
    settings = model.config
    batch, source, target, before = (torch.export.Dim(name) for name in ("batch_size", "source", "target", "past"))
    ids, mask = torch.full((3, 5), 2), torch.ones(3, 5, dtype=torch.int64)
    t5 = settings.model_type == "t5"
    layers = settings.num_decoder_layers if t5 else settings.decoder_layers
    heads = settings.num_attention_heads
    width = settings.d_kv if t5 else settings.d_model // heads
    states = torch.randn(3, 5, settings.d_model)
    past = [torch.randn(3, heads, 4, width) for _ in range(2 * layers)]
    names = [f"{n}.decoder.{kind}" for n in range(layers) for kind in ("key", "value")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _write(Encoder(model), (ids, mask), folder / ENCODER, ["input_ids", "attention_mask"], ["last_hidden_state"],
               ({0: batch, 1: source}, {0: batch, 1: source}))  # fmt: skip
        _write(
            Decoder(model), (mask, ids[:, :2], states, past), folder / DECODER,
            ["encoder_attention_mask", "input_ids", "encoder_hidden_states", *(f"past_key_values.{n}" for n in names)],
            ["logits", *(f"present.{n}" for n in names)],
            ({0: batch, 1: source}, {0: batch, 1: target}, {0: batch, 1: source}, [{0: batch, 2: before}] * len(past)),
        )  # fmt: skip


def _write(module: Any, inputs: Any, file: Path, names: list[str], outputs: list[str], shapes: Any) -> None:
    """One graph, with every size that may change left open."""
    torch.onnx.export(
        module, inputs, str(file), input_names=names, output_names=outputs, dynamic_shapes=shapes, dynamo=True,
        external_data=False, verbose=False,
    )  # fmt: skip


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
    AutoTokenizer.from_pretrained(sys.argv[2]).save_pretrained(sys.argv[2])  # as tokenizer.json
    export(Path(sys.argv[2]))
