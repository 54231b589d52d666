"""Going on after an interruption."""

from __future__ import annotations

import shutil
from os import PathLike
from pathlib import Path

from refimpl.training.callbacks.callback import Callback, Logs
from refimpl.training.checkpoint import STATE_FILE


class BackupAndRestore(Callback):
    """A checkpoint after each epoch; a `fit` that finds one goes on from there, and removes it when it is through.

    Spec: training.callbacks.backup
    """

    def __init__(self, backup_dir: str | PathLike[str], delete_checkpoint: bool = True) -> None:
        self.folder, self.delete_checkpoint = Path(backup_dir) / "latest", delete_checkpoint

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Take weights, optimizer and epoch from an earlier run."""
        if (self.folder / STATE_FILE).exists():
            self.model.first_epoch = self.model.load_checkpoint(self.folder)["epoch"]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save."""
        self.model.save_checkpoint(self.folder, epoch=epoch + 1)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Training is through: nothing is to be restored."""
        if self.delete_checkpoint:
            shutil.rmtree(self.folder, ignore_errors=True)
