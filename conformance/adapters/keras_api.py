"""The operations for anything that has KerasHub's Python API. `refimpl` and KerasHub differ in a few lines only."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from conformance.suite.messages import UnsupportedError

LENGTHS = ("encoder_sequence_length", "decoder_sequence_length")


class KerasApi:
    """Adapter over a namespace with `models`; a subclass imports it."""

    capabilities = ("core", "probe")
    optimizers: Any = None

    def __init__(self, models: Any, samplers: Any = None) -> None:
        self.models, self.samplers = models, samplers
        self.loaded: dict[str, Any] = {}
        self.lm: Any = None

    def start(self) -> dict[str, Any]:
        """Subclasses say who they are."""
        raise NotImplementedError

    def stop(self) -> None:
        """Nothing runs."""

    # -- loading ---------------------------------------------------------------------------------------------------
    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """`from_preset` of the class named. Presets of the suite don't change, so they are kept."""
        key = repr(sorted((name, value) for name, value in args.items() if name not in LENGTHS))
        if key not in self.loaded or not args.get("keep", True):
            self.lm = self.build(args)
            self.loaded[key] = self.lm, self.lengths()
        self.lm, lengths = self.loaded[key]
        self.set_lengths(lengths | args)
        return self.describe()

    def build(self, args: dict[str, Any]) -> Any:
        """A new object from the preset."""
        cls = getattr(self.models, args.get("class", "Seq2SeqLM"), None)
        if cls is None:
            raise UnsupportedError(f"there is no class {args['class']}")
        keywords = {name: args[name] for name in ("load_weights", "preprocessor", "dtype") if name in args}
        return cls.from_preset(os.fspath(args["preset"]), **keywords)

    def set_lengths(self, args: dict[str, Any]) -> None:
        """Sequence lengths that the case asks for, or the preset's own."""
        for name in LENGTHS:
            if name in args:
                setattr(self.preprocessor, name, args[name])

    def lengths(self) -> dict[str, Any]:
        """Sequence lengths of what is loaded, if it has any."""
        return {name: getattr(self.preprocessor, name) for name in LENGTHS if hasattr(self.preprocessor, name)}

    def describe(self) -> dict[str, Any]:
        """What is loaded."""
        found: dict[str, Any] = {"class": type(self.lm).__name__, **self.lengths()}
        backbone = getattr(self.lm, "backbone", self.lm)
        if isinstance(getattr(backbone, "hidden_dim", getattr(backbone, "decoder_hidden_dim", None)), int):
            found["params"] = int(self.lm.count_params())
        return found

    def call(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """One operation."""
        method = getattr(self, f"op_{op}", None)
        if method is None:
            raise UnsupportedError(f"no operation {op!r}")
        return method(**args)

    # -- core ------------------------------------------------------------------------------------------------------
    @property
    def tokenizer(self) -> Any:
        """The tokenizer of what is loaded."""
        return getattr(getattr(self.lm, "preprocessor", self.lm), "tokenizer", self.lm)

    def op_tokenize(self, text: Any) -> dict[str, Any]:
        """Text or texts to ids."""
        ids = self.tokenizer(text)
        return {"ids": [list(map(int, row)) for row in ids] if isinstance(text, list) else list(map(int, ids))}

    def op_detokenize(self, ids: Any) -> dict[str, Any]:
        """Ids to text."""
        return {"text": self.tokenizer.detokenize(ids)}

    def op_vocabulary(self, tokens: list[str] = (), ids: list[int] = ()) -> dict[str, Any]:  # type: ignore[assignment]
        """Size, special tokens and look-ups."""
        tokenizer = self.tokenizer
        return {
            "size": int(tokenizer.vocabulary_size()),
            "special_token_ids": sorted(int(i) for i in tokenizer.special_token_ids),
            "ids": [int(tokenizer.token_to_id(token)) for token in tokens],
            "tokens": [tokenizer.id_to_token(id) for id in ids],
        }

    def op_preprocess(self, x: Any, **lengths: int) -> dict[str, Any]:
        """What `fit` is fed: inputs, labels, weights."""
        inputs, labels, weights = self.preprocessor(x, **lengths)
        return self.arrays(inputs) | {"labels": self.array(labels), "weights": self.array(weights)}

    def op_generate_preprocess(self, x: Any, **lengths: int) -> dict[str, Any]:
        """What `generate` is fed."""
        return self.arrays(self.preprocessor.generate_preprocess(x, **lengths))

    def op_generate_postprocess(self, decoder_token_ids: Any, decoder_padding_mask: Any) -> dict[str, Any]:
        """Generated ids to texts."""
        ids, mask = np.array(decoder_token_ids, "int32"), np.array(decoder_padding_mask, bool)
        x = {"decoder_token_ids": ids, "decoder_padding_mask": mask}
        return {"text": self.preprocessor.generate_postprocess(x)}

    def op_generate(
        self, inputs: Any, max_length: Any = None, stop_token_ids: Any = "auto", sampler: Any = "greedy"
    ) -> dict[str, Any]:
        """Text or ids. The inputs are also given back, as they are after the call."""
        self.compile(sampler)
        if self.lm.preprocessor is None:
            inputs = self.batch(inputs)
        stops = tuple(stop_token_ids) if isinstance(stop_token_ids, list) else stop_token_ids
        out = self.lm.generate(inputs, max_length=max_length, stop_token_ids=stops)
        return self.arrays(out) if isinstance(out, dict) else {"text": out, "inputs": inputs}

    def op_save(self, path: str, **options: Any) -> dict[str, Any]:
        """Save what is loaded; the files written are named. Options: `max_shard_size` in GiB."""
        self.lm.save_to_preset(path, **options)
        names = [file.relative_to(path).as_posix() for file in Path(path).rglob("*") if file.is_file()]
        return {"files": sorted(names)}

    # -- probes ----------------------------------------------------------------------------------------------------
    def op_logits(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Scores of every decoder position."""
        return {"logits": self.array(self.lm(self.batch(inputs)))}

    def op_train(self, batches: list[Any], optimizer: str, options: dict[str, Any], steps: int) -> dict[str, Any]:
        """Steps on the batches in turn; each one's loss and accuracy from before it."""
        if self.optimizers is None:
            raise UnsupportedError("no optimizers")
        self.lm.compile(optimizer=getattr(self.optimizers, optimizer)(**options))
        scores = []
        for number in range(steps):
            part = batches[number % len(batches)]
            labels = np.array(part["labels"], "int32")
            weights = None if part["weights"] is None else np.array(part["weights"], "float32")
            scores.append(self.lm.train_on_batch(KerasApi.batch(self, part["inputs"]), labels, weights))
        found = np.array(scores, "float64")
        return {"losses": found[:, 0], "accuracies": found[:, 1]}

    def op_states(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Encoder and decoder states."""
        return self.arrays(self.lm.backbone(self.batch(inputs)))

    def op_cached_logits(self, inputs: dict[str, Any], chunks: list[int]) -> dict[str, Any]:
        """Scores of every decoder position, decoded in chunks over the cache."""
        batch = self.batch(inputs)
        mask, spoken = batch["encoder_padding_mask"], batch["decoder_token_ids"]
        ids = batch.get("encoder_token_ids")
        if ids is None:  # sound: the encoder says which of its frames are there
            ids = batch["encoder_input_values"]
            encoded, mask = self.lm.call_encoder(encoder_input_values=ids, padding_mask=mask)
        else:
            encoded = self.lm.call_encoder(token_ids=ids, padding_mask=mask)
        own, other = self.lm._initialize_cache(ids, spoken)
        found, first = [], 0
        for size in chunks:
            logits, _, own, other = self.lm.call_decoder_with_cache(
                encoder_hidden_states=encoded,
                encoder_padding_mask=mask,
                decoder_token_ids=spoken[:, first : first + size],
                self_attention_cache=own,
                self_attention_cache_update_index=first,
                cross_attention_cache=other,
                cross_attention_cache_update_index=None if found else 0,
            )
            found.append(self.array(logits))
            first += size
        return {"logits": np.concatenate(found, axis=1)}

    def op_sample(
        self,
        sampler: Any,
        logits: Any,
        prompt: Any,
        mask: Any,
        index: int,
        stop_token_ids: Any = None,
        calls: int = 1,
        states: Any = None,
        hidden_states: Any = None,
        draft: Any = None,
        repeat: int = 1,
    ) -> dict[str, Any]:
        """A sampler alone, several times: the logits after a token are a row of a table."""
        chosen = self.samplers.get(sampler)
        extra: dict[str, Any] = {} if draft is None else {"draft_next": self.next_of(draft, None)}
        if hidden_states is not None:
            extra["hidden_states"] = self.tensor(np.array(hidden_states, "float32"))
        found = [
            chosen(
                self.next_of(logits, states),
                self.tensor(np.repeat(np.array(prompt, "int32"), repeat, axis=0)),
                index=index,
                mask=self.tensor(np.repeat(np.array(mask), repeat, axis=0)),
                stop_token_ids=tuple(stop_token_ids) if stop_token_ids else None,
                **extra,
            )
            for _ in range(calls)
        ]
        if not isinstance(found[0], tuple):
            return {"ids": [self.array(ids).tolist() for ids in found]}
        ids, scores = (self.array(part) for part in found[0])
        return {"ids": ids.tolist(), "log_probs": [[round(float(x), 3) for x in row] for row in scores]}

    # -- what subclasses may change --------------------------------------------------------------------------------
    @property
    def preprocessor(self) -> Any:
        """The preprocessor of what is loaded."""
        return getattr(self.lm, "preprocessor", self.lm)

    def compile(self, sampler: Any) -> None:
        """Choose the sampler."""
        self.lm.compile(sampler=sampler)

    def batch(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Token ids, sound and masks as arrays."""
        kinds = {"mask": bool, "values": "float32"}
        return {k: np.array(v, kinds.get(k.rpartition("_")[2], "int32")) for k, v in inputs.items()}

    def tensor(self, value: np.ndarray) -> Any:
        """An array as the implementation takes it."""
        return value

    def next_of(self, logits: Any, states: Any) -> Any:
        """`next` of a table: logits and states (or None) of the last token."""
        table = np.array(logits, "float32")
        of_token = None if states is None else np.array(states, "float32")

        def next(prompt: Any, cache: Any, index: int) -> tuple[Any, Any, Any]:
            last = prompt[:, index - 1]
            return table[last], None if of_token is None else of_token[last], cache

        return next

    def array(self, value: Any) -> np.ndarray:
        """A result as a NumPy array."""
        return np.asarray(value)

    def arrays(self, values: dict[str, Any]) -> dict[str, np.ndarray]:
        """Results as NumPy arrays."""
        return {key: self.array(value) for key, value in values.items()}
