"""The table of changes, and that a mutant by machine is really run."""

import ast
import os
import sys

import pytest

from conformance.machine_mutants.campaign import judge, report, sample
from conformance.machine_mutants.operators import Change, changed, changes_of
from conformance.machine_mutants.reach import functions_at
from conformance.suite.cases import read_cases

T5_TEST = "refimpl/models/tests/test_t5.py::test_a_source_without_any_token_gives_finite_logits_and_moves_no_other_row"
CODE = """
def f(x, config, *, late=False):
    if x < 3 and not late:
        return g(x, config.dropout, out=x)[1:]
    raise ValueError(1 + 1)
"""


def test_changes_of_a_function(tmp_path):
    path = tmp_path / "code.py"
    path.write_text(CODE)
    defaults = {"dropout": ast.Constant(0.25)}
    changes = changes_of(path, "code", defaults)
    texts = {change.text for change in changes}
    for wanted in ("x < 3 -> x <= 3", "not late -> late", "x < 3 and (not late) -> x < 3", "config.dropout -> 0.25",
                   "g(x, config.dropout, out=x) -> g(x, config.dropout)", "1: -> :", "False -> True"):  # fmt: skip
        assert wanted in texts
    assert not any("1 + 1" in text for text in texts), "texts of errors are left alone"
    assert len({change.id for change in changes}) == len(changes)
    for change in changes:
        assert ast.unparse(changed(path, change, defaults)) != ast.unparse(ast.parse(CODE))
    assert {change.lines for change in changes if change.text == "False -> True"} == {()}, "a default runs at import"


def test_a_larger_sample_holds_the_smaller_one():
    assert sample(30, 1)[:10] == sample(10, 1) != sample(10, 2)


def test_a_line_belongs_to_its_functions(tmp_path):
    path = tmp_path / "code.py"
    path.write_text("def f(x):\n    y = [i for i in x]\n    def g():\n        return y\n    return g\n")
    assert {line: sorted(firsts) for line, firsts in functions_at(path).items()} == {
        1: [1],
        2: [1, 2],
        3: [1, 3],
        4: [3],
        5: [1],
    }


@pytest.mark.parametrize(
    ("text", "found"), [("x < 0 -> x <= 0", ""), ("x < 0 -> x > 0", "models.logits#two-layers-ragged")]
)
def test_reports_tell_survivors(text, found):
    change = Change("refimpl.a", 1, 0, "f", text, (1,))
    page = report([("models", change)], {change.id: {"case": found, "unreached": False}})
    assert (f"* `{change.id}`" in page) is not found
    assert ("| models | 1 | 1 |" in page) is bool(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cases", "tests", "killer"),
    [("models.logits#t5-gated", [], "models.logits#t5-gated-ragged"), ("nothing", [T5_TEST], T5_TEST)],
)
def test_a_mutant_is_killed_by_what_reaches_it(cases, tests, killer):
    place = "refimpl.models.t5.backbone:T5Backbone.feed_forward: ops.multiply"
    change = next(c for _, c in sample(10**6, 15) if c.id.startswith(place))
    read, write = os.pipe()
    if not os.fork():
        for name in [name for name in sys.modules if name.startswith(("refimpl", "conformance.adapters"))]:
            del sys.modules[name]  # the changed module must be read anew
        os.write(write, judge(change, read_cases(cases), tests)[0].encode())
        os._exit(0)
    os.close(write)
    os.wait()
    assert os.read(read, 999).decode() == killer
    os.close(read)
