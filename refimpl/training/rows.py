"""Pairs of texts, or of recordings and texts, from a TSV, CSV, JSON or JSONL file; each bad row is named by line."""

from __future__ import annotations

import codecs
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from refimpl.errors import InputError, TrainingDataError
from refimpl.preprocessing.audio_file import read_recording

FORMATS = {".tsv": "tsv", ".csv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json"}
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class BadRowError(Exception):
    """A row that can't be used, and why."""


def read_pairs(path: Path, columns: tuple[str, str], skip_bad: bool = False) -> tuple[list[str], list[str], int]:
    """Inputs and outputs of a file, and how many rows were left out.

    TSV and CSV have a first line with the columns' names; JSON has an object a line, or one list of objects.

    Raises: TrainingDataError with file and line; `skip_bad` leaves such rows out instead.
    Spec: training.command.rows, training.command.skip-bad, training.command.encodings
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
    for place, row in _json_rows(path) if kind == "json" else _table_rows(path, kind, columns):
        try:
            source, target = _pair(row, columns)
        except BadRowError as error:
            if not skip_bad:
                raise TrainingDataError(
                    f"{path}, {place}: {error}.",
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


def with_recordings(
    names: list[str], texts: list[str], folder: Path, rate: int, skip_bad: bool
) -> tuple[list[np.ndarray], list[str]]:
    """The samples of the recordings, and their texts; `skip_bad` leaves out what can't be read, unless that is all.

    Spec: training.command.audio, training.command.skip-bad
    """
    found, kept, problem = [], [], None
    for name, text in zip(names, texts, strict=True):
        try:
            found.append(read_recording(folder / name, rate))
            kept.append(text)
        except InputError as error:
            problem = error
            if not skip_bad:
                raise
    if problem and not found:
        raise problem
    return found, kept


def _pair(row: Any, columns: tuple[str, str]) -> tuple[str, str]:
    if isinstance(row, BadRowError):
        raise row
    if not isinstance(row, dict):
        raise BadRowError(f"it holds {row!r:.40}, not an object")
    for column in columns:
        if column not in row:
            raise BadRowError(f"there is no {column!r}; found: {', '.join(map(str, row)) or 'nothing'}")
        text = row[column]
        if not isinstance(text, str) or not text or "\0" in text or text.encode("utf-8", "ignore").decode() != text:
            raise BadRowError(f"{column!r} is {text!r:.40}")
    return row[columns[0]], row[columns[1]]


def _lines(path: Path) -> Iterator[tuple[int, str, BadRowError | None]]:
    """The lines of a file with their numbers, and the problem of one that is no UTF-8.

    Raises: TrainingDataError for a broken UTF-16.
    Spec: training.command.encodings
    """
    data = path.read_bytes()
    if data.startswith(_UTF16):  # "Unicode text" of a spreadsheet
        print(f"refimpl: {path} is read as UTF-16", file=sys.stderr)
        try:
            data = data.decode("utf-16").encode()
        except UnicodeDecodeError as error:
            raise TrainingDataError(
                f"{path} begins as UTF-16 and is none at byte {error.start}: {error.reason}.",
                "A table is UTF-8, or UTF-16 throughout.",
                "Save it again as UTF-8.",
                "training.command.encodings",
            ) from error
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    for number, raw in enumerate(data.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        try:
            yield number, raw.decode().rstrip("\r"), None
        except UnicodeDecodeError as error:
            problem = BadRowError(f"it is no UTF-8 ({error.reason} at byte {error.start})")
            yield number, raw.decode(errors="replace").rstrip("\r"), problem


def _json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Objects with their places: those of a file that is one list, or one in each line that is not empty."""
    lines = [line for line in _lines(path) if line[1].strip()]
    if lines and lines[0][1].lstrip().startswith("["):
        whole = _parsed("\n".join(text for _, text, _ in lines))
        if isinstance(whole, list) and not any(problem for *_, problem in lines):
            yield from ((f"row {number}", row) for number, row in enumerate(whole, 1))
            return
    yield from ((f"line {number}", problem or _parsed(text)) for number, text, problem in lines)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return BadRowError(f"it is no JSON ({error})")


def _table_rows(path: Path, kind: str, columns: tuple[str, str]) -> Iterator[tuple[str, Any]]:
    """Rows as dictionaries, by the names in the first line."""
    rows = _tsv_rows(path) if kind == "tsv" else _csv_rows(path)
    _, header = next(rows, ("", []))
    if isinstance(header, BadRowError) or not set(columns) <= set(header):
        raise TrainingDataError(
            f"The first line of {path} is {header!s:.120}.",
            f"It must name the columns {columns[0]!r} and {columns[1]!r}, without spaces around them, parted by "
            f"{'tabs' if kind == 'tsv' else 'commas'}.",
            "Add or mend that line, or pass --columns INPUT,OUTPUT.",
            "training.command.columns",
        )
    for place, fields in rows:
        if isinstance(fields, BadRowError):
            yield place, fields
        elif len(fields) != len(header):
            yield place, BadRowError(f"it has {len(fields)} fields, the first line has {len(header)}")
        else:
            yield place, dict(zip(header, fields, strict=True))


def _tsv_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """What stands between two tabs is a field, as it is."""
    for number, text, problem in _lines(path):
        if text:
            yield f"line {number}", problem or text.split("\t")


def _csv_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Fields may be quoted, and hold line breaks then; what Python's reader can't read comes as its problem."""
    problems: dict[int, BadRowError] = {}

    def texts() -> Iterator[str]:
        for number, text, problem in _lines(path):
            if problem:
                problems[number] = problem
            yield text + "\n"

    reader = csv.reader(texts(), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            fields: Any = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fields = BadRowError(f"it is no CSV ({error})")
        fields = next((problems[n] for n in range(first, reader.line_num + 1) if n in problems), fields)
        if fields:
            yield f"line {first}", fields
