"""The table of changes, and that a mutant by machine is really run."""

import ast
import os
import sys

import pytest

from conformance.cases import read_cases
from conformance.machine_mutants.campaign import judge, report, sample
from conformance.machine_mutants.operators import Change, changed, changes_of

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


@pytest.mark.parametrize(
    ("text", "found"), [("x < 0 -> x <= 0", ""), ("x < 0 -> x > 0", "models.logits#two-layers-ragged")]
)
def test_reports_tell_survivors(text, found):
    change = Change("refimpl.a", 1, 0, "f", text, (1,))
    page = report([("models", change)], {change.id: {"case": found, "unreached": False}})
    assert (f"* `{change.id}`" in page) is not found
    assert ("| models | 1 | 1 |" in page) is bool(found)


def test_a_mutant_is_killed_by_a_case_that_reaches_it():
    place = "refimpl.models.t5.backbone:T5Backbone.feed_forward: ops.multiply"
    change = next(c for _, c in sample(10**6, 15) if c.id.startswith(place))
    read, write = os.pipe()
    if not os.fork():
        for name in [name for name in sys.modules if name.startswith(("refimpl", "conformance.adapters"))]:
            del sys.modules[name]  # the changed module must be read anew
        os.write(write, judge(change, read_cases("models.logits#t5-gated"))[0].encode())
        os._exit(0)
    os.close(write)
    os.wait()
    assert os.read(read, 99) == b"models.logits#t5-gated-ragged"
    os.close(read)
