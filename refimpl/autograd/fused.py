"""Twins of primitives: the same values and gradients in float32, in fewer passes over memory and on all cores.

This file and the two with kernels may be deleted: only time is lost. A test compares each twin with its definition.

Spec: autograd.twins
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from refimpl.autograd import compiled, compiled_attention
from refimpl.autograd.blas import is_known, one_thread
from refimpl.autograd.cross_entropy import by_chunks, pulled
from refimpl.autograd.masks import threshold
from refimpl.autograd.tape import Pull

Array = np.ndarray
Wants = list[bool]

_SMALL = 20_000  # numbers; less work than this is not worth a second thread
_F = np.float32
_pool: ThreadPoolExecutor | None = None


def _keep_freed_memory() -> None:
    """Let the process keep what it frees, where the C library is glibc.

    A step asks for the same arrays again and again, and to get fresh pages from the system would take longer than to
    compute what goes into them.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: large arrays come from the heap too
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the heap does not shrink


_keep_freed_memory()


def _threads() -> int:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, int(os.environ.get("NUMBA_NUM_THREADS", cpus))))


def _forget_pool() -> None:
    """After a fork: the child has none of its parent's threads."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _share(kernel: Callable[..., None], rows: int, numbers: int, *args: Any) -> None:
    """Run a kernel over all rows, on as many threads as the work is worth."""
    _share_sums(lambda first, end, _: kernel(first, end, *args), rows, numbers, ())


def _share_sums(kernel: Callable[..., None], rows: int, numbers: int, shape: tuple[int, ...], *args: Any) -> Array:
    """The same for a kernel that adds something up over its rows, in an array of its own as last argument."""
    global _pool
    parts = min(_threads(), rows) if numbers > _SMALL else 1
    bounds = [rows * n // parts for n in range(parts + 1)]
    sums = np.zeros((parts, *shape), np.float32)
    if parts > 1 and _pool is None:
        _pool = ThreadPoolExecutor(_threads() - 1, thread_name_prefix="refimpl-autograd")
    waiting = [_pool.submit(kernel, bounds[n], bounds[n + 1], *args, sums[n]) for n in range(1, parts) if _pool]
    kernel(0, bounds[1], *args, sums[0])
    for part in waiting:
        part.result()
    return sums.sum(axis=0)


def _product(x: Array, y: Array) -> Array:
    """`x @ y`, the rows shared out where BLAS keeps to one thread."""
    if not is_known:
        return x @ y
    out = np.empty((x.shape[0], y.shape[1]), x.dtype)

    def part(first: int, end: int) -> None:
        np.matmul(x[first:end], y, out=out[first:end])

    _share(part, len(out), x.size * y.shape[1] // 64)
    return out


def _flat(x: Array) -> Array:
    return np.ascontiguousarray(x).reshape(-1)


def linear(wants: Wants, x: Array, kernel: Array, bias: Array) -> tuple[Array, Pull]:
    """The bias is added on all cores, and its gradient is a matrix product."""
    lead = x.shape[: x.ndim - kernel.ndim + bias.ndim]
    matrix = kernel.reshape(-1, bias.size)
    rows = x.reshape(-1, len(matrix))
    value = _product(rows, matrix)
    _share(compiled.add_bias, len(value), value.size, value, np.ascontiguousarray(bias).reshape(-1))

    def pull(g: Array) -> list[Array | None]:
        g = g.reshape(len(rows), bias.size)
        return [
            _product(g, matrix.T).reshape(x.shape) if wants[0] else None,
            _product(rows.T, g).reshape(kernel.shape) if wants[1] else None,
            (np.ones(len(g), g.dtype) @ g).reshape(bias.shape) if wants[2] else None,
        ]

    return value.reshape(*lead, *bias.shape), pull


def project(wants: Wants, x: Array, kernel: Array) -> tuple[Array, Pull]:
    """The rows are shared out."""
    rows = x.reshape(-1, len(kernel))

    def pull(g: Array) -> list[Array | None]:
        g = g.reshape(len(rows), -1)
        return [
            _product(g, kernel.T).reshape(x.shape) if wants[0] else None,
            _product(rows.T, g) if wants[1] else None,
        ]

    return _product(rows, kernel).reshape(*x.shape[:-1], kernel.shape[1]), pull


def gelu(_wants: Wants, x: Array) -> tuple[Array, Pull]:
    """Value and slope in one pass."""
    return _activation(compiled.gelu, x)


def gelu_tanh(_wants: Wants, x: Array) -> tuple[Array, Pull]:
    """Value and slope in one pass."""
    return _activation(compiled.gelu_tanh, x)


def _activation(kernel: Callable[..., None], x: Array) -> tuple[Array, Pull]:
    """An activation whose kernel gives value and slope."""
    value, slope = np.empty_like(x), np.empty_like(x)
    _share(kernel, x.size, x.size, _flat(x), value.reshape(-1), slope.reshape(-1))

    def pull(g: Array) -> list[Array]:
        # The slope is used once, so that it may become the gradient.
        _share(compiled.multiply, slope.size, slope.size, _flat(g), slope.reshape(-1))
        return [slope]

    return value, pull


def _draws(rate: float, stream: int) -> tuple[Any, ...]:
    return _F(1.0 / (1.0 - rate)), np.uint32(stream & 0xFFFFFFFF), np.uint32(stream >> 32), threshold(rate)


def dropout(_wants: Wants, x: Array, rate: float, stream: int) -> tuple[Array, Pull]:
    """The mask is drawn where it is used."""

    def dropped(y: Array) -> Array:
        out = np.empty(y.shape, y.dtype)
        _share(compiled.dropout, y.size, y.size, _flat(y), out.reshape(-1), *_draws(rate, stream))
        return out

    return dropped(x), lambda g: [dropped(g), None, None]


def layer_norm(wants: Wants, x: Array, gamma: Array, beta: Array, epsilon: float) -> tuple[Array, Pull]:
    """A row is normalized while it is in the cache."""
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    value, normal, scales = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), rows.dtype)
    _share(compiled.layer_norm, len(rows), rows.size, rows, gamma, beta, _F(epsilon), value, normal, scales)

    def pull(g: Array) -> list[Array | None]:
        slope, g = np.empty_like(normal), np.ascontiguousarray(g).reshape(normal.shape)
        shape = (2, len(gamma))
        args = (g, gamma, normal, scales, slope)
        sums = _share_sums(compiled.layer_norm_slope, len(g), g.size, shape, *args)
        return [slope.reshape(x.shape), sums[0] if wants[1] else None, sums[1] if wants[2] else None, None]

    return value.reshape(x.shape), pull


def rms_norm(wants: Wants, x: Array, gain: Array, epsilon: float) -> tuple[Array, Pull]:
    """A row is normalized while it is in the cache."""
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    value, normal, scales = np.empty_like(rows), np.empty_like(rows), np.empty(len(rows), rows.dtype)
    _share(compiled.rms_norm, len(rows), rows.size, rows, gain, _F(epsilon), value, normal, scales)

    def pull(g: Array) -> list[Array | None]:
        slope, g = np.empty_like(normal), np.ascontiguousarray(g).reshape(normal.shape)
        along = _share_sums(compiled.rms_norm_slope, len(g), g.size, gain.shape, g, gain, normal, scales, slope)
        return [slope.reshape(x.shape), along if wants[1] else None, None]

    return value.reshape(x.shape), pull


def attention(
    _wants: Wants, query: Array, key: Array, value: Array, may_attend: Array, rate: float, stream: int
) -> tuple[Array, Pull]:
    """Nothing of the size of the scores but the weights themselves."""
    scale = _F(1.0 / np.sqrt(query.shape[-1]))
    mixed, pull_all = _attention(query, key, value, None, may_attend, scale, rate, stream)
    return mixed, lambda g: [*pull_all(g)[:3], None, None, None]


def relative_attention(
    _wants: Wants, query: Array, key: Array, value: Array, bias: Array | None, may_attend: Array, rate: float,
    stream: int,
) -> tuple[Array, Pull]:  # fmt: skip
    """The same kernels, with a bias in place of the scale."""
    mixed, pull_all = _attention(query, key, value, bias, may_attend, _F(1.0), rate, stream)
    return mixed, lambda g: [*pull_all(g), None, None, None]


def _attention(
    query: Array, key: Array, value: Array, bias: Array | None, may_attend: Array, scale: Any, rate: float, stream: int
) -> tuple[Array, Callable[[Array], list[Array | None]]]:
    """The result, and from its gradient those of query, key, value and bias."""
    q, k, v = (np.ascontiguousarray(x) for x in (query, key, value))
    may = np.ascontiguousarray(may_attend[:, 0]).astype(np.bool_)
    shift = np.zeros((0, 0, 0), np.float32) if bias is None else np.ascontiguousarray(bias)
    weights = np.empty((len(q), q.shape[2], q.shape[1], k.shape[1]), q.dtype)
    mixed = np.empty_like(q)
    work = weights.size * q.shape[-1]
    draws = _draws(rate, stream) if rate else (_F(0.0), np.uint32(0), np.uint32(0), np.uint32(0))
    _share(compiled_attention.attention, len(q), work, q, k, v, may, scale, shift, *draws, weights, mixed)

    def pull(g: Array) -> list[Array | None]:
        slopes = [np.empty_like(x) for x in (q, k, v)]
        args = (q, k, v, scale, *draws, weights, np.ascontiguousarray(g), *slopes)
        summed = _share_sums(compiled_attention.attention_slope, len(q), work, shift.shape, *args)
        return [*slopes, None if bias is None else summed]

    return mixed, pull


def head_loss(
    wants: Wants, x: Array, table: Array, labels: Array, weights: Array, losses: Array, guesses: Array
) -> tuple[Array, Pull]:
    """Two passes over the logits in place of seven."""
    return pulled(*by_chunks(x, table, labels, weights, losses, guesses, wants, _to_slope, _product))


def _to_slope(logits: Array, labels: Array, weights: Array, losses: Array, guesses: Array) -> None:
    """Turn logits into `weight (softmax - [label])` in place. Shapes: (R, V), (R)."""
    logits.argmax(axis=-1, out=guesses)
    _share(compiled.softmax_slope, len(logits), logits.size, logits, labels, weights, guesses, losses)


def adam(weight: Array, gradient: Array, momentum: Array, velocity: Array, numbers: tuple[float, ...]) -> None:
    """One step of Adam, in place. `numbers` are step size, shares of what is new, and epsilon."""
    arrays = [x.reshape(-1) for x in (weight, np.ascontiguousarray(gradient), momentum, velocity)]
    _share(compiled.adam, weight.size, weight.size, *arrays, *(_F(number) for number in numbers))


__all__ = ["TWINS", "adam", "one_thread"]
_TWINS = (
    linear, project, gelu, gelu_tanh, dropout, layer_norm, rms_norm, attention, relative_attention, head_loss,
)  # fmt: skip
TWINS = {f.__name__: f for f in _TWINS}
