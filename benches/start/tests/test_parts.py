"""The parts of a start by themselves: `pytest benches/start/tests/test_parts.py`."""

import subprocess
import sys

import pytest

from refimpl.models import Seq2SeqLM
from refimpl.presets.shipped import shipped_preset

PARTS = {
    "python": "",
    "numpy": "import numpy",
    "refimpl": "import refimpl",
    "numba": "import numba",
    "kernels": "import refimpl.kernels.decoder_steps",
}


@pytest.mark.parametrize("part", PARTS)
def test_imports(benchmark, part):
    """A process that imports this and ends."""
    benchmark.pedantic(subprocess.run, ([sys.executable, "-c", PARTS[part]],), {"check": True}, rounds=5)


def test_loading(benchmark):
    """The preset's weights, tokenizer and preprocessor."""
    benchmark(Seq2SeqLM.from_preset, shipped_preset())


@pytest.mark.parametrize("compiled", [True, False], ids=["kernels", "definition"])
def test_a_word(benchmark, compiled):
    """What is left once all is loaded and compiled."""
    lm = Seq2SeqLM.from_preset(shipped_preset())
    lm.compile(sampler="greedy", jit_compile=compiled)
    benchmark(lm.generate, "elephant")
