"""Whatever is damaged in a preset: no crash, no hang, bounded memory, and a named error or a usable model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(first, count):
    command = [sys.executable, "-W", "ignore", "-m", "refimpl.presets.tests.corruption", str(first), str(count)]
    done = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    bad = [line for line in done.stdout.splitlines() if not line.startswith(("seed", "endings"))]
    assert not bad, "\n".join(bad)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1].removeprefix("endings "))


@pytest.mark.slow
def test_damaged_presets():
    endings = run(0, 40)
    assert sum(endings.values()) == 40
    assert len(endings) > 5, "the damage is of many kinds"


@pytest.mark.slow
def test_many_damaged_presets():
    assert sum(run(40, 2000).values()) == 2000
