"""What adapters of inference engines share: converted presets, and KerasHub's batches as calls of `decode`.

An engine has no preset folders, packers and named samplers. `LACKS` says so by clause, and the runner shows these as
unsupported.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters.converted import Converted
from conformance.suite.messages import UnsupportedError

LACKS = {
    "presets.": "reads no preset folders of KerasHub: they are converted first",
    "preprocessing.": "has no preprocessor: batches are packed by the caller",
    "training.": "the loss, the weights of samples and the loop are the caller's own code",
    "invariance.": "promises no equal bits for a row in other batches",
    "models.backbone.count-params": "does not count parameters as KerasHub does",
    "generate.input.dictionary": "takes token ids; pairs of texts are taken apart by the caller",
    "generate.input.unchanged": "takes token ids; pairs of texts are taken apart by the caller",
    "generate.max-length.default": "has no preprocessor whose length could be the default",
    "generate.max-length.zero": "has no preprocessor whose length could be the default",
    "generate.max-length.no-preprocessor": "the length is always an argument of the call",
    "generate.stop.auto#no-preprocessor": "knows its end token without a tokenizer",
    "samplers.get": "samplers have no names: settings of the call choose them",
    "samplers.config": "samplers have no names: settings of the call choose them",
}


class Engine:
    """A subclass opens a converted folder and answers `decode`, and what else it can."""

    capabilities = ("engine", "probe")
    lacks: dict[str, str] = LACKS

    def __init__(self) -> None:
        self.converted = Converted()
        self.opened: dict[str, Any] = {}
        self.lengths: dict[str, int] = {}
        self.special: dict[str, int] = {}

    def stop(self) -> None:
        """Remove the converted folders."""
        self.converted.close()

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """Convert, and open what was not open yet."""
        if not args.get("load_weights", True) or args.get("dtype") not in (None, "float32"):
            raise UnsupportedError("loads float32 weights as they are in the file")
        folder = self.converted.folder(Path(args["preset"]), args.get("keep", True))
        settings = json.loads((folder / "config.json").read_text("utf-8"))
        self.special = {name: settings.get(f"{name}_token_id") for name in ("bos", "eos", "pad", "decoder_start")}
        self.lengths = {side: args.get(f"{side}_sequence_length", 1024) for side in ("encoder", "decoder")}
        if str(folder) not in self.opened:
            self.opened[str(folder)] = self.open(folder)
        self.use(self.opened[str(folder)])
        return {}

    def call(self, op: str, args: dict[str, Any]) -> dict[str, Any]:
        """One operation."""
        method = getattr(self, f"op_{op}", None)
        if method is None:
            raise UnsupportedError(f"no operation {op!r}")
        return method(**args)

    def op_generate(
        self, inputs: Any, max_length: Any = None, stop_token_ids: Any = "auto", sampler: Any = "greedy"
    ) -> dict[str, Any]:
        """Texts, or a batch of ids. Rows whose prompts are of one length go to the engine together."""
        stops = [self.special["eos"]] if stop_token_ids == "auto" else stop_token_ids
        if isinstance(inputs, dict) and "decoder_token_ids" in inputs:
            sources, prompts = self.sources_of(inputs), ragged(inputs, "decoder")
            width = len(inputs["decoder_token_ids"][0])
            open_rows = [n for n, prompt in enumerate(prompts) if len(prompt) < width]  # others have no room to go on
            said = self.rows([sources[n] for n in open_rows], [prompts[n] for n in open_rows], width, stops, sampler)
            rows = prompts[:]
            for n, row in zip(open_rows, said, strict=True):
                rows[n] = row
            return padded(rows, width, self.special["pad"])
        pair = inputs if isinstance(inputs, dict) else {"encoder_text": inputs}
        texts, one = pair["encoder_text"], isinstance(pair["encoder_text"], str)
        spoken = pair.get("decoder_text", "" if one else [""] * len(texts))
        sources = [self.source(text) for text in ([texts] if one else texts)]
        first = [self.special[name] for name in ("decoder_start", "bos") if self.special[name] is not None]
        prompts = [first + self.encode(text) for text in ([spoken] if isinstance(spoken, str) else spoken)]
        length = self.lengths["decoder"] if max_length is None else max_length
        rows = self.rows(sources, prompts, length, stops, sampler)
        found = [self.decode_text(row) for row in rows]
        return {"text": found[0] if one else found, "inputs": inputs}

    def sources_of(self, inputs: dict[str, Any]) -> list[Any]:
        """What each row is made from."""
        return ragged(inputs, "encoder")

    def source(self, text: Any) -> list[int]:
        """Ids between BART's start and end token, or before T5's end token, cut to the encoder's length."""
        start = [] if self.special["bos"] is None else [self.special["bos"]]
        ids = self.encode(text)[: self.lengths["encoder"] - len(start) - 1]
        return [*start, *ids, self.special["eos"]]

    def rows(
        self, sources: list[list[int]], prompts: list[list[int]], length: Any, stops: Any, sampler: Any
    ) -> list[list[int]]:
        """Each row's ids, up to the first stop token after its prompt."""
        found: dict[int, list[int]] = {}
        for size in sorted({len(prompt) for prompt in prompts}):
            members = [n for n, prompt in enumerate(prompts) if len(prompt) == size]
            said = self.decode([sources[n] for n in members], [prompts[n] for n in members], length, stops, sampler)
            found |= {n: until(row, size, stops) for n, row in zip(members, said, strict=True)}
        return [found[n] for n in range(len(prompts))]

    # -- what subclasses say ---------------------------------------------------------------------------------------
    def open(self, folder: Path) -> Any:
        """The engine's model of a converted folder."""
        raise NotImplementedError

    def use(self, opened: Any) -> None:
        """From here on this model is asked."""
        raise NotImplementedError

    def encode(self, text: Any) -> list[int]:
        """Ids of a text, without start and end."""
        raise NotImplementedError

    def decode_text(self, ids: list[int]) -> str:
        """The text of ids, without special tokens."""
        raise NotImplementedError

    def decode(
        self, sources: list[list[int]], prompts: list[list[int]], length: int, stops: Any, sampler: Any
    ) -> list[list[int]]:
        """Ids with their prompts (all of one length) in front, `length` at most in all."""
        raise NotImplementedError


