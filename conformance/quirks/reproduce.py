"""Runs the reproductions of spec/divergences.md and compares what they print with what stands under them.

    KERAS_BACKEND=jax python -m conformance divergences --reproduce

Under each snippet stands its output, one block for each backend that has it. A line that differs means that KerasHub
has been mended, or that the entry was never right. `python -m conformance.quirks.reproduce --write` writes the blocks.
"""

import contextlib
import importlib
import io
import os
import re
import sys
import warnings

from conformance.suite.divergences import PAGE, Divergence, read_divergences

_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_CLOSE = 2e-3


def output_of(entry: Divergence) -> str:
    """What a snippet prints; an error that it does not catch is its last line."""
    printed = io.StringIO()
    code = compile(entry.snippet, entry.name, "exec")
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(code, {"__name__": entry.name})
        except Exception as error:
            print(f"{type(error).__name__}: {' '.join(str(error).split())[:120]}")
    return re.sub(r"/[^ ']*tmp[^ ']*", "/tmp/...", printed.getvalue()).strip()


def alike(one: str, other: str) -> bool:
    """Whether two outputs are equal, numbers with a fraction within a few thousandths."""
    if _NUMBER.sub("0.0", one).split() != _NUMBER.sub("0.0", other).split():
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(abs(float(a) - float(b)) <= _CLOSE * max(1.0, abs(float(b))) for a, b in pairs)


def backend() -> str:
    """The backend that KerasHub runs on here."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return str(importlib.import_module("keras").backend.backend())


def main(write: bool = False) -> int:
    """Run the snippets that claim something for this backend; 1 if one prints something else."""
    here, wrong, page = backend(), 0, PAGE.read_text(encoding="utf-8")
    for entry in read_divergences():
        fixed = re.search(r'KERAS_BACKEND"\] = "(\w+)"', entry.snippet)
        if (here not in entry.printed and not write) or (fixed and fixed[1] != here):
            continue
        found = output_of(entry)
        same = alike(found, entry.printed.get(here, ""))
        wrong += not same
        print(f"{entry.name}: {'as claimed' if same else 'prints something else'}")
        if not same:
            print(f"  claimed: {entry.printed.get(here, '')!r}\n  printed: {found!r}")
            page = _with_block(page, entry, here, found) if write else page
    if write:
        PAGE.write_text(page, encoding="utf-8")
    print(f"{wrong} of the reproductions print something else on {here}")
    return int(wrong > 0 and not write)


def _with_block(page: str, entry: Divergence, backend: str, text: str) -> str:
    """The page with another output under a snippet."""
    start = page.index(f"### {entry.name}\n")
    end = page.find("\n### ", start)
    body = page[start:] if end < 0 else page[start:end]
    new = re.sub(rf"\n```text {backend}\n.*?\n```\n", "\n", body, flags=re.DOTALL).rstrip("\n")
    new += f"\n```text {backend}\n{text}\n```\n"
    return page.replace(body, new)


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv))
