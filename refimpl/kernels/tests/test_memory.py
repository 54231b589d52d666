"""Generating takes the memory of the weights and little more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refimpl.models import BartBackbone, BartSeq2SeqLM

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
import refimpl
task = refimpl.models.BartSeq2SeqLM.from_preset(sys.argv[1], preprocessor=None)
rows, beams = int(sys.argv[2]), int(sys.argv[3])
task.compile(sampler=refimpl.samplers.BeamSampler(beams) if beams > 1 else "greedy")
ids = np.arange(rows * 64).reshape(rows, 64) + 4
prompt = np.ones((rows, 66), int)
mask = np.tile(np.arange(66) < 2, (rows, 1))
batch = {"encoder_token_ids": ids, "encoder_padding_mask": ids > 0, "decoder_token_ids": prompt}
for _ in range(2):
    task.generate(batch | {"decoder_padding_mask": mask}, stop_token_ids=None)
peak = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")][0].split()[1]
weights = sum(weight.nbytes for weight in task.backbone.params.values())
print(json.dumps([int(peak) * 1024 / weights, "numba" in sys.modules]))
"""


def drawn(model):
    rng = np.random.default_rng(0)
    rows = model.layout(model.config)
    return {w.name: rng.standard_normal(w.shape, np.float32) * np.float32(0.02) for w in rows}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the peak")
def test_peak_memory_of_a_process_that_finds_its_kernels(tmp_path):
    """BART-base's sizes: at batch 1, batch 8, and with five beams."""
    model = BartBackbone(50265, 6, 12, 768, 3072, weights_from=drawn)
    BartSeq2SeqLM(model, None).save_to_preset(tmp_path / "p")
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3]), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    found = []
    for rows, beams in ((1, 1), (1, 1), (8, 1), (1, 5)):
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "p"), str(rows), str(beams)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr
        found.append(json.loads(done.stdout))
    assert [imported for _, imported in found] == [True, False, False, False]
    assert max(peak for peak, _ in found[1:]) < 1.2, found
