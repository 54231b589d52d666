"""Token batches that the numeric questions share: ragged, odd lengths, the flat token at the flat position."""

from typing import Any


def batch(preset: str, rows: list[tuple[int, int]], source: int, spoken: int) -> dict[str, Any]:
    """Ids from a written sequence; `rows` gives the number of encoder and decoder tokens of each row."""
    size, pad = {"bart_tiny": (287, 1), "bart_dropout0": (287, 1), "bart_scripted": (23, 0)}[preset]
    ids = {"encoder": [], "decoder": []}  # type: dict[str, list[list[int]]]
    masks = {"encoder": [], "decoder": []}  # type: dict[str, list[list[bool]]]
    for b, lengths in enumerate(rows):
        for n, (side, width) in enumerate((("encoder", source), ("decoder", spoken))):
            used = lengths[n]
            row = [(7919 * (i + 1) * (b + 2) + 31 * n + 101 * i * i) % (size - 3) + 3 for i in range(used)]
            row[:1] = [2] if n else [0]
            for flat in (2, 3):
                row[flat : flat + 1] = [9] if used > flat and b != 1 else row[flat : flat + 1]
            ids[side].append(row + [pad] * (width - used))
            masks[side].append([True] * used + [False] * (width - used))
    return {
        "encoder_token_ids": ids["encoder"],
        "encoder_padding_mask": masks["encoder"],
        "decoder_token_ids": ids["decoder"],
        "decoder_padding_mask": masks["decoder"],
    }


def rows_of(whole: dict[str, Any], *rows: int) -> dict[str, Any]:
    """Some rows of a batch."""
    return {key: [value[row] for row in rows] for key, value in whole.items()}


def padded(whole: dict[str, Any], source: int, spoken: int, poison: int) -> dict[str, Any]:
    """More padding at the end of both sides, of the id `poison`."""
    found = {}
    for key, value in whole.items():
        more = source if key.startswith("encoder") else spoken
        found[key] = [row + [poison if key.endswith("ids") else False] * more for row in value]
    return found


def poisoned(whole: dict[str, Any], side: str, poison: int) -> dict[str, Any]:
    """Other ids under the mask of one side."""
    masks = whole[f"{side}_padding_mask"]
    ids = [
        [i if m else poison for i, m in zip(*pair, strict=True)]
        for pair in zip(whole[f"{side}_token_ids"], masks, strict=True)
    ]
    return whole | {f"{side}_token_ids": ids}


TINY = batch("bart_tiny", [(11, 13), (6, 9), (3, 4)], 11, 13)
DROPOUT0 = batch("bart_dropout0", [(9, 8), (4, 5), (7, 2)], 9, 8)
