"""A process that forks while another of its threads is in its first call of `generate`: the child generates as well."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, threading, time
from refimpl.tests.tiny import batch, seq2seq

lm = seq2seq()
lm.preprocessor = None
lm.compile(sampler="greedy")
other = threading.Thread(target=lm.generate, args=(batch(2, 3, 6),), kwargs={"stop_token_ids": None})
other.start()
children = []
for seconds in (0.0, 0.05, 1.0):
    time.sleep(seconds)
    children.append(os.fork())
    if not children[-1]:
        signal.alarm(400)  # ends a child that hangs
        lm.generate(batch(2, 3, 6), stop_token_ids=None)
        os._exit(0)
ends = [os.waitpid(child, 0)[1] for child in children]
other.join()
sys.exit(f"the children ended with {ends}" if any(ends) else 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_process_that_compiles_generates(tmp_path):
    """No kernel is on disk, so that the thread compiles while the process forks."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], check=True, env=environment, timeout=800)


WATCHED = """
import sys, threading
import numpy as np
from numba.core import event
from refimpl.loading import LOADING
from refimpl.tests.tiny import batch, seq2seq

compiled, free = [], []

def try_lock(name):
    if LOADING.acquire(blocking=False):
        LOADING.release()
        free.append(name)

class Watch(event.Listener):
    def on_start(self, e):
        compiled.append(e.data["dispatcher"].py_func.__qualname__)
        other = threading.Thread(target=try_lock, args=(compiled[-1],))
        other.start()
        other.join()

    def on_end(self, e):
        pass

event.register("numba:compile", Watch())
lm = seq2seq()
lm.preprocessor = None
asked = batch(2, 3, 6) | {"decoder_padding_mask": np.arange(6) < np.array([2, 2])[:, None]}
for sampler in ("greedy", "beam", "contrastive", "random", "top_k", "top_p"):
    lm.compile(sampler=sampler)
    lm.generate(asked, stop_token_ids=None)
sys.exit(f"{free} were compiled without the lock" if free or not compiled else 0)
"""


@pytest.mark.slow
def test_whatever_compiles_holds_the_lock(tmp_path):
    """Else a fork at that time leaves Numba's own lock locked in the child."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", WATCHED], check=True, env=environment, timeout=400)
