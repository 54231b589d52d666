"""Draws rows for what is missing: a covering array of strength 2, seeded."""

import itertools
import json
import random
from typing import Any

from conformance.coverage.pairs import Pair, Section, sections
from conformance.make.questions.covering import ROWS

LEFT = 0.04


def draw(seed: int) -> None:
    """Append rows to `covering.json` for the pairs that no case and no row reaches, in the sections that are drawn."""
    content: dict[str, list[dict[str, Any]]] = json.loads(ROWS.read_text(encoding="utf-8")) if ROWS.exists() else {}
    for section in sections():
        if section.drawn:
            rows = content.setdefault(section.name, [])
            known = section.reached().union(*(pairs_of(row) for row in rows if row))
            rows += needed(section, known, seed)
    ROWS.write_text(text_of(content), encoding="utf-8")


def text_of(content: dict[str, list[dict[str, Any]]]) -> str:
    """JSON with a line for each row."""
    inner = {name: ",\n  ".join(map(json.dumps, rows)) for name, rows in content.items()}
    return "{\n" + ",\n".join(f' "{name}": [\n  {rows}\n ]' for name, rows in inner.items()) + "\n}\n"


def pairs_of(row: dict[str, Any]) -> set[Pair]:
    """The pairs of a row."""
    return set(itertools.combinations([(name, str(value)) for name, value in row.items()], 2))


def needed(section: Section, known: set[Pair], seed: int) -> list[dict[str, Any]]:
    """Rows that reach what is wanted: each begins with a wanted pair, and every other value adds as many as it can."""
    rng, names = random.Random(seed), list(section.dimensions)
    possible = [pair for pair in section.pairs() if section.why_impossible(pair) is None]
    wanted, found = set(possible) - known, []

    def completed(row: dict[str, Any]) -> dict[str, Any] | None:
        if len(row) == len(names):
            return {name: row[name] for name in names}
        name = next(name for name in names if name not in row)
        values = rng.sample(section.dimensions[name], len(section.dimensions[name]))
        for value in sorted(values, key=lambda value: -gain({**row, name: value})):
            more = {**row, name: value}
            texts = [(name, str(value)) for name, value in more.items()]
            if section.why_impossible(texts) is None and (whole := completed(more)):
                return whole
        return None

    def gain(row: dict[str, Any]) -> int:
        return len(pairs_of({name: row[name] for name in names if name in row}) & wanted)

    for pair in rng.sample(possible, len(possible)):
        if pair in wanted and len(wanted) > LEFT * len(possible):  # the last pairs cost a case each
            start = {n: next(v for v in section.dimensions[n] if str(v) == value) for n, value in pair}
            if row := completed(start):
                found.append(row)
                wanted -= pairs_of(row)
    return found
