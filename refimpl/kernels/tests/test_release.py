"""The compiler's code leaves memory and comes back when it is called."""

import ctypes
import mmap
import sys
from pathlib import Path

import pytest
from numba import njit

from refimpl.kernels import release
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
        ("1000-2000 r-xp 0 fe:00 1 /a/libllvmlite.so", 0, 0),
        ("2000-3000 r--p 0 fe:00 1 /a/libllvmlite.so", 4, 0),
        ("3000-4000 rw-p 0 fe:00 1 /a/libllvmlite.so", 0, 0),
        ("4000-5000 r--p 0 fe:00 1 /a/model.weights.h5", 0, 0),
        ("5000-6000 r--p 0 fe:00 1 /a/libllvmlite.so", 0, 0),
        ("6000-7000 rw-p 0 00:00 0", 0, 0),
        ("7000-8000 r--p 0 fe:00 1 /a/libllvmlite.so", 0, 4),
    )
    assert list(unchanged("".join(described(*given) for given in ranges))) == [(0x1000, 0x2000), (0x5000, 0x6000)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such advice")
def test_a_library_that_is_being_loaded_is_kept(tmp_path, monkeypatch):
    """At first it is one range; then its data, which can be written, comes into it."""
    with mmap.mmap(-1, 4 * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE) as data:
        data.write(b"x" * len(data))
        first = ctypes.addressof(ctypes.c_char.from_buffer(data))
        last, middle = first + len(data), first + mmap.PAGESIZE
        about = "0 fe:00 1 /a/libtorch.so"
        maps, smaps = tmp_path / "maps", tmp_path / "smaps"
        smaps.write_text(described(f"{first:x}-{last:x} r--p {about}", 0, 0))
        maps.write_text(f"{first:x}-{middle:x} r--p {about}\n{middle:x}-{last:x} rw-p {about}\n")
        for name, file in (("_SMAPS", smaps), ("_MAPS", maps)):
            monkeypatch.setattr(release, name, file, raising=False)
        release_libraries()
        assert ctypes.string_at(first, len(data)) == b"x" * len(data)


def described(head, copied, swapped):
    """A range as the system describes it."""
    return f"{head}\nRss: 8 kB\nAnonymous: {copied} kB\nSwap: {swapped} kB\nVmFlags: rd\n"
