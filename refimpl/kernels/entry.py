"""A compiled function as Python calls it: its code comes from the disk, where it was kept, or from Numba.

What was kept is loaded by LLVM alone. Importing Numba would take longer than a small model takes to answer, and more
memory than the model.

Spec: kernels.cache, kernels.memory
"""

import ctypes
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

from refimpl.kernels import kept
from refimpl.kernels.kept import Kinds
from refimpl.kernels.release import release_libraries

_FAILED = -1  # what Numba's functions return for an exception; here none is raised


class Entry:
    """A function of one of the modules that need Numba, by name.

    Arguments are whole numbers, floats and arrays in C order; nothing is returned. The GIL is not held.
    """

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name
        self._functions: dict[Kinds, Callable[..., int]] = {}
        self._lock = threading.Lock()

    def __call__(self, *args: Any) -> None:
        """Run it."""
        kinds, flat = _flattened(args)
        function = self._function(kinds)
        nothing, failure = ctypes.c_void_p(), ctypes.c_void_p()
        if function(ctypes.addressof(nothing), ctypes.addressof(failure), *flat) == _FAILED:
            raise RuntimeError(f"the compiled function {self._name} failed")

    def address(self, *kinds: str) -> int:
        """Where its code for arguments of these kinds lies, for compiled functions to call it."""
        return ctypes.cast(self._function(kinds), ctypes.c_void_p).value or 0

    def _function(self, kinds: Kinds) -> Any:
        function = self._functions.get(kinds)
        if function is None:
            with self._lock:  # the first thread compiles, the others wait for it
                function = self._functions.get(kinds) or self._made(kinds)
        return function

    def _made(self, kinds: Kinds) -> Callable[..., int]:
        address = kept.load(self._name, kinds) or self._compiled(kinds)
        release_libraries()
        function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *_c_types(kinds))(address)
        self._functions[kinds] = function
        return function

    def _compiled(self, kinds: Kinds) -> int:
        jit = import_module("refimpl.kernels.legacy_jit")
        function = getattr(import_module(self._module), self._name)
        with _uncollected():
            address, code = jit.compiled(function, kinds)
        kept.keep(self._name, kinds, code)
        return int(address)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage meanwhile: a tenth of compiling would be looking through what it makes and keeps."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _flattened(args: tuple[Any, ...]) -> tuple[Kinds, list[Any]]:
    """The kinds of arguments, and the numbers that Numba's calling convention makes of them.

    An array is two addresses that only Numba's own arrays have, its size, its element's size, the address of its
    numbers, its shape and its strides.
    """
    kinds: list[str] = []
    flat: list[Any] = []
    for arg in args:
        if isinstance(arg, np.ndarray):
            if not arg.flags.c_contiguous:
                raise TypeError(f"an array of shape {arg.shape} is not in C order")
            kinds.append(f"{arg.dtype}{arg.ndim}")
            flat += (0, 0, arg.size, arg.itemsize, arg.ctypes.data, *arg.shape, *arg.strides)
        else:
            kinds.append("float" if isinstance(arg, float) else "int")
            flat.append(arg)
    return tuple(kinds), flat


def _c_types(kinds: Kinds) -> list[Any]:
    """The types of the numbers that `_flattened` gives."""
    found: list[Any] = []
    for kind in kinds:
        if kind in ("int", "float"):
            found.append(ctypes.c_int64 if kind == "int" else ctypes.c_double)
        else:
            found += [ctypes.c_int64] * (5 + 2 * int(kind[-1]))
    return found
