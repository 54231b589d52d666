"""The pages of the spec are in their form, and every case has a clause."""

import numpy as np
import pytest

from conformance.commands.trace import citations
from conformance.make import recipe
from conformance.suite.cases import GOLDEN, read_cases
from conformance.suite.clauses import SPEC, SpecError, read_clauses
from conformance.suite.divergences import read_divergences


def test_every_case_has_a_clause():
    assert {case.clause for case in read_cases()} <= set(read_clauses())


def test_divergences_name_cases_that_exist():
    known = {case.id for case in read_cases()}
    for entry in read_divergences():
        assert set(entry.cases) <= known, entry.name
        compile(entry.snippet, entry.name, "exec")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("### tokenizers.A.b\nX.\n\n*Why* w\n*Source* s\n*Status* required\n", "no clause id"),
        ("### models.a.b\nX.\n\n*Why* w\n*Source* s\n*Status* required\n", "this chapter"),
        ("### tokenizers.a.b\nX.\n\n*Why* w\n*Status* required\n", "lacks Source"),
        ("### tokenizers.a.b\nX.\n\n*Why* w\n*Source* s\n*Status* maybe\n", "status"),
        ("### tokenizers.a.b\nX.\n\n*Why* w\n*Source* s\n*Status* required\n" * 2, "twice"),
    ],
)
def test_bad_pages_are_named(tmp_path, text, problem):
    (tmp_path / "tokenizers.md").write_text(text)
    with pytest.raises(SpecError, match=problem):
        read_clauses(tmp_path)


def test_citations_are_found():
    found = citations()
    assert "refimpl/decoding/stop.py" in found["generate.stop.types"]
    assert "refimpl/errors.py" not in found.get("generate.stop.types", [])


def test_goldens_stay_small():
    sizes = {path: path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()}
    trained = [path for path in sizes if "_g2p" in str(path) or "_digits" in str(path)]
    assert sum(sizes[path] for path in sizes if path not in trained) < 7_700_000  # four architectures, their tensors
    assert sum(sizes[path] for path in trained if "_digits" in str(path)) < 4_000_000


def test_recipe_is_the_one_that_is_written_down():
    """The numbers of golden/README.md, computed with plain Python integers."""

    def value(number, i):
        u = (i * 2654435761 + number * 2246822519 + 374761393) % 2**32
        u = ((u ^ (u >> 15)) * 2246822519) % 2**32
        u = ((u ^ (u >> 13)) * 3266489917) % 2**32
        return ((u ^ (u >> 16)) >> 8) / 2**23 - 1

    assert recipe.noise(5, (2, 3)).ravel().tolist() == [value(5, i) for i in range(6)]
    assert np.abs(recipe.noise(0, (1000,)).mean()) < 0.1
    assert str(value(5, 3)) in (GOLDEN / "README.md").read_text(encoding="utf-8")
    assert SPEC.name == "spec"
