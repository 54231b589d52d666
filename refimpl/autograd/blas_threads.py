"""How many threads NumPy's matrix products take."""

import ctypes
import os

import numpy as np

_WORTH_THREADS = 20_000_000  # parameters; below it threads wait for each other longer than they compute
_CHOSEN_BY_USER = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "GOTO_NUM_THREADS")
_NAMES = ("scipy_openblas_set_num_threads64_", "openblas_set_num_threads64_", "openblas_set_num_threads")


def spare_threads(parameters: int) -> bool:
    """One thread for a small model, in a process that is ours alone (a command); whether anything was changed.

    On a busy machine OpenBLAS' threads wait for each other at every small product: a command took nine times as long.
    What the user has set in the environment stays, and so does a library without such a switch.

    Spec: cli.threads
    """
    if parameters >= _WORTH_THREADS or any(name in os.environ for name in _CHOSEN_BY_USER):
        return False
    core = getattr(np, "_core", None)
    try:
        # A symbol of the library that NumPy is linked to is found through NumPy's own.
        library = ctypes.CDLL(core._multiarray_umath.__file__)  # type: ignore[union-attr]
        set_threads = next(found for name in _NAMES if (found := getattr(library, name, None)) is not None)
    except (AttributeError, OSError, StopIteration):
        return False
    set_threads(ctypes.c_int(1))
    return True
