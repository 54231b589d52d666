"""One thread for NumPy's BLAS while a step of training shares out its work itself.

BLAS's own threads wait for each other at every product, spinning; beside other work on the machine that costs more than
it brings. Where the library can't be found it keeps its threads, and products are left to it.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


def _found() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How to ask and to say the number of threads of the OpenBLAS that NumPy's wheels bring along."""
    place = Path(np.__file__).parent
    for folder in (place.with_name("numpy.libs"), place / ".dylibs"):
        for file in sorted(folder.glob("*openblas*")):
            try:
                library = ctypes.CDLL(str(file))
                return library.scipy_openblas_get_num_threads64_, library.scipy_openblas_set_num_threads64_
            except (OSError, AttributeError):
                continue
    return None


_functions = _found()
_lock = threading.Lock()
_inside = _before = 0
is_known = _functions is not None


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS has one thread in the block, and as many as before when the last such block ends."""
    global _inside, _before
    if _functions is None:
        yield
        return
    ask, say = _functions
    with _lock:
        _inside += 1
        if _inside == 1:
            _before = ask()
            say(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                say(_before)
