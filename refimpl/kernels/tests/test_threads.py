"""Threads and forks: nothing hangs, nothing crashes, and no bit changes."""

import os
import threading
import time

import numpy as np
import pytest

from refimpl.kernels import places, team
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
        numbers = np.ctypeslib.as_array((np.ctypeslib.ctypes.c_int64 * places.SYNC).from_address(sync))
        while not numbers[places.STOP]:
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
            crowded.sync[places.LATE] = 9
            time.sleep(0.02 if (size == 1) == alone_is_faster else 0.04)

    for _ in range(24):
        crowded.run(function, 10**9)
    assert sizes == ([2] + [1] * 17 + [2] + [1] * 5 if alone_is_faster else [2, 1] + [2] * 22)


def test_number_of_threads(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    assert team.number_of_threads() == 1
    monkeypatch.setenv("NUMBA_NUM_THREADS", "many")
    assert team.number_of_threads() >= 1
