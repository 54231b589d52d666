"""Callbacks: what happens beside the training loop."""

from refimpl.training.callbacks.callback import Callback, CallbackList
from refimpl.training.callbacks.csv_logger import CSVLogger
from refimpl.training.callbacks.history import History
from refimpl.training.callbacks.interruption import Interruption
from refimpl.training.callbacks.monitors import EarlyStopping, ModelCheckpoint
from refimpl.training.callbacks.progress import ProgressBar

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "Interruption",
    "ModelCheckpoint",
    "ProgressBar",
]
