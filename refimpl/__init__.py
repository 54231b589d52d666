"""The reference for encoder-decoder language models: KerasHub's `Seq2SeqLM` in NumPy.

The rooms carry KerasHub's names, so that `import refimpl as keras_hub` runs its examples.
"""

import sys
from types import SimpleNamespace

from refimpl import errors, models, samplers, tokenizers
from refimpl.preprocessing import layers
from refimpl.random import set_random_seed
from refimpl.training import callbacks, losses, metrics, optimizers

__version__ = "0.2.0"
__all__ = [
    "__version__",
    "callbacks",
    "errors",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "samplers",
    "tokenizers",
    "utils",
    "version",
]
utils = SimpleNamespace(set_random_seed=set_random_seed)
# `from keras.optimizers import AdamW` too may change in its first word alone.
sys.modules |= {f"{__name__}.{room.__name__.rpartition('.')[2]}": room for room in (callbacks, layers, losses, metrics)}
sys.modules |= {f"{__name__}.optimizers": optimizers, f"{__name__}.optimizers.schedules": optimizers.schedules}


def version() -> str:
    """The version, as KerasHub gives it."""
    return __version__
