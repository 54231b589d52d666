"""What a run writes can be read by those for whom it is written."""

import json
from pathlib import Path

import numpy as np
import pytest

from conformance.commands.report import write_html, write_json
from conformance.suite.cases import read_cases
from conformance.suite.runner import Verdict


def test_an_error_without_a_size_is_written_as_json_that_browsers_read(tmp_path: Path) -> None:
    case = read_cases("tokenizers.vocabulary.look-up#ids-are-the-presets")[0]
    verdicts = [Verdict(case, "fail", "another shape", np.inf, ratio_99=np.nan)]
    write_json(tmp_path / "r.json", {}, verdicts)
    write_html(tmp_path / "r.html", {}, verdicts, "")
    page = (tmp_path / "r.html").read_text("utf-8").partition('id="data">')[2].partition("</script>")[0]
    for text in ((tmp_path / "r.json").read_text("utf-8"), page):
        assert "another shape" in json.dumps(json.loads(text, parse_constant=pytest.fail))  # no Infinity, no NaN
