"""The command that asks KerasHub's tests of `refimpl`, on a checkout of two small tests."""

import subprocess
import sys

import pytest

TESTS = """
from keras_hub.src.models.bart.bart_tokenizer import BartTokenizer
from keras_hub.src.tests.test_case import TestCase


class SmallTest(TestCase):
    def test_holds(self):
        self.assertAllEqual([1, 2], BartTokenizer.presets and [1, 2])
        self.assertTrue(BartTokenizer.__module__.startswith("refimpl."))

    def test_holds_not(self):
        self.assertEqual(1, 2)

    def test_all_presets(self):
        self.fail("this is not asked")
"""


@pytest.mark.peers
def test_verdicts_reasons_and_exit_code(tmp_path):
    folder = tmp_path / "keras_hub" / "src" / "models" / "bart"
    folder.mkdir(parents=True)
    (folder / "small_test.py").write_text(TESTS)
    words = [sys.executable, "-m", "conformance.keras_hub_tests", str(tmp_path)]
    whole = subprocess.run(words, check=False, capture_output=True, text=True)
    lines = whole.stdout.splitlines()
    assert lines[0].startswith("not asked SmallTest.test_all_presets: downloads")
    assert "pass      SmallTest.test_holds" in lines
    assert any(line.startswith("fail      SmallTest.test_holds_not: Traceback") for line in lines)
    assert (lines[-1], whole.returncode) == ("1 fail, 1 not asked, 1 pass", 1)
    assert subprocess.run([*words, "--only", "*.test_holds"], check=False, capture_output=True).returncode == 0
