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
        signal.alarm(200)  # ends a child that hangs
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
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], check=True, env=environment, timeout=400)
