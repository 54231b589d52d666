"""Loading takes the memory of the weights and little more, whatever the file looks like."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refimpl.models import BartBackbone

SCRIPT = """
import json, resource, sys
from refimpl.models import Backbone
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
weights = Backbone.from_preset(sys.argv[1], dtype=sys.argv[2]).params
loaded = peak()
total = sum(float(array.sum()) for array in weights.values())  # reads every page
print(json.dumps([sum(a.nbytes for a in weights.values()), loaded - before, peak() - before]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["keras", "sharded", "transformers", "half"])
def test_peak_memory(tmp_path, form):
    dtype = "float16" if form == "half" else "float32"
    model = BartBackbone(
        50265,
        6,
        12,
        768,
        3072,
        dtype=dtype,
        weights_from=lambda m: {w.name: np.zeros(w.shape, dtype) for w in m.layout(m.config)},
    )
    if form == "transformers":
        model.export_to_transformers(tmp_path / "p")
    else:
        model.save_to_preset(tmp_path / "p", max_shard_size=0.17 if form == "sharded" else 10)
    for wanted in ("float32", "float64"):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "p"), wanted]
        env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        held, loaded, touched = json.loads(done.stdout)
        assert held > 500e6
        assert touched < 1.15 * held
        if wanted == "float32" and form == "transformers":
            assert loaded < 0.05 * held, "float32 is mapped, not read, where projections lie by outputs"
