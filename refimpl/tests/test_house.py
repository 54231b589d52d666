"""The rules of the house that a machine can check: sizes, names, and which room may import which."""

import ast
import functools
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for room in ("refimpl", "conformance", "benches") for p in (ROOT / room).rglob("*.py"))
CODE = [p for p in SOURCES if "tests" not in p.parts]
TOP = {"refimpl", "conformance", "golden", "benches", "pyproject.toml", "README.md", "LICENSE"}
FRAMEWORKS = {"tensorflow", "jax", "torch", "keras", "keras_hub", "transformers", "tokenizers"}

# A module may import from its own storey and from those before it.
STOREYS = [
    [
        "refimpl.errors",
        "refimpl.lessons",
        "refimpl.loading",
        "refimpl.random",
        "refimpl.terminal",
        "refimpl.keras_api.inputs",
    ],
    ["refimpl.presets"],
    [
        "refimpl.autograd",
        "refimpl.tokenizers",
        "refimpl.samplers",
        "refimpl.kernels",
        "refimpl.models.config",
        "refimpl.models.weights",
        "refimpl.models.inputs",
    ],
    [
        "refimpl.preprocessing",
        "refimpl.models.activations",
        "refimpl.models.attention",
        "refimpl.models.positions",
        "refimpl.training",
        "refimpl.keras_api",
    ],
    ["refimpl.models.encoder_decoder"],
    ["refimpl.models.backbone"],
    ["refimpl.decoding", "refimpl.explain", "refimpl.models.generate_io"],
    ["refimpl.models"],
    ["refimpl.cli", "refimpl.training.fit_command"],
]

# Lines of code that each room may have, without tests. A change may lower them, and raise one with a reason.
BUDGET = {
    "autograd": 1691, "cli": 382, "decoding": 398, "explain": 731, "keras_api": 405, "kernels": 1496, "lessons": 5,
    "models": 3022, "preprocessing": 842, "presets": 2874, "random": 210, "samplers": 1008, "tokenizers": 1174,
    "training": 3433,
}  # fmt: skip


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def storey(module: str) -> int:
    """The storey of a module: the one with the longest matching prefix."""
    best, found = -1, -1
    for n, names in enumerate(STOREYS):
        for name in names:
            if (module == name or module.startswith(name + ".")) and len(name) > best:
                best, found = len(name), n
    return found


def imports_of(path: Path) -> set[str]:
    """Modules of refimpl that a file imports at its top level."""
    names = set()
    for node in tree(path).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("refimpl")}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_imports_go_down():
    up = set()
    for module, path in ((module_of(path), path) for path in CODE if "refimpl" in path.parts):
        own = storey(module)
        assert own >= 0 or module in ("refimpl", "refimpl.models"), f"{module} stands in no storey: add it to STOREYS"
        if own >= 0:  # the two others only gather names
            up |= {(module, name) for name in imports_of(path) if storey(name) > own}
    assert up == set(), "imports from a storey above"


def test_core_imports_no_framework():
    found = {}
    for path in (path for path in CODE if "refimpl" in path.parts):
        nodes = list(ast.walk(tree(path)))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        found[module_of(path)] = {name.partition(".")[0] for name in names} & FRAMEWORKS
    assert {module: names for module, names in found.items() if names} == {}


def test_files_and_functions_are_small():
    """A file past 300 lines has two subjects."""
    functions = [(path, node) for path in SOURCES for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef)]
    assert [path for path in SOURCES if len(path.read_text(encoding="utf-8").splitlines()) > 300] == []
    assert [(path, node.name) for path, node in functions if node.end_lineno - node.lineno >= 60] == []
    assert {path.stem for path in SOURCES} & {"utils", "helpers", "common", "misc", "base"} == set()
    assert len(SOURCES) > 400


def test_rooms_keep_to_their_budgets():
    lines = dict.fromkeys(BUDGET, 0)
    for parts, path in ((path.relative_to(ROOT).parts, path) for path in CODE):
        if parts[0] == "refimpl" and parts[1] in lines:
            lines[parts[1]] += len(path.read_text(encoding="utf-8").splitlines())
    assert {room: n for room, n in lines.items() if n > BUDGET[room]} == {}


def test_no_architecture_redefines_what_loss_and_kernels_repeat():
    """They call the hooks; an override of what calls the hooks they would not notice."""
    folders = [path for path in CODE if path.parts[-3:-2] == ("models",)]
    named = {node.name for path in folders for node in ast.walk(tree(path))
             if isinstance(node, ast.FunctionDef)}  # fmt: skip
    assert len(folders) > 8
    assert not named & {"logits", "encode", "decode", "cross_keys_values"}


def test_top_level_holds_nothing_else():
    """Of what is kept: a reader's own adapters, pages and lessons may lie beside it."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True, check=False).stdout
    there = {line.partition("/")[0] for line in listed.splitlines()}
    assert {name for name in there if not name.startswith(".")} <= TOP


def test_all_packages_are_in_the_wheel():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    inits = [p for room in ("refimpl", "conformance") for p in (ROOT / room).rglob("__init__.py")]
    packages = {module_of(p) for p in inits if "tests" not in p.parts}
    assert packages | {"refimpl.golden"} == listed
