"""Metrics of texts, which scripts compute beside training."""

from __future__ import annotations

import importlib
import math
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from refimpl.errors import ConfigError, MissingMetricPackageError
from refimpl.keras_api.inputs import plain
from refimpl.training.metrics.tokens import Metric


class RougeN(Metric):
    """ROUGE-N by `rouge-score`: mean precision, recall and F1 of matching n-grams.

    Spec: training.metric.texts
    Source: keras-hub 0.32.0, metrics/rouge_base.py; Lin 2004
    """

    direction = "up"

    def __init__(self, order: int = 2, use_stemmer: bool = False, name: str = "rouge-n", **_: Any) -> None:
        if order not in range(1, 10):
            raise ConfigError(f"order={order!r} was passed.", "It lies from 1 to 9.", "Try 2.", "training.metric.texts")
        self._score_by(f"rouge{order}", use_stemmer, name)

    def _score_by(self, variant: str, use_stemmer: bool, name: str) -> None:
        self.variant = variant
        scorer = _package("rouge_score.rouge_scorer", "rouge-score").RougeScorer([variant], use_stemmer=use_stemmer)
        self._score: Callable[[str, str], Any] = lambda true, guess: scorer.score(true, guess)[variant]
        super().__init__(name)

    def reset_state(self) -> None:
        """Forget all texts."""
        self.total, self.count = np.zeros(3), 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add texts: one each, or as many of both."""
        for true, guess in zip(_texts(y_true), _texts(y_pred), strict=True):
            self.total += self._score(true, guess)
            self.count += 1

    def result(self) -> Any:
        """`precision`, `recall` and `f1_score`."""
        return dict(zip(("precision", "recall", "f1_score"), (self.total / max(self.count, 1)).tolist(), strict=True))


class RougeL(RougeN):
    """ROUGE-L by `rouge-score`: the same of the longest common subsequence.

    Spec: training.metric.texts
    """

    def __init__(self, use_stemmer: bool = False, name: str = "rouge-l", **_: Any) -> None:
        self._score_by("rougeL", use_stemmer, name)


class Bleu(Metric):
    """BLEU from 0 to 1 over all texts so far, cut into words by `sacrebleu`'s rules unless a `tokenizer` is passed.

    Spec: training.metric.texts
    Source: keras-hub 0.32.0, metrics/bleu.py; Papineni et al. 2002
    """

    direction = "up"

    def __init__(
        self, tokenizer: Any = None, max_order: int = 4, smooth: bool = False, name: str = "bleu", **_: Any
    ) -> None:
        self.max_order, self.smooth = max_order, smooth
        if tokenizer is None:
            words = _package("sacrebleu.tokenizers.tokenizer_13a", "sacrebleu").Tokenizer13a()
            self._words: Callable[[str], list[str]] = lambda text: words(text).split()
        else:
            self._words = lambda text: list(map(_text, plain(tokenizer(text))))
        super().__init__(name)

    def reset_state(self) -> None:
        """Forget all texts."""
        self.matches, self.possible = np.zeros(self.max_order), np.zeros(self.max_order)
        self.guessed = self.referred = 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add texts. Shapes: references (B, R) or (R,), texts (B,) or one; of R references the shortest counts."""
        guesses, true = _texts(y_pred), plain(y_true)
        single = isinstance(plain(y_pred), (str, bytes))
        for texts, guess in zip([true] if single else true, map(self._words, guesses), strict=True):
            references = list(map(self._words, _texts(texts)))
            self.guessed, self.referred = self.guessed + len(guess), self.referred + min(map(len, references))
            for n in range(1, self.max_order + 1):
                known: Counter[Any] = Counter()
                for reference in references:
                    known |= _ngrams(reference, n)
                self.matches[n - 1] += (_ngrams(guess, n) & known).total()
                self.possible[n - 1] += max(len(guess) - n + 1, 0)

    def result(self) -> float:
        """The brevity penalty times the geometric mean of the precisions."""
        precisions = (self.matches + self.smooth) / np.maximum(self.possible + self.smooth, 1)
        if not self.guessed or precisions.min() <= 0:
            return 0.0
        penalty = math.exp(min(0.0, 1 - self.referred / self.guessed))
        return float(penalty * np.exp(np.log(precisions).mean()))


class EditDistance(Metric):
    """Substitutions, insertions and deletions between rows of tokens, by the number of tokens in all references.

    With `normalize=False` their mean over the rows.

    Spec: training.metric.texts
    Source: keras-hub 0.32.0, metrics/edit_distance.py
    """

    direction = "down"

    def __init__(self, normalize: bool = True, name: str = "edit_distance", **_: Any) -> None:
        self.normalize = normalize
        super().__init__(name)

    def reset_state(self) -> None:
        """Forget all rows."""
        self.total = self.count = 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a row of tokens each, or as many rows of both."""
        true, guesses = ([list(row) for row in _rows(each)] for each in (y_true, y_pred))
        for row, guess in zip(true, guesses, strict=True):
            self.total += _distance(row, guess)
            self.count += len(row) if self.normalize else 1

    def result(self) -> float:
        """The value over all rows so far."""
        return self.total / self.count if self.count else 0.0


def _distance(row: list[Any], other: list[Any]) -> int:
    """Levenshtein's distance of two rows of tokens."""
    costs = list(range(len(other) + 1))
    for n, token in enumerate(row, 1):
        before, costs[0] = costs[0], n
        for m, guess in enumerate(other, 1):
            before, costs[m] = costs[m], min(costs[m] + 1, costs[m - 1] + 1, before + (token != guess))
    return costs[-1]


def _ngrams(words: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[first:] for first in range(n)), strict=False))


def _rows(value: Any) -> Iterable[Any]:
    """Rows of tokens, of one row or several."""
    held = list(plain(value))
    return held if held and isinstance(held[0], (list, tuple, np.ndarray)) else [held]


def _texts(value: Any) -> list[str]:
    """Texts, of one or several; a column of them counts as a list."""
    held = plain(value)
    return [_text(held)] if isinstance(held, (str, bytes)) else [_text(each) for each in np.ravel(held).tolist()]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _package(module: str, package: str) -> Any:
    """A module of the extra `metrics`. Raises: MissingMetricPackageError."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingMetricPackageError(
            f"The package {package} is not installed.",
            "RougeL, RougeN and Bleu are computed with it.",
            "Install it: pip install 'seq2seq-refimpl[metrics]'.",
            "training.metric.texts",
        ) from error
