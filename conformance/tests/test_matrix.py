"""The published matrix: real results, every red cell explained, one page that needs nothing else."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.adapters import KNOWN, expected_file
from conformance.matrix import run
from conformance.matrix.command import read_results
from conformance.matrix.page import findings, page, to_html
from conformance.matrix.run import RESULTS, chosen
from conformance.matrix.subjects import SUBJECTS
from conformance.matrix.table import BEGIN, END, UNEXPLAINED, line, table, write_between_markers


def test_at_least_seven_implementations_have_results_and_each_red_cell_a_reason() -> None:
    results = read_results()
    assert len(results) >= 7
    for found in results:
        assert not [case["id"] for case in found["cases"] if case["verdict"] in UNEXPLAINED], found["slug"]
        assert sum(case["verdict"] == "pass" for case in found["cases"]) >= 20, found["slug"]


def test_the_findings_that_reasons_name_are_written_down() -> None:
    reasons = " ".join(file.read_text("utf-8") for file in (RESULTS.parent / "adapters" / "expected").glob("*.json"))
    assert set(re.findall(r"\(finding ([\w-]+)\)", reasons)) <= set(findings())


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = page(read_results())
    assert not re.search(r"""(src|href)=["'](?!data:)|@import|url\(|fetch\(""", text)
    text = text.partition('id="data">')[2].partition("</script>")[0]
    data = json.loads(text, parse_constant=pytest.fail)  # JSON, and so browsers, know no infinity
    assert all(len(subject["results"]) == len(data["cases"]) for subject in data["subjects"])
    assert {case["clause"] for case in data["cases"]} == {clause["id"] for clause in data["clauses"]}


def test_results_hold_no_path_of_a_machine() -> None:
    for file in RESULTS.iterdir():
        assert not re.search(r"[\"' ](/home|/root|/tmp|/work|/Users)/", file.read_text("utf-8")), file.name


def test_subjects_can_be_asked() -> None:
    assert {s.backend for s in SUBJECTS if s.backend} <= set(KNOWN)
    assert [s.slug for s in chosen(["ctranslate2", "refimpl"])] == ["ctranslate2", "refimpl"]
    assert len(chosen(["all"])) == len(SUBJECTS)
    with pytest.raises(LookupError):
        chosen(["nobody"])


class Asked:
    """Stands in for processes: notes their words, and passes every case that it is asked for."""

    def __init__(self, ids: list[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.ids, self.words, self.broken, self.abilities = ids, list[list[str]](), "", ["core"]
        monkeypatch.setattr(run, "read_cases", self.cases)
        monkeypatch.setattr(run, "RESULTS", folder / "results")
        monkeypatch.setattr(run.subprocess, "run", self.run)

    def cases(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(id=id, chapter=id.partition(".")[0]) for id in self.ids]

    def run(self, command: list[str], **_: Any) -> SimpleNamespace:
        if command[1] == "-c":  # does the interpreter have the module?
            return SimpleNamespace(returncode=0)
        self.words.append(command)
        who = dict.fromkeys(("implementation", "version", "backend"), "it") | {"capabilities": self.abilities}
        more = dict.fromkeys(("error_over_floor", "percentile_99_over_floor"))
        rows = [{"id": id, "verdict": "pass", "seconds": 1, **more, "message": ""} for id in self.ids]
        rows = [row for row in rows if row["id"].startswith(self.only[-1])]
        Path(command[-1]).write_text(json.dumps({"subject": who, "cases": rows}), "utf-8")
        return SimpleNamespace(returncode=-9 if self.only[-1] == self.broken else 0, stderr="no memory")

    @property
    def only(self) -> list[str]:
        return [words[words.index("--only") + 1] for words in self.words]

    def published(self, slug: str) -> list[str]:
        return [case["id"] for case in json.loads((run.RESULTS / f"{slug}.json").read_text("utf-8"))["cases"]]


def test_an_interrupted_asking_goes_on_with_the_chapter_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(["models.a#1", "models.a#2", "training.a#1"], monkeypatch, tmp_path)
    (subject,) = chosen(["mlx"])
    asked.broken = "training."
    assert run.ask(subject, ["python"], tmp_path) == "training is broken (exit code -9): no memory"
    asked.broken = ""
    assert run.ask(subject, ["python"], tmp_path) == "3 cases, 0 not explained"
    assert asked.only == ["models.", "training.", "training."]
    assert asked.published("mlx") == asked.ids
    asked.ids[1] = "models.a#new"  # other cases are asked again
    run.ask(subject, ["python"], tmp_path)
    assert asked.only[3:] == ["models."]


def test_new_cases_alone_are_asked_and_stand_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(["models.a#list-of-one", "models.b#1", "training.a#1"], monkeypatch, tmp_path)
    (subject,) = chosen(["torchtext"])
    assert run.ask(subject, ["theirs"], new=True) == "3 cases, 0 not explained", "who was never asked is asked all"
    asked.ids[:] = ["models.a#list", "models.a#list-of-one", "training.a#1"]  # one came, one is gone
    assert run.ask(subject, ["theirs"], new=True) == "1 cases, 0 not explained"
    assert asked.only[2:] == ["models.a#list"]
    assert asked.words[-1][:6] == [run.sys.executable, "-m", "conformance", "run", "--command",
                                   "theirs conformance/adapters/programs/torchtext_program.py"]  # fmt: skip
    assert asked.published("torchtext") == asked.ids
    asked.ids.pop()
    assert run.ask(subject, ["theirs"], new=True) == "no case is new"
    assert asked.published("torchtext") == asked.ids
    asked.ids.append("training.b#1")
    asked.abilities.append("trace")
    assert run.ask(subject, ["theirs"], new=True).startswith("not written: ask it whole, as it on ")
    assert asked.published("torchtext") == asked.ids[:-1]


def test_whose_known_failures_are_in_a_file_has_it() -> None:
    assert all(expected_file(subject.slug) for subject in SUBJECTS if subject.command)


def test_table_counts_what_was_asked_and_stands_between_markers(tmp_path: Path) -> None:
    verdicts = {
        "models.a#1": "pass",
        "models.a#2": "expected failure",
        "models.b#1": "unsupported",
        "presets.a#1": "fail",
    }
    cases = [{"id": id, "verdict": verdict, "error_over_floor": 0.5} for id, verdict in verdicts.items()]
    results = [{"label": "it", "version": "1.2+cpu", "asked": "2026-11-29", "processor": "P, avx2", "cases": cases}]
    made = table(results)
    assert line([*results, *results]) == "it 1/3 · it 1/3"
    assert made.splitlines()[-1] == "| it 1.2 | 2026-11-29, P, avx2 | 1/2 | 0/1 | 1 | 1 | 0.50 |"
    readme = tmp_path / "README.md"
    assert not write_between_markers(readme, made)
    readme.write_text(f"a\n{BEGIN}\nold \\1\n{END}\nz\n", "utf-8")
    assert write_between_markers(readme, made)
    assert readme.read_text("utf-8") == f"a\n{BEGIN}\n{made}\n{END}\nz\n"


def test_little_markdown() -> None:
    told = to_html("One `a<b`.\n*Observed* two\nlines.\n\n```python\nx < y\n```\n")
    assert told == "<p>One <code>a&lt;b</code>.</p><p><b>Observed</b> two lines.</p><pre>x &lt; y\n</pre>"
