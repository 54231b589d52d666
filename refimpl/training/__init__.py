"""Training: losses, metrics, optimizers, callbacks and the loop of `fit`."""

from refimpl.training import callbacks, losses, metrics, optimizers

__all__ = ["callbacks", "losses", "metrics", "optimizers"]