def ragged(inputs: dict[str, Any], side: str) -> list[list[int]]:
    """The ids under the mask, row by row. Raises: UnsupportedError for a hole, which no list of tokens has."""
    if any(list(mask) != sorted(mask, reverse=True) for mask in inputs[f"{side}_padding_mask"]):
        raise UnsupportedError("takes lists of tokens, which have no holes")
    pairs = zip(inputs[f"{side}_token_ids"], inputs[f"{side}_padding_mask"], strict=True)
    return [[token for token, real in zip(ids, mask, strict=True) if real] for ids, mask in pairs]


def padded(rows: Sequence[Sequence[int]], width: int, pad: int) -> dict[str, Any]:
    """Rows as a rectangle, with a mask."""
    ids = [[*row, *[pad] * (width - len(row))] for row in rows]
    mask = [[True] * len(row) + [False] * (width - len(row)) for row in rows]
    return {"decoder_token_ids": np.array(ids, "int32"), "decoder_padding_mask": np.array(mask)}


def until(row: list[int], prompt: int, stops: Sequence[int] | None) -> list[int]:
    """A row up to its first stop token after the prompt."""
    ends = [n for n, token in enumerate(row) if n >= prompt and token in (stops or ())]
    return row[: ends[0] + 1] if ends else row


def settings_of(sampler: Any) -> tuple[str, dict[str, Any]]:
    """A sampler's short name and its settings."""
    if isinstance(sampler, str):
        return sampler, {}
    name = sampler["class_name"].rpartition(">")[2].removesuffix("Sampler")
    short = "".join("_" + c.lower() if c.isupper() else c for c in name).strip("_")
    return short, dict(sampler["config"])
