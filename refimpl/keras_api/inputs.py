"""What other libraries hold, as plain Python and NumPy. None is imported: their things are known by their methods."""

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """A table of pandas as a dictionary of lists, a column as a list, a tensor as what it holds; others as they are.

    Spec: generate.input.frames
    """
    if hasattr(value, "iloc"):
        return {str(name): value[name].tolist() for name in value} if hasattr(value, "columns") else value.tolist()
    to_numpy = getattr(value, "numpy", None)
    if not callable(to_numpy) or isinstance(value, (np.ndarray, Mapping)):
        return value
    held = to_numpy()
    return held.item() if isinstance(held, np.ndarray) and held.ndim == 0 else held


def on_tensors(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method on texts that also takes tensors; in `tf.data`'s `map` it runs inside `tf.numpy_function`.

    Where there are TensorFlow's symbols, TensorFlow is imported already.

    Spec: preprocessing.input.tensors
    """

    @functools.wraps(method)
    def taking(self: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        x = plain(x)
        keys = list(x) if isinstance(x, Mapping) else None
        leaves = [x] if keys is None else [plain(x[key]) for key in keys]

        def call(*texts: Any) -> Any:
            return method(self, texts[0] if keys is None else dict(zip(keys, texts, strict=True)), *args, **kwargs)

        tf = sys.modules.get("tensorflow")
        is_symbol = getattr(tf, "is_symbolic_tensor", lambda _: False)
        return _mapped(tf, call, leaves) if any(map(is_symbol, leaves)) else call(*leaves)

    return taking


def _mapped(tf: Any, call: Callable[..., Any], leaves: list[Any]) -> Any:
    """`call` as a node of TensorFlow's graph. What it gives for two other inputs tells the types and known sizes."""
    small, large = (call(*(_example(leaf, leaf.dtype == tf.string, n) for leaf in leaves)) for n in (0, 3))
    if isinstance(small, list):  # rows of their own lengths

        def sized(*texts: Any) -> tuple[np.ndarray, np.ndarray]:
            rows = call(*texts)
            return np.array([id for row in rows for id in row], np.int32), np.array([len(row) for row in rows])

        values, lengths = tf.numpy_function(sized, leaves, [tf.int32, tf.int64])
        return tf.RaggedTensor.from_row_lengths(tf.reshape(values, [-1]), tf.reshape(lengths, [-1]))
    parts = tf.nest.flatten(small)
    outputs = tf.numpy_function(lambda *texts: tf.nest.flatten(call(*texts)), leaves, [part.dtype for part in parts])
    for output, one, other in zip(outputs, parts, tf.nest.flatten(large), strict=True):
        output.set_shape([n if n == m else None for n, m in zip(one.shape, other.shape, strict=True)])
    return tf.nest.pack_sequence_as(small, outputs)


def _example(leaf: Any, is_text: bool, n: int) -> Any:
    """Texts or recordings of a symbol's rank, whose number and lengths grow with `n`."""
    rank = leaf.shape.rank
    if is_text:
        return [b"a b"[:n]] * (1 + n) if rank else b"a b"[:n]
    return np.ones(((1 + n) if rank > 1 else 2000 + n, 2000 + n, 1)[:rank], np.float32)
