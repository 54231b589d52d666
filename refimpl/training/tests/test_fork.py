"""A process that forks while another of its threads is in its first step of training: the child trains as well."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, threading, time
from refimpl.training import twins
from refimpl.training.tests.small import task, tokens

twins._WORTH_COMPILING = 0
lm = task(dropout=0.1)
lm.preprocessor = None
other = threading.Thread(target=lm.train_on_batch, args=tokens())
other.start()
children = []
for seconds in (0.0, 1.0):
    time.sleep(seconds)
    children.append(os.fork())
    if not children[-1]:
        signal.alarm(200)  # ends a child that hangs
        lm.train_on_batch(*tokens())
        os._exit(0)
ends = [os.waitpid(child, 0)[1] for child in children]
other.join()
sys.exit(f"the children ended with {ends}" if any(ends) else 0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_a_process_that_compiles_trains(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", SCRIPT], env=environment, check=True)
