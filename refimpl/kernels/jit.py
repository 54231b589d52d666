"""Numba's decorator with the settings of this project.

Code is kept on disk by Numba, which looks at a function's own file alone to see whether what it kept is still good. As
functions of several files call each other, the name by which Numba keeps the code of a function ends with a
fingerprint of all these files and of Numba's settings. Where no folder can be written, each process compiles again.
"""

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.extending import register_jitable

F = TypeVar("F", bound=Callable[..., Any])

_ROOMS = Path(__file__).parents[1]
_NOT_CODE = ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS", "NUMBA_DEBUG_CACHE")  # settings that change no code


def _fingerprint() -> str:
    """What compiled code depends on beside Numba and the processor, which Numba looks at itself."""
    files = sorted(path for room in ("autograd", "kernels", "random") for path in (_ROOMS / room).glob("*.py"))
    settings = sorted(f"{k}={v}" for k, v in os.environ.items() if k.startswith("NUMBA_") and k not in _NOT_CODE)
    return f"{zlib.crc32(b''.join(path.read_bytes() for path in files) + repr(settings).encode()):08x}"


_FINGERPRINT = _fingerprint()
_SETTINGS = {"nogil": True, "error_model": "numpy"}


def jit(function: F) -> F:
    """Decorator: compile a function when it is first called. A product and its sum may be rounded once.

    Sums keep the order in which they are written, so that a number has the same bits in vectors and beside them.
    """
    return _compiled(function, {"contract"})


def jit_in_any_order(function: F) -> F:
    """The same, with sums in any order: for one sum that one piece of code takes, as in a dot product."""
    return _compiled(function, {"contract", "reassoc", "nsz"})  # with `nnan`, NaN would be lost


# Decorator of what compiled functions call: compiled with them, under settings of its own. Numba makes no entry from
# Python, which takes long: called from there, the function runs as it stands, and may round otherwise.
jit_inside: Callable[[F], F] = register_jitable(**_SETTINGS, fastmath={"contract"})


def _compiled(function: Any, fastmath: set[str]) -> Any:
    function.__qualname__ += f"-{_FINGERPRINT}"
    try:
        return njit(cache=True, fastmath=fastmath, **_SETTINGS)(function)
    except RuntimeError:  # no folder for the code
        return njit(fastmath=fastmath, **_SETTINGS)(function)
