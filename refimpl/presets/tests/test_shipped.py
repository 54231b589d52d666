"""Where the presets that come with the project are looked for."""

import tomllib
from pathlib import Path

import pytest

from refimpl.errors import PresetFileNotFoundError
from refimpl.presets import shipped

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("golden", ["refimpl/golden", "golden"], ids=["installed", "checkout"])
def test_a_shipped_preset_is_found(golden, tmp_path, monkeypatch):
    preset = tmp_path / golden / "presets" / "small"
    preset.mkdir(parents=True)
    (preset / "config.json").write_text("{}")
    monkeypatch.setattr(shipped, "__file__", str(tmp_path / "refimpl" / "presets" / "shipped.py"))
    assert shipped.shipped_preset("small") == preset


def test_the_wheel_carries_golden_where_it_is_looked_for():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert tools["package-dir"]["refimpl.golden"] == "golden"


def test_a_preset_that_is_not_there_is_named():
    with pytest.raises(PresetFileNotFoundError, match=r"no_such.*--preset"):
        shipped.shipped_preset("no_such")
