"""`fit`, `evaluate` and `predict`, as every task has them."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from refimpl.training.arguments import (
    Data,
    listed,
    no_batch,
    parts_of,
    refuse_class_weight,
    rows_of,
    splittable,
    verbosity,
)
from refimpl.training.batch_trainer import BatchTrainer
from refimpl.training.callbacks import CallbackList, History, ProgressBar
from refimpl.training.checkpoint import Checkpointing
from refimpl.training.data import Samples, data_of


class Trainer(BatchTrainer, Checkpointing):
    """What makes a task trainable."""

    stop_training = False
    first_epoch = 0  # set by callbacks that go on from an earlier run

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Train for epochs `initial_epoch` up to `epochs`; returns the scores of each.

        With a preprocessor `x` is `{"encoder_text": [...], "decoder_text": [...]}`; without one it is the token
        dictionary, with labels `y`. An iterable of batches is taken as well.

        Raises: TrainingDataError, LabelError, NonFiniteError, ConfigError and what the preprocessor raises.
        Spec: training.fit.loop, training.fit.shuffle, training.fit.validation, training.checkpoint.exact
        """
        refuse_class_weight(class_weight)
        self._scores.reset()  # before anything is read: there must be some
        data, size = data_of(x, y, sample_weight), rows_of(batch_size)
        checked = data_of(*parts_of(validation_data)) if validation_data is not None else None
        if validation_split and checked is None:
            data, checked = splittable(data).split(validation_split)
        history = History()
        steps = data.steps(size) if steps_per_epoch is None else steps_per_epoch
        bar = ProgressBar(verbosity(verbose), steps)
        params = {"verbose": bar.verbose, "epochs": epochs, "steps": steps, "fitting": True}
        hooks = CallbackList([bar, *listed(callbacks), history], self, params)
        self.stop_training, self.history, self.first_epoch = False, history, initial_epoch
        hooks.call("on_train_begin", {})
        logs: dict[str, float] = {}
        for epoch in range(self.first_epoch, epochs):
            hooks.call("on_epoch_begin", epoch, {})
            batches = itertools.islice(data.batches(size, self._order(data, shuffle)), steps_per_epoch)
            logs = self._train_epoch(batches, hooks, first=epoch == self.first_epoch)
            if checked is not None and (epoch + 1) % validation_freq == 0:
                scores = self._evaluate(checked, rows_of(validation_batch_size or size), validation_steps, hooks)
                logs |= {f"val_{name}": value for name, value in scores.items()}
            hooks.call("on_epoch_end", epoch, logs)
            if self.stop_training:
                break
        hooks.call("on_train_end", logs)
        return history

    def _order(self, data: Data, shuffle: bool) -> np.ndarray | None:
        """The order of the samples, drawn from the seed and the number of steps so far.

        Spec: training.fit.shuffle
        """
        if not shuffle or not isinstance(data, Samples):
            return None
        return np.random.default_rng([self.seed, self.optimizer.iterations]).permutation(data.rows)

    def _train_epoch(self, batches: Iterator[Any], hooks: CallbackList, first: bool) -> dict[str, float]:
        self._scores.reset()
        number = -1
        for number, (x, y, weight) in enumerate(batches):
            hooks.call("on_train_batch_begin", number, {})
            self._train_step(self._batch(x, y, weight))
            hooks.call("on_train_batch_end", number, self._scores.values())
        if number < 0:
            if first:
                raise no_batch()
            warnings.warn("The iterable ran out of batches; training ends. Pass steps_per_epoch.", stacklevel=3)
            self.stop_training = True
        return self._scores.values()

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics over all batches, without dropout.

        Spec: training.evaluate, training.fit.dropout
        """
        data, size = data_of(x, y, sample_weight), rows_of(batch_size)
        bar = ProgressBar(verbosity(verbose), data.steps(size) if steps is None else steps)
        hooks = CallbackList([bar, *listed(callbacks)], self, {"verbose": bar.verbose, "steps": bar.steps})
        self._evaluate(data, size, steps, hooks)
        return self._scores.returned(return_dict)

    def _evaluate(self, data: Data, size: int, steps: int | None, hooks: CallbackList) -> dict[str, float]:
        self._scores.reset()
        hooks.call("on_test_begin", {})
        number = -1
        for number, (x, y, weight) in enumerate(itertools.islice(data.batches(size), steps)):
            hooks.call("on_test_batch_begin", number, {})
            self._test_step(self._batch(x, y, weight))
            hooks.call("on_test_batch_end", number, self._scores.values())
        if number < 0:
            raise no_batch()
        hooks.call("on_test_end", self._scores.values())
        return self._scores.values()

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> np.ndarray:
        """The logits of all samples. It is no generation: with a preprocessor it needs `decoder_text` too.

        Shapes: -> (rows, T, V).
        Spec: training.predict
        """
        hooks = CallbackList(listed(callbacks), self, {"steps": steps})
        hooks.call("on_predict_begin", {})
        outputs = []
        for number, (part, _, _) in enumerate(itertools.islice(data_of(x).batches(rows_of(batch_size)), steps)):
            hooks.call("on_predict_batch_begin", number, {})
            outputs.append(self.predict_on_batch(part))
            hooks.call("on_predict_batch_end", number, {})
        hooks.call("on_predict_end", {})
        if not outputs:
            raise no_batch()
        return np.concatenate(outputs)
