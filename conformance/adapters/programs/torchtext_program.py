"""T5 of torchtext 0.18, its last: a program for `--command`, in an environment of its own. Imports wire only.

python -m conformance run --command "/path/to/python conformance/adapters/programs/torchtext_program.py"
"""

from typing import Any

import torch
from torchtext import __version__
from torchtext.models import T5Conf, T5Model
from torchtext.models.t5.modules import T5MultiheadAttention
from torchtext.prototype.generate import GenerationUtils
from torchtext_weights import weights
from wire import UnsupportedError, Weights, config_of, serve, unpacked

BLOCKS = {"dropout1": "self_attention", "dropout4": "cross_attention", "dropout3": "feed_forward"}
NORMS = {"norm1": "self_attention_norm", "norm3": "cross_attention_norm", "norm2": "feed_forward_norm"}


class Program:
    """What answers the operations."""

    def load(self, preset: str, keep: bool = True, **more: Any) -> dict[str, Any]:
        """A preset of KerasHub's T5."""
        if set(more) - {"preprocessor"}:
            raise UnsupportedError(f"load with {sorted(more)}")
        kind, c = config_of(preset)
        if kind != "T5Backbone":
            raise UnsupportedError(f"no {kind}")
        if c["activation"] not in {"relu", "gelu", "gelu_new"}:
            raise UnsupportedError(f"no {c['activation']}")
        heads = c["num_heads"]
        conf = T5Conf(
            linear_head=True,
            vocab_size=c["vocabulary_size"],
            embedding_dim=c["hidden_dim"],
            qkv_dim=c["key_value_dim"] * heads,  # it wants the width to be a multiple of the heads: they are set below
            num_attention_heads=1,
            num_encoder_layers=c["num_layers"],
            num_decoder_layers=c["num_layers"],
            ffn_dimension=c["intermediate_dim"],
            activation=c["activation"],
            is_gated_act=c["use_gated_activation"],
            layer_norm_eps=c["layer_norm_epsilon"],
        )
        self.model = T5Model(conf).eval()
        for module in self.model.modules():
            if isinstance(module, T5MultiheadAttention):
                module.num_heads = heads
                if module.relative_attention_bias is not None:
                    module.relative_attention_bias = torch.nn.Embedding(module.relative_attention_num_buckets, heads)
        data = Weights(preset)
        self.model.load_state_dict(weights(data, c))
        if data.unread:
            raise ValueError(f"the model has no {sorted(data.unread)}")
        if c["tie_embedding_weights"]:
            self.model.lm_head.weight = self.model.token_embeddings.weight
        return {"class": "T5Seq2SeqLM", "params": sum(p.numel() for p in self.model.parameters())}

    def call(self, inputs: dict[str, Any], chunks: list[int] | None = None) -> dict[str, Any]:
        """The library's own pass; its masks are true where nothing is."""
        source, target = torch.tensor(inputs["encoder_token_ids"]), torch.tensor(inputs["decoder_token_ids"])
        source_mask = ~torch.tensor(inputs["encoder_padding_mask"], dtype=torch.bool)
        target_mask = ~torch.tensor(inputs["decoder_padding_mask"], dtype=torch.bool)
        more: dict[str, Any] = {"encoder_padding_mask": source_mask}
        with torch.inference_mode():
            if chunks is None:
                return self.model(source, target, decoder_padding_mask=target_mask, **more)
            more["encoder_outputs"] = self.model.encoder(source, src_key_padding_mask=source_mask)
            at, logits, more["return_past_key_values"] = 0, [], True
            for n in chunks:
                future = torch.ones(n, at + n, dtype=torch.bool).triu(at + 1)
                more |= {"decoder_mask": future, "decoder_padding_mask": target_mask[:, : at + n]}
                out = self.model(decoder_tokens=target[:, at : at + n], **more)
                at, more["past_key_values"] = at + n, out["past_key_values"]
                logits.append(out["decoder_output"])
            return {"decoder_output": torch.cat(logits, 1)}

    def logits(self, inputs: dict[str, Any], chunks: list[int] | None = None) -> dict[str, Any]:
        """Scores of all positions; with chunks, over the cache."""
        return {"logits": self.call(inputs, chunks)["decoder_output"]}

    cached_logits = logits

    def states(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What leaves both sides."""
        out = self.call(inputs)
        return {f"{side}_sequence_output": out[f"{side}_hidden_states"][-1] for side in ("encoder", "decoder")}

    def trace(self, inputs: dict[str, Any], forced: Any = None, chunks: Any = None) -> dict[str, Any]:
        """Hooks show tensors, and put others in their places."""
        if chunks is not None:
            raise UnsupportedError("trace over the cache")
        shown: dict[str, Any] = {}
        given = {key: torch.tensor(unpacked(value)) for key, value in (forced or {}).items()}

        def hook(key: str, axes: tuple[int, ...] | None = None) -> Any:
            def show(_module: Any, _args: Any, out: Any) -> Any:
                shown[key] = out.permute(axes) if axes else out
                new = given.get(key)
                return None if new is None else new.permute(1, 2, 0) if axes else new

            return show

        bias = self.model.encoder.layers[0].self_attn.relative_attention_bias
        hooks = [bias.register_forward_hook(hook("encoder.position_bias", (2, 0, 1)))]
        for side in ("encoder", "decoder"):
            stack = getattr(self.model, side)
            for name, module in (("embed", stack.dropout1), ("final_norm", stack.norm)):
                hooks.append(module.register_forward_hook(hook(f"{side}.{name}")))
            for i, layer in enumerate(stack.layers):
                for name, key in (BLOCKS | NORMS).items():
                    if module := getattr(layer, name):
                        hooks += [module.register_forward_hook(hook(f"{side}.layer.{i}.{key}"))]
        try:
            return {"logits": self.call(inputs)["decoder_output"]} | shown
        finally:
            for each in hooks:
                each.remove()

    def generate(self, inputs: Any, stop_token_ids: Any = "auto", sampler: Any = None, **more: Any) -> Any:
        """Greedy, row by row, as it takes no ragged prompts."""
        one = isinstance(stop_token_ids, list) and len(stop_token_ids) == 1
        stop = stop_token_ids[0] if one else -1
        if not isinstance(inputs, dict) or "decoder_token_ids" not in inputs or (sampler or "greedy") != "greedy":
            raise UnsupportedError("it generates greedily, and from token ids")
        if stop_token_ids is not None and not one:
            raise UnsupportedError("one stop token, or none")
        rows, masks = [], []
        keys = ("decoder_token_ids", "decoder_padding_mask", "encoder_token_ids", "encoder_padding_mask")
        for ids, known, source, mask in zip(*(inputs[key] for key in keys), strict=True):
            start, hidden = sum(known), ~torch.tensor([mask], dtype=torch.bool)
            with torch.inference_mode():
                encoded = self.model.encoder(torch.tensor([source]), src_key_padding_mask=hidden)
                given = {"encoder_outputs": encoded, "encoder_padding_mask": hidden}
                row = ids[:start]
                if start < len(ids):
                    search = GenerationUtils(self.model).greedy_search
                    row = search(torch.tensor([row]), len(ids), stop, 0, given)[0].tolist()
            rows.append(row + [0] * (len(ids) - len(row)))
            end = row.index(stop, start) + 1 if stop in row[start:] else len(ids)
            masks.append([i < end for i in range(len(ids))])
        return {"decoder_token_ids": rows, "decoder_padding_mask": masks, "inputs": inputs}


if __name__ == "__main__":
    START = {"implementation": "torchtext", "version": __version__, "backend": f"torch {torch.__version__}"}
    START |= {"capabilities": ["engine", "probe", "trace"], "lacks": {"models.bart": "it has no BART"}}
    serve(Program(), START, {"load", "logits", "cached_logits", "states", "trace", "generate"})
