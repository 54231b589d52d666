"""Threads and forks: nothing hangs, nothing crashes, and no bit changes."""

import itertools
import os
import threading
import time

import numpy as np
import pytest
from numba import njit

from refimpl.kernels import thread_pool
from refimpl.models import BartBackbone, BartSeq2SeqLM
from refimpl.tests.tiny import adversarial, batch

SIZES = {"vocabulary_size": 203, "num_layers": 2, "num_heads": 3, "hidden_dim": 75, "intermediate_dim": 130}


@pytest.fixture
def task(monkeypatch):
    """A small model that uses two threads all the same."""
    monkeypatch.setattr(thread_pool, "WORTH_A_THREAD", 1)
    monkeypatch.setattr(thread_pool, "number_of_threads", lambda: 2)
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
    reached = []

    @njit(nogil=True)
    def wait(crew):
        thread_pool.wait(crew)

    def task(crew):
        wait(crew)
        if crew.rank == 0:
            raise KeyboardInterrupt
        wait(crew)
        reached.append(crew.rank)

    pool = thread_pool.ThreadPool(2)
    pool.run(lambda _: None, 0, (wait,))  # the first task is one thread's
    wait(thread_pool.Crew(np.zeros(thread_pool.COUNTERS, np.int64), 1, 0))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pool.run(task, 10**9, (wait,))
    assert reached == [1, 1]


def test_number_of_threads(monkeypatch):
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 1)
    assert thread_pool.number_of_threads() == 1


def test_parts_are_whole_units_and_all_of_them():
    counters = np.zeros(thread_pool.COUNTERS, np.int64)
    for count in (0, 1, 15, 16, 17, 100, 768):
        for size in (1, 2, 3, 7):
            parts = [thread_pool.share(count, 16, thread_pool.Crew(counters, size, rank)) for rank in range(size)]
            assert parts[0][0] == 0
            assert parts[-1][1] == count
            assert all(one[1] == two[0] and one[1] % 16 == 0 for one, two in itertools.pairwise(parts))
