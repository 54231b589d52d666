"""The compiler's code leaves memory and comes back when it is called."""

import sys
from pathlib import Path

import pytest
from numba import njit

from refimpl.kernels.release import release_libraries, unchanged


def resident_code():
    """Kilobytes of LLVM's code in this process's memory."""
    found, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            ours = "llvmlite" in line and words[1][1] == "-"
        elif ours and words[0] == "Rss:":
            found += int(words[1])
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such advice")
def test_code_that_was_let_go_of_is_read_again():
    njit(lambda x: x + 1)(1)
    before = resident_code()
    release_libraries()
    assert resident_code() < before / 3
    assert njit(lambda x: x + 2)(1) == 3


def test_what_was_changed_or_can_be_written_is_kept():
    ranges = (
        ("1000-2000 r-xp 0 fe:00 1 /a/libllvmlite.so", 0),
        ("2000-3000 r--p 0 fe:00 1 /a/libllvmlite.so", 4),
        ("3000-4000 rw-p 0 fe:00 1 /a/libllvmlite.so", 0),
        ("4000-5000 r--p 0 fe:00 1 /a/model.weights.h5", 0),
        ("5000-6000 r--p 0 fe:00 1 /a/libllvmlite.so", 0),
        ("6000-7000 rw-p 0 00:00 0", 0),
    )
    text = "".join(f"{head}\nRss: 8 kB\nAnonymous: {dirty} kB\nVmFlags: rd\n" for head, dirty in ranges)
    assert list(unchanged(text)) == [(0x1000, 0x2000), (0x5000, 0x6000)]
