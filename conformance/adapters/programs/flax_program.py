"""BART and T5 of transformers 4.x in Flax: a program for `--command`, in an environment of its own. Imports wire only.

python -m conformance run --command "/path/to/python conformance/adapters/programs/flax_program.py"
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import transformers as hf
from flax_weights import bart, named, t5
from wire import UnsupportedError, Weights, config_of, serve, unpacked

MAKERS = {"BartBackbone": (bart, "BartSeq2SeqLM"), "T5Backbone": (t5, "T5Seq2SeqLM")}


class Program:
    """What answers the operations."""

    def load(self, preset: str, keep: bool = True, **more: Any) -> dict[str, Any]:
        """A preset of KerasHub's BART or T5."""
        if set(more) - {"preprocessor"}:
            raise UnsupportedError(f"load with {sorted(more)}")
        kind, config = config_of(preset)
        if kind not in MAKERS:
            raise UnsupportedError(f"no {kind}")
        make, name = MAKERS[kind]
        weights = Weights(preset)
        self.model, self.params = make(weights, config)
        have, want = jax.tree.leaves(self.params), jax.tree.leaves(self.model.params_shape_tree)
        if weights.unread or [a.shape for a in have] != [a.shape for a in want]:
            raise ValueError(f"other shapes than the model's, or datasets that it has not: {sorted(weights.unread)}")
        return {"class": name, "params": weights.count}

    def run(self, inputs: dict[str, Any], chunks: Any = None, forced: Any = None) -> dict[str, Any]:
        """All tensors of a pass, by their names."""
        keys = ("encoder_token_ids", "encoder_padding_mask", "decoder_token_ids", "decoder_padding_mask")
        arrays = [jnp.array(inputs[key], "int32") for key in keys]
        given = {key: jnp.array(unpacked(value)) for key, value in (forced or {}).items()}
        return jax.jit(lambda params, given: self.traced(params, given, arrays, chunks))(self.params, given)

    def traced(self, params: Any, given: dict[str, Any], arrays: list[Any], chunks: Any) -> dict[str, Any]:
        """The library's own pass; Flax's interceptor shows tensors, and puts others in their places."""
        shown: dict[str, list[Any]] = {}

        def replace(key: str, value: Any) -> Any:
            shown.setdefault(key, []).append(value)
            return given.get(key, value)

        def intercept(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            path = "/".join(context.module.path)
            if context.method_name == "compute_bias" and path.startswith("encoder"):
                return replace("encoder.position_bias", call(*args, **kwargs)[0])[None]
            key = named(path) if context.method_name == "__call__" else None
            if key is None:
                return call(*args, **kwargs)
            side, _, last = key.partition(".")
            if last in {"embed_norm", "block"}:
                args = (replace(f"{side}.embed", args[0]), *args[1:])
            out = call(*args, **kwargs)
            if last == "block":
                return out
            return (replace(key, out[0]), *out[1:]) if isinstance(out, tuple) else replace(key, out)

        source, mask, target, target_mask = arrays
        with nn.intercept_methods(intercept):
            if chunks is None:
                logits = [self.model(source, mask, target, target_mask, params=params).logits]
            else:
                encoded = self.model.encode(source, mask, params=params)
                before = dict(shown)
                cache = self.model.init_cache(*target.shape, encoded)  # runs the decoder, of which nothing is shown
                shown.clear()
                shown.update(before)
                logits, at = [], 0
                for n in chunks:
                    columns = jnp.arange(at, at + n)[None].repeat(len(target), 0)
                    place = {"decoder_position_ids": columns} if self.model.config.model_type == "bart" else {}
                    more = {"past_key_values": cache, "params": params, **place}
                    out = self.model.decode(target[:, at : at + n], encoded, mask, target_mask, **more)
                    logits.append(out.logits)
                    cache, at = out.past_key_values, at + n
        joined = {k: v[0] if k.startswith("encoder") else jnp.concatenate(v, 1) for k, v in shown.items()}
        return joined | {"logits": jnp.concatenate(logits, 1)}

    def logits(self, inputs: dict[str, Any], chunks: Any = None) -> dict[str, Any]:
        """Scores of all positions; with chunks, over the cache."""
        return {"logits": self.run(inputs, chunks)["logits"]}

    cached_logits = logits

    def trace(self, inputs: dict[str, Any], forced: Any = None, chunks: Any = None) -> dict[str, Any]:
        """What lies inside."""
        return self.run(inputs, chunks, forced)

    def states(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What leaves both sides."""
        shown, last = self.run(inputs), "final_norm"
        if self.model.config.model_type == "bart":
            last = f"layer.{self.model.config.encoder_layers - 1}.feed_forward_norm"
        return {f"{side}_sequence_output": shown[f"{side}.{last}"] for side in ("encoder", "decoder")}

    def generate(self, inputs: Any, stop_token_ids: Any = "auto", sampler: Any = None, **more: Any) -> dict[str, Any]:
        """Greedy; a logits processor says what a longer prompt has."""
        if not isinstance(inputs, dict) or "decoder_token_ids" not in inputs or (sampler or "greedy") != "greedy":
            raise UnsupportedError("it generates greedily, and from token ids")
        if stop_token_ids is not None and (not isinstance(stop_token_ids, list) or len(stop_token_ids) != 1):
            raise UnsupportedError("one stop token, or none")
        stop = stop_token_ids[0] if stop_token_ids else self.model.config.vocab_size  # which never comes
        prompt, known = jnp.array(inputs["decoder_token_ids"]), jnp.array(inputs["decoder_padding_mask"], bool)
        shortest, total = int(known.sum(1).min()), prompt.shape[1]

        class Prompt(hf.FlaxLogitsProcessor):
            def __call__(self, ids: Any, scores: Any, at: Any) -> Any:
                other = ~jax.nn.one_hot(prompt[:, at], scores.shape[1], dtype=bool)
                return jnp.where(known[:, at, None] & other, -jnp.inf, scores)

        ids = prompt
        if shortest < total:
            ids = self.model.generate(
                jnp.array(inputs["encoder_token_ids"]),
                attention_mask=jnp.array(inputs["encoder_padding_mask"], "int32"),
                decoder_input_ids=prompt[:, :shortest],
                max_length=total,
                eos_token_id=stop,
                pad_token_id=0,
                decoder_start_token_id=0,
                do_sample=False,
                num_beams=1,
                params=self.params,
                logits_processor=hf.FlaxLogitsProcessorList([Prompt()]),
            ).sequences
        ends = (ids == stop) & ~known
        mask = jnp.cumsum(ends, 1) - ends == 0
        return {"decoder_token_ids": ids.tolist(), "decoder_padding_mask": mask.tolist(), "inputs": inputs}


if __name__ == "__main__":
    START = {"implementation": "transformers-flax", "version": hf.__version__, "backend": f"jax {jax.__version__}"}
    OPERATIONS = {"load", "logits", "cached_logits", "states", "trace", "generate"}
    serve(Program(), {**START, "capabilities": ["engine", "probe", "trace"]}, OPERATIONS)
