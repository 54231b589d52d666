"""Give back the memory that the code of libraries takes, once weights and kernels are loaded.

Spec: kernels.memory
"""

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

_DONTNEED = 4  # Linux's number of this advice
_SMAPS = Path("/proc/self/smaps")


def release_libraries() -> None:
    """Let go of the code and constants of all libraries, some 70 MB: a loaded kernel needs next to none of it.

    They are as the file has them, so what is used again is read again. Where the system has no such advice, nothing
    happens.
    """
    if sys.platform != "linux":
        return
    try:
        advise, text = ctypes.CDLL(None).madvise, _SMAPS.read_text()
    except (OSError, AttributeError):
        return
    for first, end in unchanged(text):
        advise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _DONTNEED)


def unchanged(smaps: str) -> Iterator[tuple[int, int]]:
    """First and end of each range of libraries that cannot be written and of which this process has no copy."""
    bounds: list[int] = []
    for line in smaps.splitlines():
        words = line.split()
        if not words[0].endswith(":"):  # a new range
            ours = "w" not in words[1] and ".so" in words[-1]
            bounds = [int(bound, 16) for bound in words[0].split("-")] if ours else []
        elif bounds and words[0] == "Anonymous:" and words[1] == "0":
            yield bounds[0], bounds[1]
