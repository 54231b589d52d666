"""The changes: what a node of the syntax tree may become. A small table over the standard library's `ast`."""

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SWAPPED: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt,), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt,), ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,), ast.Pow: (ast.Mult,), ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,),
    ast.LShift: (ast.RShift,), ast.RShift: (ast.LShift,), ast.And: (ast.Or,), ast.Or: (ast.And,),
}  # fmt: skip
NAMES = {"min": "max", "any": "all", "argmax": "argmin", "maximum": "minimum", "zeros": "ones", "sum": "mean",
         "sqrt": "square", "cos": "sin", "startswith": "endswith", "lstrip": "rstrip", "floor": "ceil",
         "logical_and": "logical_or", "append": "extend", "log": "log1p", "exp": "expm1"}  # fmt: skip
NAMES |= {new: old for old, new in NAMES.items()}
SILENT = (ast.Raise, ast.Import, ast.ImportFrom, ast.Assert)  # texts of errors and the like are not asked for


@dataclass(frozen=True)
class Change:
    """One mutant: the `variant`-th thing that the `node`-th node of the module may become."""

    module: str
    node: int
    variant: int
    scope: str  # the function or class that it stands in
    text: str
    lines: tuple[int, ...]  # of the statement; empty if it runs at import

    @property
    def id(self) -> str:
        """A name that outlives other lines' changes."""
        return f"{self.module}:{self.scope}: {self.text}"


def variants(node: ast.AST, defaults: dict[str, ast.expr]) -> Iterator[ast.AST | None]:
    """What a node may become; None is a statement that is left out. `defaults` are those of configurations' fields."""
    for kinds, rule in RULES:
        if isinstance(node, kinds):
            yield from rule(node)
    if isinstance(node, ast.Attribute) and node.attr in defaults and "config" in ast.unparse(node.value):
        yield defaults[node.attr]


def _of_comparison(node: ast.Compare) -> Iterator[ast.AST]:
    for n, op in enumerate(node.ops):
        for other in SWAPPED.get(type(op), ()):
            yield _with(node, ops=[*node.ops[:n], other(), *node.ops[n + 1 :]])


def _of_operator(node: ast.BinOp | ast.BoolOp) -> Iterator[ast.AST]:
    yield from (_with(node, op=other()) for other in SWAPPED.get(type(node.op), ()))
    if isinstance(node, ast.BoolOp):
        yield from (_with(node, values=node.values[:n] + node.values[n + 1 :]) for n in range(len(node.values)))


def _of_call(node: ast.Call) -> Iterator[ast.AST]:
    yield from (_with(node, keywords=[k for k in node.keywords if k is not left]) for left in node.keywords)
    if len(node.args) > 1:
        yield _with(node, args=node.args[:-1])


def _of_constant(node: ast.Constant) -> Iterator[ast.AST]:
    value: Any = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield from (ast.Constant(value + 1), ast.Constant(value - 1))
    elif isinstance(value, float):
        yield ast.Constant(value * 2 or 1.0)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    """A copy with other fields; a conjunction of one thing is that thing."""
    found = copy.copy(node)
    for name, value in fields.items():
        setattr(found, name, value)
    return found.values[0] if isinstance(found, ast.BoolOp) and len(found.values) == 1 else found


RULES: tuple[tuple[Any, Callable[[Any], Iterable[ast.AST | None]]], ...] = (
    (ast.Compare, _of_comparison),
    ((ast.BinOp, ast.BoolOp), _of_operator),
    (ast.UnaryOp, lambda node: [node.operand] * isinstance(node.op, (ast.Not, ast.USub))),
    (ast.Constant, _of_constant),
    ((ast.If, ast.IfExp, ast.While), lambda node: [_with(node, test=ast.Constant(value)) for value in (True, False)]),
    (ast.Call, _of_call),
    (ast.Slice, lambda node: [_with(node, **{n: None}) for n in ("lower", "upper", "step") if getattr(node, n)]),
    (ast.AugAssign, lambda node: [ast.Assign([node.target], node.value, lineno=node.lineno)]),
    (ast.Expr, lambda node: [None] * isinstance(node.value, ast.Call)),
    (ast.Attribute, lambda node: [_with(node, attr=NAMES[node.attr])] if node.attr in NAMES else []),
    (ast.Name, lambda node: [_with(node, id=NAMES[node.id])] if node.id in NAMES else []),
)


def changes_of(path: Path, module: str, defaults: dict[str, ast.expr]) -> list[Change]:  # noqa: C901
    """Every change of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    numbers = {id(node): number for number, node in enumerate(ast.walk(tree))}
    found: list[Change] = []
    same: Counter[tuple[tuple[str, ...], str]] = Counter()

    def visit(node: ast.AST, scope: tuple[str, ...], lines: tuple[int, ...]) -> None:
        if isinstance(node, SILENT) or (isinstance(node, ast.AnnAssign) and not node.value):
            return
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            inner = (*scope, node.name)
            in_function = isinstance(node, ast.FunctionDef)
            for child in node.body:
                visit(child, inner, (child.lineno,) if in_function else ())
            for child in node.args.defaults + node.args.kw_defaults if in_function else ():
                visit(child, scope, ()) if child else None
            return
        if isinstance(node, ast.stmt) and lines:
            body = getattr(node, "body", None)
            lines = tuple(range(node.lineno, max(node.lineno + 1, body[0].lineno if body else node.end_lineno + 1)))
        for variant, new in enumerate(variants(node, defaults)):
            text = f"{_text(node)} -> {_text(new) if new else 'pass'}"
            same[scope, text] += 1
            text += f" ({same[scope, text]})" * (same[scope, text] > 1)
            found.append(Change(module, numbers[id(node)], variant, ".".join(scope), text, lines))
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and name not in ("annotation", "returns", "decorator_list"):
                    visit(child, scope, lines)

    visit(tree, (), ())
    return found


def _text(node: ast.AST) -> str:
    """The node as a line; of a compound statement only its head."""
    return ast.unparse(node).partition("\n")[0]


def changed(path: Path, change: Change, defaults: dict[str, ast.expr]) -> ast.Module:
    """The file's tree after the change."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    target = list(ast.walk(tree))[change.node]
    new = list(variants(target, defaults))[change.variant]

    class Swap(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            return (new or ast.Pass()) if node is target else self.generic_visit(node)

    return ast.fix_missing_locations(Swap().visit(tree))


def config_defaults(folder: Path) -> dict[str, ast.expr]:
    """The default of each field of the configurations, where it is a constant."""
    place = {"switch": 0, "number": 0, "choice": 1, "size": 1}
    found = {}
    for path in folder.rglob("backbone.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call):
                call, name = node.value, getattr(node.value.func, "id", "")
                given = [k.value for k in call.keywords if k.arg == "default"] or call.args[place.get(name, 9) :][:1]
                if given and isinstance(given[0], ast.Constant):
                    found[node.target.id] = given[0]
    return found
