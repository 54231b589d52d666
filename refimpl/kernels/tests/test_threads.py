"""Threads, forks and first runs: nothing hangs, nothing crashes, and no bit changes."""

import os
import runpy
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numba.core import caching, config

import refimpl
from refimpl.kernels import barrier, team
from refimpl.models import BartBackbone, BartSeq2SeqLM
from refimpl.tests.tiny import adversarial, batch

SIZES = {"vocabulary_size": 203, "num_layers": 2, "num_heads": 3, "hidden_dim": 75, "intermediate_dim": 130}


@pytest.fixture
def task(monkeypatch):
    """A small model that uses two threads all the same."""
    monkeypatch.setattr(team, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(team, "number_of_threads", lambda: 2)
    lm = BartSeq2SeqLM(adversarial(BartBackbone(**SIZES, max_sequence_length=30)), None)
    lm.compile(sampler="greedy", jit_compile=True)
    return lm


def tokens(task, seed=0):
    return task.generate(batch(5, 7, 20, seed, 203) | {"decoder_padding_mask": PROMPT}, stop_token_ids=None)[
        "decoder_token_ids"
    ]


PROMPT = np.tile(np.arange(20) < 2, (5, 1))


def test_python_threads_may_generate_at_once(task):
    expected = [tokens(task, seed) for seed in range(4)]
    found = [[None] * 4 for _ in range(3)]

    def work(n):
        for seed in range(4):
            found[n][seed] = tokens(task, seed)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert all((a == b).all() for row in found for a, b in zip(row, expected, strict=True))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_between_calls_may_generate(task):
    expected = tokens(task)
    child = os.fork()
    if child == 0:
        os._exit(0 if (tokens(task) == expected).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (tokens(task) == expected).all()


def test_threads_end_with_the_call(task):
    before = threading.active_count()
    for _ in range(3):
        tokens(task)
    for _ in range(100):
        if threading.active_count() <= before:
            return
        time.sleep(0.01)
    raise AssertionError("threads are left over")


def test_an_error_in_one_thread_leaves_no_other_waiting():
    def function(rank, size, sync):
        if rank == 0:
            raise KeyboardInterrupt
        numbers = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_int64 * barrier.SIZE).from_address(sync))
        while not numbers[barrier.STOP]:
            time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        team.Team(2).run(function, 10**9)


@pytest.mark.parametrize("alone_is_faster", [True, False])
def test_one_thread_is_tried_where_cores_are_taken(alone_is_faster):
    """It is kept for a while if it was faster; else it is not tried again for a while."""
    sizes, crowded = [], team.Team(2)

    def function(rank, size, sync):
        if rank == 0:
            sizes.append(size)
            crowded.sync[barrier.LATE] = 9
            time.sleep(0.02 if (size == 1) == alone_is_faster else 0.04)

    for _ in range(24):
        crowded.run(function, 10**9)
    assert sizes == ([2] + [1] * 17 + [2] + [1] * 5 if alone_is_faster else [2, 1] + [2] * 22)


def test_number_of_threads(monkeypatch):
    monkeypatch.setattr(team.config, "NUMBA_NUM_THREADS", 1)
    assert team.number_of_threads() == 1


FIRST = """
import sys
from refimpl.tests.tiny import seq2seq
lm = seq2seq()
lm.compile(sampler="greedy", jit_compile=True)
print(lm.generate("a plane", max_length=9))
"""


def start(path, **environment):
    command = [sys.executable, "-c", FIRST]
    settings = {"PYTHONPATH": str(path), **environment}
    return subprocess.Popen(command, cwd=path, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_first_runs_at_once_and_read_only(tmp_path):
    """Two processes compile at once; then the sources cannot be written and the cache goes to the user's folder."""
    root = Path(refimpl.__file__).parent
    shutil.copytree(root, tmp_path / "refimpl", ignore=shutil.ignore_patterns("__pycache__"))
    cache = tmp_path / "cache"
    both = [start(tmp_path, NUMBA_CACHE_DIR=str(cache)) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0] != ""
    assert list(cache.rglob("*.nbi"))
    once = time.perf_counter()
    assert start(tmp_path, NUMBA_CACHE_DIR=str(cache)).communicate(timeout=300)[0] == outputs[0][0]
    assert time.perf_counter() - once < 20
    kernels = tmp_path / "refimpl" / "kernels"
    kernels.chmod(stat.S_IRUSR | stat.S_IXUSR)
    nowhere = start(tmp_path, HOME=str(tmp_path / "nothing"), XDG_CACHE_HOME="/proc/nothing")
    assert nowhere.communicate(timeout=300)[0] == outputs[0][0]
    kernels.chmod(stat.S_IRWXU)


@pytest.mark.parametrize("damage", ["full disk", "damaged index", "damaged code", "folder is gone"])
def test_a_cache_that_cannot_be_used_costs_time_only(damage, tmp_path, monkeypatch):
    from refimpl.kernels import jit

    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "cache"))
    source = tmp_path / "half.py"
    source.write_text("def half(x):\n    return x / 2\n")
    function = runpy.run_path(str(source))["half"]
    if damage == "full disk":
        monkeypatch.setattr(caching.IndexDataCacheFile, "_open_for_write", refuse_to_write)
    assert jit.entry(function)(8) == 4
    files = {"damaged index": "*.nbi", "damaged code": "*.nbc"}
    found = list((tmp_path / "cache").rglob(files.get(damage, "*.nb?")))
    assert bool(found) == (damage != "full disk")
    for file in found if damage in files else ():
        file.write_bytes(file.read_bytes()[:-40] + b"x" * 20)
    if damage == "folder is gone":
        shutil.rmtree(tmp_path / "cache")
    assert jit.entry(function)(8) == 4
    if damage in files:  # it was mended
        again = jit.entry(function)
        assert again(8) == 4
        assert again.stats.cache_hits


def refuse_to_write(*_):
    raise OSError(28, "No space left on device")


def test_no_folder_for_the_cache_is_no_error(monkeypatch):
    """Numba finds no folder: it compiles for this process alone."""
    from refimpl.kernels import jit

    def refuse(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(jit, "njit", refuse)
    assert jit.entry(max) is max
