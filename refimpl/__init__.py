"""The reference for encoder-decoder language models: KerasHub's `Seq2SeqLM` in NumPy.

The rooms carry KerasHub's names, so that `import refimpl as keras_hub` runs its examples.
"""

from refimpl import errors, models, samplers, tokenizers
from refimpl.training import callbacks, losses, metrics, optimizers

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "callbacks",
    "errors",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "samplers",
    "tokenizers",
]
