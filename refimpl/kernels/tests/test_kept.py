"""Code on disk: first runs at once, folders that cannot be written, damaged files and other machines."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import refimpl
from refimpl.kernels import kept
from refimpl.kernels import legacy_jit as jit
from refimpl.kernels.entry import Entry

NUMBERS = np.arange(6.0, dtype=np.float32).reshape(2, 3) / 16


def bounds(entry):
    """Random numbers: which bits they are depends on all that is compiled."""
    found = np.empty_like(NUMBERS)
    entry(np.array([1, 2], np.uint32), np.arange(2), NUMBERS, np.empty(3, np.uint32), found)
    return found


@pytest.fixture
def compilations(monkeypatch, tmp_path):
    """A folder for code of its own, and the functions that are compiled."""
    names = []
    compiled = jit.compiled
    monkeypatch.setattr(jit, "compiled", lambda function, kinds: names.append(kinds) or compiled(function, kinds))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    return names


def new():
    return Entry("refimpl.kernels.noise", "bounds")


def files(tmp_path):
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_code_is_kept_and_loaded(compilations, tmp_path):
    expected = bounds(new())
    assert len(compilations) == len(files(tmp_path)) == 1
    assert (bounds(new()) == expected).all()
    assert len(compilations) == 1


def test_threads_wait_for_one_compilation(compilations):
    entry, found = new(), []
    workers = [threading.Thread(target=lambda: found.append(bounds(entry))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(compilations) == 1
    assert len(found) == 4
    assert all((numbers == found[0]).all() for numbers in found)


@pytest.mark.parametrize("damage", ["cut", "changed", "no head", "empty", "gone"])
def test_what_is_damaged_is_compiled_and_kept_anew(damage, compilations, tmp_path):
    expected = bounds(new())
    (file,) = files(tmp_path)
    data = file.read_bytes()
    changed = data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]
    file.write_bytes({"cut": data[:-40], "changed": changed, "no head": data[9:]}.get(damage, b""))
    if damage == "gone":
        shutil.rmtree(tmp_path / "cache")
    for _ in range(2):
        assert (bounds(new()) == expected).all()
    assert len(compilations) == 2
    assert files(tmp_path) == [file]


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (kept.llvm, "get_host_cpu_name", lambda: "another"),
        (kept, "_FOLDER", Path(kept.__file__).parents[1] / "samplers"),
    ],
    ids=["processor", "sources"],
)
def test_code_of_another_processor_or_source_is_not_loaded(owner, name, value, compilations, monkeypatch):
    bounds(new())
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, value)
        bounds(new())
    assert len(compilations) == 2


def test_settings_of_the_compiler_are_part_of_the_code(compilations, monkeypatch):
    bounds(new())
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    bounds(new())
    assert len(compilations) == 1
    monkeypatch.setenv("NUMBA_OPT", "1")
    bounds(new())
    assert len(compilations) == 2


def test_a_name_that_this_process_lacks_is_not_called(compilations, monkeypatch, tmp_path):
    """Its code would be loaded, and end the process when it runs."""
    bounds(new())
    (file,) = files(tmp_path)
    file.write_bytes(file.read_bytes().replace(b'"outside": [', b'"outside": ["no_such_function_anywhere", ', 1))
    bounds(new())
    assert len(compilations) == 2


def test_a_full_disk_costs_time_only(compilations, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept.os, "fdopen", refuse)
    bounds(new())
    assert not files(tmp_path), "nothing is left over"


def test_arrays_must_be_in_c_order():
    with pytest.raises(TypeError, match="C order"):
        new()(NUMBERS.T)


FIRST = """
import sys
from refimpl.tests.tiny import seq2seq
lm = seq2seq()
lm.compile(sampler="greedy", jit_compile=True)
print(lm.generate("a plane", max_length=9), "numba" in sys.modules)
"""


def start(path, **environment):
    command = [sys.executable, "-c", FIRST]
    settings = {"PYTHONPATH": str(path), **environment}
    return subprocess.Popen(command, cwd=path, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_first_runs_at_once_and_where_nothing_can_be_written(tmp_path):
    """Two processes compile at once, a third loads; then no folder can be written, not even by root."""
    root = Path(refimpl.__file__).parent
    shutil.copytree(root, tmp_path / "refimpl", ignore=shutil.ignore_patterns("__pycache__"))
    kernels, file = tmp_path / "refimpl" / "kernels", tmp_path / "file"
    both = [start(tmp_path, HOME=str(file)) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    text = outputs[0][0].removesuffix("True\n")
    assert outputs[0][0] == outputs[1][0] == f"{text}True\n"
    assert len(list(kernels.rglob("*.code"))) == 1
    once = time.perf_counter()
    assert start(tmp_path).communicate(timeout=300)[0] == f"{text}False\n"
    assert time.perf_counter() - once < 20
    shutil.rmtree(kernels / "__pycache__")
    (kernels / "__pycache__").touch()  # a plain file: no folder of that name can be made
    file.touch()
    nowhere = start(tmp_path, HOME=str(file), XDG_CACHE_HOME=str(file / "cache"))
    assert nowhere.communicate(timeout=300) == (f"{text}True\n", "")
    assert not list(tmp_path.rglob("*.code"))
    chosen = start(tmp_path, NUMBA_CACHE_DIR=str(file / "cache"))
    assert chosen.communicate(timeout=300) == (f"{text}True\n", "")
    at_home = start(tmp_path, XDG_CACHE_HOME=str(tmp_path / "home"))
    assert at_home.communicate(timeout=300) == (f"{text}True\n", "")
    assert len(list((tmp_path / "home").rglob("*.code"))) == 1
    assert start(tmp_path, XDG_CACHE_HOME=str(tmp_path / "home")).communicate(timeout=300) == (f"{text}False\n", "")
