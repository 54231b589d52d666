"""Pairs of texts from a TSV, CSV or JSONL file, with the line of each row that can't be read."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refimpl.errors import TrainingDataError

FORMATS = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class BadRowError(Exception):
    """A row that can't be used, and why."""


def read_pairs(path: Path, columns: tuple[str, str], skip_bad: bool = False) -> tuple[list[str], list[str], int]:
    """Inputs and outputs of a file, and how many rows were left out.

    TSV and CSV have a first line with the columns' names; JSONL has an object a line.

    Raises: TrainingDataError with file and line; `skip_bad` leaves such rows out instead.
    Spec: training.command.rows, training.command.skip-bad
    """
    kind = FORMATS.get(path.suffix.lower())
    if kind is None or not path.is_file():
        raise TrainingDataError(
            f"{path} {'is no file' if kind else 'ends with ' + (path.suffix or 'nothing')}.",
            f"The data must be a file that ends with {', '.join(FORMATS)}.",
            "Check the path.",
            "training.command.rows",
        )
    sources, targets, bad = [], [], 0
    for line, row in _json_rows(path) if kind == "jsonl" else _table_rows(path, kind, columns):
        try:
            source, target = _pair(row, columns)
        except BadRowError as error:
            if not skip_bad:
                raise TrainingDataError(
                    f"{path}, line {line}: {error}.",
                    f"Each row must have the texts {columns[0]!r} and {columns[1]!r}, in UTF-8.",
                    "Mend the line, or pass --skip-bad to leave such rows out.",
                    "training.command.rows",
                ) from None
            bad += 1
            continue
        sources.append(source)
        targets.append(target)
    if not sources:
        raise TrainingDataError(
            f"{path} holds no usable row ({bad} left out).",
            "There must be at least one.",
            "Check the file and the names of its columns.",
            "training.data.empty",
        )
    return sources, targets, bad


def _pair(row: Any, columns: tuple[str, str]) -> tuple[str, str]:
    if isinstance(row, BadRowError):
        raise row
    if not isinstance(row, dict):
        raise BadRowError(f"it holds {row!r:.40}, not an object")
    for column in columns:
        if column not in row:
            raise BadRowError(f"there is no {column!r}; found: {', '.join(map(str, row)) or 'nothing'}")
        if not isinstance(row[column], str) or not row[column]:
            raise BadRowError(f"{column!r} is {row[column]!r:.40}")
    return row[columns[0]], row[columns[1]]


def _lines(path: Path) -> Iterator[str | BadRowError]:
    """The lines of a file; one that is no UTF-8 comes as its problem."""
    with path.open("rb") as file:
        for number, raw in enumerate(file):
            try:
                yield raw.decode("utf-8-sig" if number == 0 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                yield BadRowError(f"it is no UTF-8 ({error.reason} at byte {error.start})")


def _json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    for number, text in enumerate(_lines(path), 1):
        if isinstance(text, BadRowError) or text.strip():
            yield number, _json_row(text)


def _json_row(text: str | BadRowError) -> Any:
    if isinstance(text, BadRowError):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return BadRowError(f"it is no JSON ({error})")


def _table_rows(path: Path, kind: str, columns: tuple[str, str]) -> Iterator[tuple[int, Any]]:
    """Rows as dictionaries. A quoted CSV field may hold line breaks; a TSV field is what stands between two tabs."""
    problems: dict[int, BadRowError] = {}

    def texts() -> Iterator[str]:
        for number, text in enumerate(_lines(path), 1):
            if isinstance(text, BadRowError):
                problems[number] = text
                yield "\n"
            else:
                yield text.replace("\0", "") + "\n"

    dialect: Any = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if kind == "tsv" else {}
    reader = csv.reader(texts(), **dialect)
    header = next(reader, [])
    if not set(columns) <= set(header):
        raise TrainingDataError(
            f"The first line of {path} is {', '.join(header)[:80]!r}.",
            f"It must name the columns {columns[0]!r} and {columns[1]!r}.",
            "Add a first line with the names, or pass --columns INPUT,OUTPUT.",
            "training.command.columns",
        )
    for fields in reader:
        number = reader.line_num
        if number in problems:
            yield number, problems[number]
        elif fields and len(fields) != len(header):
            yield number, BadRowError(f"it has {len(fields)} fields, the first line has {len(header)}")
        elif fields:
            yield number, dict(zip(header, fields, strict=True))
