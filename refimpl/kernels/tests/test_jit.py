"""Compiled code on disk is used again, and never when a file that it was made of has changed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from refimpl.kernels import jit

INNER = "from refimpl.kernels.jit import jit\n@jit\ndef inner():\n    return {}\n"
OUTER = """
from refimpl.kernels.inner import inner
from refimpl.kernels.jit import jit
@jit
def outer():
    return 10 * inner()
"""
ASK = """
import json
from refimpl.kernels.outer import outer
found = outer()
print(json.dumps([found, sum(outer.stats.cache_hits.values()) if hasattr(outer, "stats") else None]))
"""


@pytest.fixture
def package(tmp_path):
    """A package of two files that call each other, with the real `jit`; asking it gives the result and cache hits."""
    room = tmp_path / "refimpl" / "kernels"
    room.mkdir(parents=True)
    for name in ("refimpl/__init__.py", "refimpl/kernels/__init__.py"):
        (tmp_path / name).touch()
    shutil.copy(jit.__file__, room / "jit.py")
    (room / "outer.py").write_text(OUTER)

    def ask(number, **settings):
        (room / "inner.py").write_text(INNER.format(number))
        os.utime(room / "inner.py", (1, 1))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")} | settings
        done = subprocess.run(
            [sys.executable, "-c", ASK], cwd=tmp_path, env=environment, check=True, capture_output=True
        )
        return json.loads(done.stdout)

    return ask


@pytest.mark.slow
def test_code_is_kept_until_a_file_or_a_setting_changes(package):
    assert package(3) == [30, 0]
    assert package(3) == [30, 1]
    assert package(4) == [40, 0]  # of the same size and date
    assert package(3) == [30, 1]
    assert package(3, NUMBA_BOUNDSCHECK="1") == [30, 0]


@pytest.mark.slow
def test_no_folder_and_no_compiler_cost_time_alone(package, tmp_path):
    assert package(3, NUMBA_DISABLE_JIT="1") == [30, None]
    (tmp_path / "refimpl" / "kernels" / "__pycache__").touch()  # where a folder would be made
    assert package(5, HOME="/dev/null", XDG_CACHE_HOME="/dev/null") == [50, 0]
    assert package(5, HOME="/dev/null", XDG_CACHE_HOME="/dev/null") == [50, 0]
    assert Path(tmp_path / "refimpl" / "kernels" / "__pycache__").is_file()
