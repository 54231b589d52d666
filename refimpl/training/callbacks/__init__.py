"""Callbacks: what happens beside the training loop."""

from typing import Any

from refimpl.errors import UnsupportedError
from refimpl.training.callbacks.backup import BackupAndRestore
from refimpl.training.callbacks.callback import KERAS_ONLY, Callback, CallbackList
from refimpl.training.callbacks.csv_logger import CSVLogger
from refimpl.training.callbacks.history import History
from refimpl.training.callbacks.interruption import Interruption
from refimpl.training.callbacks.learning_rate import LearningRateScheduler
from refimpl.training.callbacks.monitors import EarlyStopping, ModelCheckpoint
from refimpl.training.callbacks.progress import ProgressBar

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "Interruption",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ProgressBar",
]


def __getattr__(name: str) -> Any:
    """Keras's callbacks that are not here. Spec: training.callbacks.keras"""
    what = f"refimpl.callbacks has no {name}."
    if name == "TensorBoard":
        raise UnsupportedError(what, "It writes the graphs of Keras.", KERAS_ONLY[name], "training.callbacks.keras")
    raise AttributeError(what)
