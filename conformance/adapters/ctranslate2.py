"""CTranslate2 under test, in float32 or int8. It speaks tokens, so `tokenizers` stands between it and the texts."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from conformance.adapters.engine import ragged, settings_of
from conformance.adapters.token_engine import TokenEngine, text_of
from conformance.suite.messages import UnsupportedError


class CTranslate2(TokenEngine):
    """A model that its own converter made from the converted folder."""

    lacks = TokenEngine.lacks | {
        "models.inputs.ids": "takes tokens: there is no id that could be wrong",
        "models.backbone.outputs": "shows no hidden states",
    }

    def __init__(self, compute_type: str = "float32") -> None:
        import ctranslate2
        from ctranslate2.converters import TransformersConverter

        super().__init__()
        self.engine, self.converter, self.compute_type = ctranslate2, TransformersConverter, compute_type
        self.folder = Path()
        self.translators: dict[tuple[Path, str], Any] = {}
        self.words: list[str] = []

    def start(self) -> dict[str, Any]:
        """Name, version, capabilities, and what it has not."""
        return {
            "implementation": "ctranslate2",
            "version": self.engine.__version__,
            "backend": f"cpu {self.compute_type}",
            "capabilities": list(self.capabilities),
            "lacks": self.lacks,
        }

    def open(self, folder: Path) -> Any:
        """Convert once more, into CTranslate2's own format."""
        cut_pieces(folder)
        target = folder.with_name(folder.name + "-ct2")
        self.converter(str(folder)).convert(str(target), force=True)
        return target, json.loads((target / "shared_vocabulary.json").read_text("utf-8")), text_of(folder)

    def use(self, opened: Any) -> None:
        """From here on this model is asked."""
        self.folder, self.words, self.text = opened
        self.ids = {word: id for id, word in enumerate(self.words)}

    def translator(self, rows: list[list[int]]) -> Any:
        """The engine for rows that start as these do: the decoder's start token is a setting of the model's folder."""
        if len({row[0] for row in rows}) > 1:
            raise UnsupportedError("puts one start token of the decoder in front of all rows")
        start = self.words[rows[0][0]]
        if (self.folder, start) not in self.translators:
            file = self.folder / "config.json"
            settings = json.loads(file.read_text("utf-8")) | {"decoder_start_token": start}
            settings["unk_token"] = settings["unk_token"] or "<pad>"  # null can be written but not read
            file.write_text(json.dumps(settings), "utf-8")
            self.translators[self.folder, start] = self.engine.Translator(
                str(self.folder), device="cpu", compute_type=self.compute_type, intra_threads=1
            )
        return self.translators[self.folder, start]

    def tokens(self, rows: list[list[int]]) -> list[list[str]]:
        """Ids as CTranslate2 takes them."""
        return [[self.words[id] for id in row] for row in rows]

    # -- arithmetic ------------------------------------------------------------------------------------------------
    def op_logits(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Scores of every decoder position: decoding with the whole row as prefix. Always over the cache."""
        missing = {f"{side}_{kind}" for side in ("encoder", "decoder") for kind in ("token_ids", "padding_mask")}
        if missing - set(inputs):
            raise UnsupportedError("has no padding masks: a row is a list of tokens")
        masks = [np.array(inputs[f"{side}_padding_mask"], bool) for side in ("encoder", "decoder")]
        if not masks[1].all() or (np.diff(masks[0].astype(int), axis=1) > 0).any():
            raise UnsupportedError("has no padding masks: a row is a list of tokens")
        if not masks[0].any(axis=1).all():
            raise UnsupportedError("does not run a row whose source is empty")
        said = self.translator(inputs["decoder_token_ids"]).translate_batch(
            self.tokens(ragged(inputs, "encoder")),
            self.tokens([row[1:] for row in inputs["decoder_token_ids"]]),
            beam_size=1,
            min_decoding_length=0,
            max_decoding_length=len(inputs["decoder_token_ids"][0]),
            end_token=[],
            return_logits_vocab=True,
        )
        return {"logits": np.array([np.array(row.logits[0], "float32") for row in said])}

    def op_cached_logits(self, inputs: dict[str, Any], chunks: list[int]) -> dict[str, Any]:
        """The same: it chooses the chunks itself."""
        return self.op_logits(inputs)

    # -- generation ------------------------------------------------------------------------------------------------
    def decode(
        self, sources: list[list[int]], prompts: list[list[int]], length: int, stops: Any, sampler: Any
    ) -> list[list[int]]:
        """`translate_batch` with the prompt as prefix. Its length leaves the decoder's start token out."""
        said = self.translator(prompts).translate_batch(
            self.tokens(sources),
            self.tokens([prompt[1:] for prompt in prompts]),
            max_decoding_length=length - 1,
            min_decoding_length=0,
            end_token=list(stops or ()),
            return_end_token=True,
            **self.sampling(sampler),
        )
        return [
            [prompt[0], *(self.ids[t] for t in row.hypotheses[0])] for prompt, row in zip(prompts, said, strict=True)
        ]

    def sampling(self, sampler: Any) -> dict[str, Any]:
        """A sampler of KerasHub in the words of `translate_batch`."""
        name, given = settings_of(sampler)
        if given.get("seed") is not None:
            self.engine.set_random_seed(given["seed"])
        if name == "greedy":
            return {"beam_size": 1}
        if name == "beam":  # KerasHub's beams are ranked by their sums
            return {"beam_size": given.get("num_beams", 5), "length_penalty": 0.0}
        warm = {"beam_size": 1, "sampling_temperature": given.get("temperature", 1.0)}
        if name == "top_k":
            return warm | {"sampling_topk": given.get("k", 5)}
        if name in ("top_p", "random"):
            return warm | {
                "sampling_topk": given.get("k") or 0,
                "sampling_topp": given.get("p", 0.1) if name == "top_p" else 1,
            }
        raise UnsupportedError(f"has no sampler {name!r}")


def cut_pieces(folder: Path) -> None:
    """Leave out the pieces that a T5 has no embedding for: its converter adds missing words, but takes none away."""
    file, size = folder / "spiece.model", json.loads((folder / "config.json").read_text("utf-8"))["vocab_size"]
    if file.is_file():
        from sentencepiece import sentencepiece_model_pb2

        model = sentencepiece_model_pb2.ModelProto.FromString(file.read_bytes())
        del model.pieces[size:]
        file.write_bytes(model.SerializeToString())
