"""What is decoded: the cases, their sources, and how many products and bytes attention adds to a step."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

END = 2  # both vocabularies have `</s>` there, and start decoding with `</s> <s>`
EARLY, LATE = slice(8, 40), slice(480, 512)  # tokens whose time is compared


@dataclass(frozen=True)
class Case:
    """One comparison: a model, rows at once, and how far to go."""

    model: str
    rows: int
    beams: int = 1
    new: int = 64
    stop: bool = False


CASES = {
    "batch 1": Case("base", 1),
    "batch 8": Case("base", 8),
    "beam 5": Case("base", 1, beams=5),
    "phonemes": Case("phonemes", 64, new=30, stop=True),
    "growth": Case("base", 1, new=512),
}


def words() -> list[str]:
    """The vocabulary of the made-up model."""
    return ["<s>", "<pad>", "</s>", "<unk>", "w", "1"] + [f"w{n}" for n in range(1, 50258 + 1)] + ["<mask>"]


def sources(case: Case, folder: Path) -> list[list[int]]:
    """Token ids of all rows: 64 made-up ones each, or a thousand words that the phoneme preset has not seen."""
    if case.model == "phonemes":
        return [list(row) for row in json.loads((folder / "phonemes" / "sources.json").read_text())]
    ids = np.random.default_rng(7).integers(4, 50264, (64, 64))
    ids[:, 0], ids[:, -1] = 0, END
    return [list(row) for row in ids[: case.rows].tolist()]


def padded(rows: list[list[int]], width: int = 0, count: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Ids and mask of rows of different lengths. Shapes: -> (B, S), (B, S)."""
    rows = rows + rows[:1] * (count - len(rows))
    width = max(width, *map(len, rows))
    ids = np.array([row + [1] * (width - len(row)) for row in rows], np.int32)
    return ids, np.arange(width) < np.array([len(row) for row in rows])[:, None]


def inputs(rows: list[list[int]], case: Case, width: int = 0, count: int = 0) -> dict[str, np.ndarray]:
    """What `generate` of KerasHub and refimpl takes."""
    ids, mask = padded(rows, width, count)
    prompt = np.ones((len(ids), case.new + 2), np.int32)
    prompt[:, :2] = END, 0
    return {
        "encoder_token_ids": ids,
        "encoder_padding_mask": mask,
        "decoder_token_ids": prompt,
        "decoder_padding_mask": np.tile(np.arange(case.new + 2) < 2, (len(ids), 1)),
    }


def cut(tokens: Any, case: Case) -> list[list[int]]:
    """What was generated, up to the end token if the case stops there; `tokens` are rows without the prompt."""
    rows = [[int(token) for token in row] for row in tokens]
    return [row[: row.index(END)] if case.stop and END in row else row for row in rows]
