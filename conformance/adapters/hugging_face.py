"""`transformers` on PyTorch under test: its own tokenizer, forward pass, cache and `generate`, as a user calls them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters.engine import Engine, settings_of
from conformance.adapters.transformers import Transformers
from conformance.adapters.transformers_trace import recording
from conformance.suite.messages import UnsupportedError
from conformance.suite.probes import Recorder


class HuggingFace(Engine):
    """Float32, and the attention that `from_pretrained` chooses if none is named."""

    capabilities = ("engine", "probe", "trace", "t5gemma", "moonshine")

    def __init__(self, attention: str | None = None) -> None:
        import torch
        import transformers

        super().__init__()
        self.torch, self.hub, self.attention = torch, transformers, attention
        self.model: Any = None
        self.tokenizer: Any = None
        self.maker = Transformers("float32")
        transformers.logging.set_verbosity_error()

    def start(self) -> dict[str, Any]:
        """Name, version, capabilities, and what it has not."""
        backend = f"torch {self.torch.__version__}" + (f", {self.attention}" if self.attention else "")
        return {
            "implementation": "transformers",
            "version": self.hub.__version__,
            "backend": backend,
            "capabilities": list(self.capabilities),
            "lacks": self.lacks,
        }

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """T5Gemma and Moonshine come from the preset's arrays: no folder of transformers says all of these models."""
        folder = Path(args["preset"])
        config = folder / "config.json"
        kind = json.loads(config.read_text("utf-8")).get("class_name") if config.is_file() else None
        if kind not in ("T5GemmaBackbone", "MoonshineBackbone"):
            return super().load(args)
        if args.get("dtype") not in (None, "float32"):
            raise UnsupportedError("loads float32 weights as they are in the file")
        self.maker.load(args)
        self.use((self.maker.model, None))
        self.special = {"pad": 0, "eos": 1, "bos": 2, "decoder_start": 2}
        return {}

    def open(self, folder: Path) -> Any:
        """Model and tokenizer."""
        kind = {} if self.attention is None else {"attn_implementation": self.attention}
        model = self.hub.AutoModelForSeq2SeqLM.from_pretrained(folder, **kind).eval()
        return model, self.hub.AutoTokenizer.from_pretrained(folder)

    def use(self, opened: Any) -> None:
        """From here on this model is asked."""
        self.model, self.tokenizer = opened

    def call(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """One operation; of what came from arrays there is no tokenizer."""
        ids = op != "generate" or "decoder_token_ids" in args["inputs"]
        if self.tokenizer is None and (op in ("tokenize", "detokenize", "vocabulary") or not ids):
            raise UnsupportedError("this preset's tokenizer is not converted")
        return super().call(op, args)

    # -- text ------------------------------------------------------------------------------------------------------
    def encode(self, text: Any) -> list[int]:
        """Ids of a text, without start and end."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def source(self, text: Any) -> list[int]:
        """As the tokenizer frames and cuts it."""
        return list(self.tokenizer(text, truncation=True, max_length=self.lengths["encoder"])["input_ids"])

    def decode_text(self, ids: list[int]) -> str:
        """The text of ids, without special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def op_tokenize(self, text: Any) -> dict[str, Any]:
        """Text or texts to ids."""
        return {"ids": self.encode(text)}

    def op_detokenize(self, ids: Any) -> dict[str, Any]:
        """Ids to text."""
        many = ids and isinstance(ids[0], list)
        return {"text": self.tokenizer.batch_decode(ids) if many else self.tokenizer.decode(ids)}

    def op_vocabulary(self, tokens: Any = (), ids: Any = ()) -> dict[str, Any]:
        """Size, special tokens and look-ups."""
        return {
            "size": len(self.tokenizer),
            "special_token_ids": sorted(self.tokenizer.all_special_ids),
            "ids": self.tokenizer.convert_tokens_to_ids(list(tokens)),
            "tokens": self.tokenizer.convert_ids_to_tokens(list(ids)),
        }

    # -- arithmetic ------------------------------------------------------------------------------------------------
    def forward(self, inputs: dict[str, Any], **more: Any) -> Any:
        """One call of the model, by KerasHub's names."""
        if "encoder_input_values" in inputs:
            return self.called(self.maker.batch(inputs), **more)
        names = {
            "encoder_token_ids": "input_ids",
            "encoder_padding_mask": "attention_mask",
            "decoder_token_ids": "decoder_input_ids",
            "decoder_padding_mask": "decoder_attention_mask",
        }
        tensors = {names[key]: self.torch.tensor(np.array(value, "int64")) for key, value in inputs.items()}
        return self.called(tensors, **more)

    def called(self, tensors: dict[str, Any], **more: Any) -> Any:
        """One call of the model, by its own names."""
        with self.torch.no_grad():
            return self.model(**tensors, **more)

    def op_logits(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Scores of every decoder position."""
        return {"logits": self.forward(inputs).logits.numpy()}

    def op_states(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Encoder and decoder states."""
        out = self.forward(inputs, output_hidden_states=True)
        states = {"encoder": out.encoder_last_hidden_state, "decoder": out.decoder_hidden_states[-1]}
        found = {f"{side}_sequence_output": state.numpy() for side, state in states.items()}
        if "encoder_input_values" in inputs:
            named = self.maker.batch(inputs)
            frames = self.model.model.encoder(named["input_values"], attention_mask=named["attention_mask"])
            found["encoder_attention_mask"] = frames.attention_mask.bool().numpy()
        return found

    def op_cached_logits(self, inputs: dict[str, Any], chunks: list[int]) -> dict[str, Any]:
        """Scores of every decoder position, in chunks over the cache."""
        if "encoder_input_values" in inputs:
            return self._cached_over_sound(inputs, chunks)
        found, first, extra = [], 0, {}
        for size in chunks:
            part = {k: v for k, v in inputs.items() if k.startswith("encoder")} if not extra else {}
            part["encoder_padding_mask"] = inputs["encoder_padding_mask"]
            part["decoder_token_ids"] = np.array(inputs["decoder_token_ids"])[:, first : first + size]
            out = self.forward(part, use_cache=True, **extra)
            encoded = self.hub.modeling_outputs.BaseModelOutput(out.encoder_last_hidden_state)
            extra = {"past_key_values": out.past_key_values, "encoder_outputs": encoded}
            found.append(out.logits.numpy())
            first += size
        return {"logits": np.concatenate(found, axis=1)}

    def _cached_over_sound(self, inputs: dict[str, Any], chunks: list[int]) -> dict[str, Any]:
        """The same, of which only the encoder takes a mask."""
        named, found, first, past = self.maker.batch(inputs), [], 0, None
        with self.torch.no_grad():
            encoded = self.model.model.encoder(named["input_values"], attention_mask=named["attention_mask"])
        for size in chunks:
            part = {
                "decoder_input_ids": named["decoder_input_ids"][:, first : first + size],
                "encoder_outputs": encoded,
            }
            out = self.called(part, use_cache=True, past_key_values=past)
            past, first = out.past_key_values, first + size
            found.append(out.logits.numpy())
        return {"logits": np.concatenate(found, axis=1)}

    def op_trace(self, inputs: dict[str, Any], forced: Any = None, chunks: Any = None) -> dict[str, Any]:
        """The tensors inside; with `chunks` those of decoding over the cache."""
        recorder = Recorder(forced)
        with recording(self.torch, self.model, recorder):
            found = self.op_cached_logits(inputs, chunks) if chunks else self.op_logits(inputs)
        return recorder.arrays() | found

    # -- generation ------------------------------------------------------------------------------------------------
    def decode(
        self, sources: list[list[int]], prompts: list[list[int]], length: int, stops: Any, sampler: Any
    ) -> list[list[int]]:
        """`generate` with the prompt as the decoder's ids."""
        settings = self.hub.GenerationConfig(
            max_length=length,
            eos_token_id=stops,
            pad_token_id=self.special["pad"],
            bos_token_id=self.special["bos"],
            decoder_start_token_id=prompts[0][0],  # else it is put in front of a prompt that does not begin with it
            **self.sampling(sampler),
        )
        if stops is None:
            self.model.generation_config.eos_token_id = None  # else `generate` takes the model's in place of None
        try:
            out = self.model.generate(**self.sent(sources, prompts), generation_config=settings)
        finally:
            self.model.generation_config.eos_token_id = self.special["eos"]
        return [list(map(int, row)) for row in out]

    def sources_of(self, inputs: dict[str, Any]) -> list[Any]:
        """Ids, or of sound the whole rows: padding counts in their norm."""
        if "encoder_input_values" not in inputs:
            return super().sources_of(inputs)
        return list(zip(inputs["encoder_input_values"], inputs["encoder_padding_mask"], strict=True))

    def sent(self, sources: list[Any], prompts: list[list[int]]) -> dict[str, Any]:
        """What `generate` is given."""
        spoken = {"decoder_token_ids": prompts, "decoder_padding_mask": [[True] * len(row) for row in prompts]}
        if isinstance(sources[0], tuple):
            sound = dict(zip(("encoder_input_values", "encoder_padding_mask"), zip(*sources, strict=True), strict=True))
            found = self.maker.batch(sound | spoken)
            return {key: found[key] for key in ("input_values", "attention_mask", "decoder_input_ids")}
        widest = max(map(len, sources))
        ids = [row + [self.special["pad"]] * (widest - len(row)) for row in sources]
        mask = [[1] * len(row) + [0] * (widest - len(row)) for row in sources]
        tensors = {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": prompts}
        return {key: self.torch.tensor(value) for key, value in tensors.items()}

    def op_sample(
        self, sampler: Any, logits: Any, prompt: Any, mask: Any, index: int,
        stop_token_ids: Any = None, calls: int = 1, repeat: int = 1, **more: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """`generate` of a model whose logits are a table."""
        from conformance.adapters.hugging_face_table import sample

        if more or any(sum(row) != index for row in mask):
            raise UnsupportedError("keeps no forced columns, and has no such search in the library itself")
        beams = settings_of(sampler)[1].get("num_beams", 5) if settings_of(sampler)[1].get("return_all_beams") else 0
        settings = {"max_length": len(prompt[0]), "eos_token_id": stop_token_ids, "pad_token_id": 0}
        settings |= self.sampling(sampler) | ({"num_return_sequences": beams} if beams else {})
        start = [row[:index] for row in prompt for _ in range(repeat)]
        found = [sample(logits, start, settings) for _ in range(calls)]
        if not beams:
            return {"ids": [ids.tolist() for ids, _ in found]}
        ids, sums = (np.array(part).reshape(len(start), beams, -1) for part in found[0])
        return {"ids": ids.tolist(), "log_probs": [[round(float(x), 3) for x in row] for row in sums[..., 0]]}

    def sampling(self, sampler: Any) -> dict[str, Any]:
        """A sampler of KerasHub in the words of `GenerationConfig`."""
        name, given = settings_of(sampler)
        seed = given.pop("seed", None)
        if seed is not None:
            self.torch.manual_seed(seed)
        if name == "greedy":
            return {"do_sample": False}
        if name == "beam":  # KerasHub's beams are ranked by their sums
            return {"do_sample": False, "num_beams": given.get("num_beams", 5), "length_penalty": 0.0}
        warm = {"do_sample": True, "temperature": given.get("temperature", 1.0), "top_k": 0}
        if name in ("random", "top_k", "top_p"):
            top = {"top_k": given.get("k", 5 if name == "top_k" else 0) or 0, "top_p": given.get("p", 0.1)}
            return warm | {key: top[key] for key in {"top_k": ["top_k"], "top_p": ["top_k", "top_p"]}.get(name, [])}
        raise UnsupportedError(f"has no sampler {name!r} of its own")
