"""Scores in a file."""

from __future__ import annotations

import csv
from os import PathLike
from pathlib import Path
from typing import Any, TextIO

from refimpl.errors import CheckpointError
from refimpl.training.callbacks.callback import Callback, Logs


class CSVLogger(Callback):
    """A line for each epoch: its number and its scores, in the order of their names.

    Spec: training.callbacks.csv-logger
    """

    def __init__(self, filename: str | PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.path, self.separator, self.append = Path(filename).expanduser(), separator, append
        self._file: TextIO | None = None
        self._names: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file; with `append` go on where an earlier run stopped."""
        started = self.append and self.path.exists() and self.path.stat().st_size > 0
        if started:
            try:
                with self.path.open(encoding="utf-8", newline="") as file:
                    self._names = next(csv.reader(file, delimiter=self.separator))[1:]
            except (UnicodeDecodeError, csv.Error) as error:
                raise CheckpointError(
                    f"{self.path} can't be read: {error}.",
                    "With append=True it must be what CSVLogger wrote.",
                    "Remove it, or pass append=False.",
                    "training.callbacks.csv-logger",
                ) from error
        self._file = self.path.open("a" if self.append else "w", encoding="utf-8", newline="")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the epoch's line, at once."""
        assert self._file is not None
        writer: Any = csv.writer(self._file, delimiter=self.separator, lineterminator="\n")
        if not self._names:
            self._names = sorted(logs or {})
            writer.writerow(["epoch", *self._names])
        writer.writerow([epoch, *((logs or {}).get(name, "NA") for name in self._names)])
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._names = None, []
