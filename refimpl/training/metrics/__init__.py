"""Metrics: numbers that are added up over the batches of an epoch, or over texts."""

from refimpl.training.metrics.texts import Bleu, EditDistance, RougeL, RougeN
from refimpl.training.metrics.tokens import Metric, Perplexity, SparseCategoricalAccuracy, TokenMetric, get_all

__all__ = [
    "Bleu",
    "EditDistance",
    "Metric",
    "Perplexity",
    "RougeL",
    "RougeN",
    "SparseCategoricalAccuracy",
    "TokenMetric",
    "get_all",
]
