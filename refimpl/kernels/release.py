"""Give back the memory that the code of libraries takes, once weights and kernels are loaded.

Spec: kernels.memory
"""

import ctypes
import sys
from collections.abc import Iterator
from pathlib import Path

_DONTNEED = 4  # Linux's number of this advice
_SMAPS, _MAPS = Path("/proc/self/smaps"), Path("/proc/self/maps")


def release_libraries() -> None:
    """Let go of the code and constants of all libraries, some 70 MB: a loaded kernel needs next to none of it.

    They are as the file has them, so what is used again is read again. Where the system has no such advice, nothing
    happens.

    A library that another thread is loading is first one range that cannot be written, and then gets its data in the
    middle. So only what is still as it was is let go of.
    """
    if sys.platform != "linux":
        return
    try:
        advise, found = ctypes.CDLL(None).madvise, list(unchanged(_SMAPS.read_text()))
        still = {words[0] for line in _MAPS.read_text().splitlines() if "w" not in (words := line.split())[1]}
    except (OSError, AttributeError):
        return
    for first, end in found:
        if f"{first:08x}-{end:08x}" in still:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(end - first), _DONTNEED)


def unchanged(smaps: str) -> Iterator[tuple[int, int]]:
    """First and end of each range of libraries that cannot be written and of which this process has no copy.

    A copy may be in memory, or swapped out: addresses that the loader wrote before it forbade writing, for example.
    """
    bounds: list[int] = []
    for line in smaps.splitlines():
        words = line.split()
        if not words[0].endswith(":"):  # a new range
            ours = "w" not in words[1] and ".so" in words[-1]
            bounds = [int(bound, 16) for bound in words[0].split("-")] if ours else []
        elif words[0] == "Anonymous:" and words[1] != "0":
            bounds = []
        elif bounds and words[0] == "Swap:" and words[1] == "0":
            yield bounds[0], bounds[1]
