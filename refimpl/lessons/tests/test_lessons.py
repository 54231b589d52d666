"""The lessons run from start to end, hold their outputs, and come to the reader unharmed."""

import itertools
import json
import re
import time

import pytest

from refimpl.cli import main
from refimpl.lessons import NOTEBOOKS


def cells(path, kind):
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_in_a_minute(path, tmp_path):
    nbformat = pytest.importorskip("nbformat", reason='pip install ".[lessons]"')
    nbclient = pytest.importorskip("nbclient", reason='pip install ".[lessons]"')
    began = time.perf_counter()
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(nbformat.read(path, 4), kernel_name="python3", resources=resources).execute()
    assert time.perf_counter() - began < 60


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_reads_on_a_page(path):
    code, prose = cells(path, "code"), list(map(source, cells(path, "markdown")))
    assert any(cell["outputs"] for cell in code)
    assert not [o for cell in code for o in cell["outputs"] if o["output_type"] == "error"]
    assert path.stat().st_size < 150_000
    assert sum(map(len, map(str.split, prose))) < 15 * 150  # words in 15 minutes, with time for the code
    headings = re.findall(r"^## (.*)", "\n".join(prose), re.MULTILINE)
    assert headings[-2:] == ["Exercise", "Solution"]
    assert source(code[-2]) == "# your code"
    everything = path.read_text(encoding="utf-8")
    assert not re.search(r"/tmp/|/home/|/root/|site-packages", everything), "a place on the writer's machine"


def test_each_lesson_leads_to_the_next():
    for path, next in itertools.pairwise(NOTEBOOKS):
        assert f"({next.name})" in source(cells(path, "markdown")[-1])


def test_there_are_six():
    assert [path.name[0] for path in NOTEBOOKS] == list("123456")


def test_they_are_copied_and_the_readers_changes_kept(tmp_path, capsys):
    folder = tmp_path / "mine"
    assert main(["lessons", str(folder)]) == 0
    assert "jupyter lab" in capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == [path.name for path in NOTEBOOKS]
    changed = folder / NOTEBOOKS[0].name
    changed.write_text("mine", encoding="utf-8")
    (folder / NOTEBOOKS[1].name).unlink()
    assert main(["lessons", str(folder)]) == 0
    assert changed.read_text(encoding="utf-8") == "mine"
    assert "kept     " in capsys.readouterr().out
    assert (folder / NOTEBOOKS[1].name).read_bytes() == NOTEBOOKS[1].read_bytes()
    assert main(["lessons", str(folder), "--replace"]) == 0
    assert changed.read_bytes() == NOTEBOOKS[0].read_bytes()
