"""How entry points are compiled: when first called, without the GIL, and kept on disk.

Spec: kernels.cache
"""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core import types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])


def inner(function: Function) -> Function:
    """Compile a function that only compiled code calls.

    Divisions give what IEEE 754 says and raise nothing. No fastmath flag is set, here or anywhere.
    """
    return njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


def instruction(function: Callable[..., tuple[Any, Callable[..., Any]]]) -> Callable[..., Any]:
    """A function that says which LLVM instructions take its place."""
    return intrinsic(function)


def plain(function: Function) -> Function:
    """An `inner` function as Python can call it."""
    return function.py_func  # type: ignore[attr-defined]


@instruction
def once(typing: Any) -> Any:
    """Written into a function: compile it once, not again into each of its callers, and as it is written.

    Loops that matter are vectors already; unrolling the others would only make compilation longer.
    """

    def generate(context: Any, builder: Any, _: Any, __: Any) -> Any:
        for attribute in ("noinline", "optsize"):
            builder.function.attributes.add(attribute)
        return context.get_dummy_value()

    return types.void(), generate


@instruction
def whole(typing: Any, x: Any) -> Any:
    """A constant as any other whole number, so that functions are not compiled again for each constant."""
    return types.int64(types.int64), lambda _, __, ___, args: args[0]


def entry(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls. What it calls in turn is compiled into it.

    The cache lies beside the source, in the user's cache folder if that cannot be written, or where NUMBA_CACHE_DIR
    says. Where none can be written, each process compiles anew.
    """
    try:
        compiled = njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True, cache=True)(function)
    except RuntimeError:  # no folder for the cache
        return njit(nogil=True, error_model="numpy", no_cfunc_wrapper=True)(function)
    _stamp_with_all_sources(compiled)
    _never_fail(compiled)
    return compiled


def _never_fail(compiled: Any) -> None:
    """A full disk or a damaged file costs time only: the function is compiled, as if there were no cache."""
    cache = compiled._cache
    load, save = getattr(cache, "load_overload", None), getattr(cache, "save_overload", None)
    if load is None or save is None:
        return

    def load_if_whole(*given: Any) -> Any:
        try:
            return load(*given)
        except Exception:  # what a damaged pickle raises can be anything
            with suppress(OSError):
                cache.flush()  # the next process finds a whole one
            return None

    def save_if_possible(*given: Any) -> None:
        with suppress(Exception):  # OSError, or what reading the damaged index raises
            save(*given)

    cache.load_overload, cache.save_overload = load_if_whole, save_if_possible


def _stamp_with_all_sources(compiled: Any) -> None:
    """Make the cache stale when any kernel changed: Numba looks at the file of the entry point alone."""
    stats = [path.stat() for path in sorted(Path(__file__).parent.glob("*.py"))]
    file = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if file is not None:
        file._source_stamp = tuple((stat.st_mtime, stat.st_size) for stat in stats)
