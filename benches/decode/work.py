"""What is decoded: the cases, their sources, and how many products and bytes attention adds to a step."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

EARLY, LATE = slice(8, 40), slice(480, 512)  # tokens whose time is compared


@dataclass(frozen=True)
class Model:
    """What engines are told of a model: the tokens that decoding starts with, and those that end and fill a row."""

    parameters: int
    prompt: tuple[int, ...] = (2, 0)
    end: int = 2
    padding: int = 1


MODELS = {
    "base": Model(139_420_416),
    "t5": Model(60_506_624, prompt=(0,), end=1, padding=0),
    "phonemes": Model(975_616),
}


@dataclass(frozen=True)
class Case:
    """One comparison: a model, rows at once, and how far to go."""

    model_name: str
    rows: int
    beams: int = 1
    new: int = 64
    stop: bool = False
    grows: bool = False

    @property
    def model(self) -> Model:
        """The model's record."""
        return MODELS[self.model_name]


CASES = {
    "batch 1": Case("base", 1),
    "batch 8": Case("base", 8),
    "beam 5": Case("base", 1, beams=5),
    "T5, batch 1": Case("t5", 1),
    "T5, batch 8": Case("t5", 8),
    "phonemes": Case("phonemes", 64, new=30, stop=True),
    "growth": Case("base", 1, new=512, grows=True),
}


def words() -> list[str]:
    """The vocabulary of the made-up model."""
    return ["<s>", "<pad>", "</s>", "<unk>", "w", "1"] + [f"w{n}" for n in range(1, 50258 + 1)] + ["<mask>"]


def sources(case: Case, folder: Path) -> list[list[int]]:
    """Token ids of all rows: 64 made-up ones each, or a thousand words that the phoneme preset has not seen."""
    if case.model_name == "phonemes":
        return [list(row) for row in json.loads((folder / "phonemes" / "sources.json").read_text())]
    ids = np.random.default_rng(7).integers(4, 50264 if case.model_name == "base" else 32128, (64, 64))
    if case.model_name == "base":
        ids[:, 0] = 0
    ids[:, -1] = case.model.end
    return [list(row) for row in ids[: case.rows].tolist()]


def padded(rows: list[list[int]], padding: int, width: int = 0, count: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask of rows of different lengths. Shapes: -> (B, S), (B, S)."""
    rows = rows + rows[:1] * (count - len(rows))
    width = max(width, *map(len, rows))
    ids = np.array([row + [padding] * (width - len(row)) for row in rows], np.int32)
    return ids, np.arange(width) < np.array([len(row) for row in rows])[:, None]


def inputs(rows: list[list[int]], case: Case, width: int = 0, count: int = 0) -> dict[str, np.ndarray]:
    """What `generate` of KerasHub and refimpl takes."""
    start = len(case.model.prompt)
    ids, mask = padded(rows, case.model.padding, width, count)
    prompt = np.full((len(ids), start + case.new), case.model.padding, np.int32)
    prompt[:, :start] = case.model.prompt
    return {
        "encoder_token_ids": ids,
        "encoder_padding_mask": mask,
        "decoder_token_ids": prompt,
        "decoder_padding_mask": np.tile(np.arange(start + case.new) < start, (len(ids), 1)),
    }


def cut(tokens: Any, case: Case) -> list[list[int]]:
    """What was generated, up to the end token if the case stops there; `tokens` are rows without the prompt."""
    rows, end = [[int(token) for token in row] for row in tokens], case.model.end
    return [row[: row.index(end)] if case.stop and end in row else row for row in rows]
