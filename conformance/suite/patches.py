"""`refimpl` with places replaced for a while: mutants and quirks are made of this."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

# Module, attribute path in it, and the wrong version made from the right one.
Patch = tuple[str, str, Callable[[Any], Any]]


@contextlib.contextmanager
def patched(patches: Iterable[Patch], name: str) -> Iterator[None]:
    """Replace each place in the block. Raises: LookupError if a place is gone; `name` tells whose it is."""
    with contextlib.ExitStack() as undo:
        for module, path, wrong in patches:
            owner: Any = importlib.import_module(module)
            *outer, last = path.split(".")
            for part in outer:
                owner = getattr(owner, part)
            right = vars(owner).get(last) if isinstance(owner, type) else getattr(owner, last, None)
            if right is None:
                raise LookupError(f"{name}: {module} has no {path} of its own any more; mend the {_kind(name)}.")
            setattr(owner, last, wrong(right))
            undo.callback(setattr, owner, last, right)
        yield


def _kind(name: str) -> str:
    return "quirk" if name.startswith("quirk ") else "mutant"
